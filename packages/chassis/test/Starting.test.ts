import { claimPort } from "@ecommerce/stack/Port"
import { TestDatabase } from "@ecommerce/testing/TestDatabase"
import * as TestService from "@ecommerce/testing/TestService"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer, Schedule } from "effect"
import { FetchHttpClient, HttpClient } from "effect/http"

import { definition } from "./fixtures/Probe.ts"

describe("a service that listens already and is still being built", () => {
  it.live("answers that it is not there yet, and then answers", () =>
    Effect.gen(function* () {
      const port = yield* claimPort(0, "127.0.0.1")
      const mayGoOn = yield* Deferred.make<void>()
      const slow = {
        place: definition.place,
        routes: Layer.merge(definition.routes, Layer.effectDiscard(Deferred.await(mayGoOn)))
      }
      const starting = yield* Effect.forkScoped(
        Layer.build(TestService.layer(slow, { INVENTORY_PORT: String(port), LOG_LEVEL: "None" }))
      )
      const early = yield* HttpClient.get(`http://127.0.0.1:${port}/health/live`).pipe(
        Effect.retry({ schedule: Schedule.spaced("20 millis"), times: 500 }),
        Effect.timeout("100 seconds")
      )
      assert.strictEqual(early.status, 503)
      assert.strictEqual(early.headers["content-type"], "application/problem+json")
      assert.containSubset(yield* early.json, { error: "unavailable" })
      yield* Deferred.succeed(mayGoOn, undefined)
      yield* Fiber.join(starting)
      const later = yield* HttpClient.get(`http://127.0.0.1:${port}/health/live`)
      assert.strictEqual(later.status, 200)
    }).pipe(Effect.provide(FetchHttpClient.layer), Effect.provide(TestDatabase.layer), Effect.scoped)
  )
})
