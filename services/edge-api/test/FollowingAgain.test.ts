import { assert, layer } from "@effect/vitest"
import { Effect, Stream } from "effect"

import { layer as counter } from "./fixtures/Counter.ts"
import { eventsIn, move, newOrder, open, states } from "./fixtures/Streams.ts"

const statusOf = ({ data }: { readonly data: unknown }) =>
  typeof data === "object" && data !== null && "status" in data ? data.status : undefined

layer(counter(), { excludeTestServices: true })("coming back to an order's stream", (it) => {
  it.effect("has nothing to tell, and tells browsers to come back no more, where the end was seen already", () =>
    Effect.gen(function* () {
      const declined = yield* newOrder("tok_decline_expired")
      assert.lengthOf(yield* states(declined), 2)
      const failed = yield* newOrder()
      yield* move(failed, "COMPENSATING", "FAILED")
      const answers = yield* Effect.all([
        open(declined, { "last-event-id": "2" }),
        open(failed, { "last-event-id": "4" }),
        open(failed, { "last-event-id": "99" })
      ])
      for (const answer of answers) assert.deepStrictEqual([answer.status, yield* answer.text], [204, ""])
      assert.lengthOf(yield* states(failed, { "last-event-id": "3" }), 1)
    })
  )

  it.effect("tells them so some seconds after an order was completed too, and what comes after that all the same", () =>
    Effect.gen(function* () {
      const id = yield* newOrder()
      yield* move(id, "COMPLETED")
      const seen = { "last-event-id": "3" }
      const early = yield* open(id, seen)
      assert.strictEqual(early.status, 200)
      yield* Stream.runDrain(eventsIn(early))
      assert.strictEqual((yield* open(id, seen)).status, 204)
      yield* move(id, "COMPENSATING", "CANCELLED")
      assert.deepStrictEqual((yield* states(id, seen)).map(statusOf), ["COMPENSATING", "CANCELLED"])
    })
  )
})
