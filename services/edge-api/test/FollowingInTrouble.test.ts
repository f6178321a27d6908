import { EmbeddedPostgres } from "@ecommerce/stack/EmbeddedPostgres"
import { Neighbours } from "@ecommerce/testing/Neighbours"
import { until } from "@ecommerce/testing/ServiceProcess"
import { TestDatabase } from "@ecommerce/testing/TestDatabase"
import * as TestService from "@ecommerce/testing/TestService"
import { assert, layer } from "@effect/vitest"
import { Effect, Fiber, Layer } from "effect"

import { definition } from "../src/Http.ts"
import { accounts, newProduct, place } from "./fixtures/Counter.ts"
import { eventually, listen, move, newOrder } from "./fixtures/Streams.ts"

const settings = { RATE_LIMIT: "1000000", HEARTBEAT_EVERY: "100 millis", LOG_LEVEL: "None" }

/** On a PostgreSQL that may be stopped. */
const counter = TestService.layerFrom(
  definition,
  Effect.map(Neighbours.settings, (urls) => ({ ...settings, ...urls }))
).pipe(Layer.provideMerge(Neighbours.layer(settings)), Layer.provideMerge(TestDatabase.layerOwnServer))

layer(counter, { excludeTestServices: true })("an order that is followed while the database is away", (it) => {
  it.effect("is told of again when the database is back, and nothing is told of the trouble itself", () =>
    Effect.gen(function* () {
      const { restart } = yield* EmbeddedPostgres
      const id = yield* newOrder()
      const { heard, hears, listening } = yield* listen(id)
      yield* hears(2)
      yield* restart("fast")
      yield* eventually(
        Effect.sync(() => heard.length),
        (count) => count > 4
      )
      yield* Effect.retry(move(id, "CANCELLED"), { times: 5 })
      yield* Effect.timeout(Fiber.join(listening), "100 seconds")
      assert.deepStrictEqual([...new Set(heard.map(({ event }) => event))].toSorted(), ["heartbeat", "state"])
    })
  )

  it.effect("is answered as it was accepted, for whoever waits for its end", () =>
    Effect.gen(function* () {
      const { restart } = yield* EmbeddedPostgres
      const before = (yield* accounts).length
      const items = [{ product_id: yield* newProduct(), quantity: 1 }]
      const waiting = yield* Effect.forkChild(place("waits", { items }, { prefer: "wait=15" }))
      yield* until(Effect.map(accounts, (all) => all.length > before && all.every(({ isAnswered }) => isAnswered)))
      yield* restart("fast")
      assert.strictEqual((yield* Fiber.join(waiting)).status, 202)
    })
  )
})
