import { assert, layer } from "@effect/vitest"
import { Effect, Fiber, Result } from "effect"
import { HttpClient } from "effect/http"

import {
  address,
  bookingOf,
  bookSeat,
  callGuest,
  callOf,
  commandOf,
  clientOf,
  deadly,
  post,
  theatre,
  until
} from "./fixtures/Theatre.ts"

const globe = theatre()

const body = (guest: string) => JSON.stringify({ commands: [{ key: guest, payload: { ...callOf(guest, guest), at } }] })
const at = "2026-11-21T19:30:00.000Z"

/** While it runs no call ends, and afterwards all do. */
const whileClosed = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.acquireUseRelease(
    globe.curtain.close,
    () => effect,
    () => globe.curtain.open
  )

/** A batch that the service has taken on, and that does not end. */
const heldBatch = Effect.gen(function* () {
  const before = globe.sets.length
  const call = yield* commandOf(callGuest)
  const held = yield* Effect.forkChild(call(callOf("Hamlet")))
  yield* until(() => globe.sets.length > before)
  return held
})

layer(globe.layer({ COMMANDS_AT_ONCE: "1" }), { excludeTestServices: true })(
  "a service that may take on one batch",
  (it) => {
    it.effect("turns another one away at once, with 503 and the time after which to come again", () =>
      Effect.gen(function* () {
        const { held, answer } = yield* whileClosed(
          Effect.gen(function* () {
            const held = yield* heldBatch
            const before = globe.sets.length
            const answer = yield* post(callGuest, body("Ada"))
            assert.strictEqual(globe.sets.length, before)
            assert.isUndefined(held.pollUnsafe())
            return { held, answer }
          })
        )
        assert.strictEqual(answer.status, 503)
        assert.strictEqual(answer.headers["retry-after"], "1")
        assert.strictEqual(answer.headers["content-type"], "application/problem+json")
        assert.containSubset(answer.json, { error: "overloaded", status: 503 })
        assert.strictEqual((yield* Fiber.join(held)).said, "Hamlet!")
        assert.strictEqual((yield* post(callGuest, body("Ada"))).status, 200)
      })
    )

    it.effect("is Unavailable to whoever asks for another one, and not to whom it has taken on", () =>
      Effect.gen(function* () {
        const call = yield* commandOf(callGuest)
        const { held, outcome } = yield* whileClosed(
          Effect.gen(function* () {
            return { held: yield* heldBatch, outcome: yield* Effect.flip(call(callOf("Ada"))) }
          })
        )
        assert.strictEqual(outcome._tag, "Unavailable")
        assert.containSubset(outcome, { reason: "The answer had the status 503." })
        assert.strictEqual((yield* Fiber.join(held)).said, "Hamlet!")
        assert.strictEqual((yield* call(callOf("Ada"))).said, "Ada!")
      })
    )

    it.effect("counts the batches of all its commands together", () =>
      whileClosed(
        Effect.gen(function* () {
          yield* heldBatch
          const book = yield* commandOf(bookSeat)
          assert.containSubset(yield* Effect.flip(book(bookingOf("A1"))), { reason: "The answer had the status 503." })
          assert.strictEqual((yield* HttpClient.get("/health/ready")).status, 200)
        })
      )
    )

    it.effect("has its place back after batches that fail", () =>
      Effect.gen(function* () {
        const call = yield* commandOf(callGuest)
        for (const guest of Array.from({ length: 10 }, (_, index) => `guest ${index}`)) {
          const failed = yield* Effect.flip(call(callOf(deadly)))
          assert.containSubset(failed, { _tag: "Unavailable", reason: "The answer had the status 500." })
          assert.strictEqual((yield* post(callGuest, "nothing")).status, 400)
          assert.strictEqual((yield* call(callOf(guest))).said, `${guest}!`)
        }
      })
    )

    it.effect("has its place back when the batch of a client that is gone has come to its end, and not before", () =>
      Effect.gen(function* () {
        const impatient = yield* clientOf(callGuest, { ...(yield* address), timeout: "100 millis" })
        const patient = yield* commandOf(callGuest)
        yield* whileClosed(
          Effect.gen(function* () {
            const before = globe.sets.length
            const asking = Effect.result(impatient(callOf("Hamlet")))
            const last = yield* Effect.repeat(asking, { until: () => globe.sets.length > before })
            assert.isTrue(Result.isFailure(last))
            assert.strictEqual((yield* post(callGuest, body("Ada"))).status, 503)
          })
        )
        assert.strictEqual((yield* Effect.retry(patient(callOf("Ada")), { times: 1000 })).said, "Ada!")
      })
    )
  }
)
