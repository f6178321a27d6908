import { Customers } from "@ecommerce/chaos/Customers"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { HttpClient, HttpClientResponse } from "effect/http"
import { TestClock } from "effect/testing"

/** Says yes to everything, at once. */
const shop = Layer.succeed(
  HttpClient.HttpClient,
  HttpClient.make((request) =>
    Effect.succeed(
      HttpClientResponse.fromWeb(
        request,
        new Response('{"order_ledger_id":"o-1","status":"COMPLETED"}', {
          status: request.method === "POST" ? 202 : 200
        })
      )
    )
  )
)

/** Who comes within ten seconds, behind so many who were sent. */
const arrivals = (seed: number, sent = 0) =>
  Effect.gen(function* () {
    const { arrive, send, sheets } = yield* Customers
    yield* send("paid", sent)
    yield* Effect.forkScoped(arrive)
    yield* TestClock.adjust("10 seconds")
    return (yield* sheets).slice(sent).map(({ kind }) => kind)
  }).pipe(
    Effect.scoped,
    Effect.provide(
      Customers.layer({
        seed,
        edgeUrls: ["http://edge-1", "http://edge-2"],
        plentiful: { id: "plenty", priceCents: 2499 },
        scarce: { id: "scarce", priceCents: 999 }
      }).pipe(Layer.provide(shop))
    )
  )

describe("customers", () => {
  it.effect("come in the same order for the same seed, whoever else is sent, and in another one for another", () =>
    Effect.gen(function* () {
      const came = yield* arrivals(7)
      assert.isAbove(came.length, 50)
      assert.deepStrictEqual(yield* arrivals(7), came)
      assert.deepStrictEqual(yield* arrivals(7, 3), came)
      assert.notDeepEqual(yield* arrivals(8), came)
    })
  )
})
