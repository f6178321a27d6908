import { Customers } from "@ecommerce/chaos/Customers"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer } from "effect"
import { HttpClient, HttpClientResponse } from "effect/http"
import { TestClock } from "effect/testing"

interface Reply {
  readonly status: number
  readonly body: string
}

const shop = (answer: (method: string, path: string) => Reply) =>
  Layer.succeed(
    HttpClient.HttpClient,
    HttpClient.make((request, url) =>
      Effect.sync(() => {
        const { body, status } = answer(request.method, url.pathname)
        return HttpClientResponse.fromWeb(request, new Response(body, { status }))
      })
    )
  )

const fine = '{"order_ledger_id":"o-1","status":"COMPLETED"}'
/** Says yes to everything, at once. */
const yes = (method: string): Reply => ({ status: method === "POST" ? 202 : 200, body: fine })

const customersOf = (seed: number, answer: Parameters<typeof shop>[0]) =>
  Customers.layer({
    seed,
    edgeUrls: ["http://edge-1", "http://edge-2"],
    plentiful: { id: "plenty", priceCents: 2499 },
    scarce: { id: "scarce", priceCents: 999 }
  }).pipe(Layer.provide(shop(answer)))

/** Who comes within ten seconds, behind so many who were sent. */
const arrivals = (seed: number, sent = 0) =>
  Effect.gen(function* () {
    const { arrive, send, sheets } = yield* Customers
    yield* send("paid", sent)
    yield* Effect.forkScoped(arrive)
    yield* TestClock.adjust("10 seconds")
    return (yield* sheets).slice(sent).map(({ kind }) => kind)
  }).pipe(Effect.scoped, Effect.provide(customersOf(seed, yes)))

/** By a shop that remembers, and begins anew each time. */
const answeredBy = (begin: () => Parameters<typeof shop>[0]) =>
  Effect.provide(Layer.unwrap(Effect.sync(() => customersOf(7, begin()))))

/** What one customer who cancels late has noted, told this once where such a request is met, and nothing else but yes. */
const notedOf = (odd: Reply, method: string, path: string) =>
  Effect.gen(function* () {
    const { ask, send, sheets } = yield* Customers
    yield* send("cancelled late", 1)
    yield* TestClock.adjust("10 seconds")
    for (const { userId } of yield* sheets) {
      const asking = yield* Effect.forkScoped(ask(userId))
      yield* TestClock.adjust("10 seconds")
      yield* Fiber.join(asking)
    }
    return (yield* sheets).flatMap(({ strange }) => strange)
  }).pipe(
    Effect.scoped,
    answeredBy(() => {
      let isTold = false
      return (asked, at) => {
        if (!isTold && asked === method && at === path) {
          isTold = true
          return odd
        }
        return at === "/orders" && asked === "GET"
          ? { status: 200, body: '{"orders":[],"next_cursor":null}' }
          : yes(asked)
      }
    })
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

  const oddities = [
    ["a 500 for an order", { status: 500, body: "oops" }, "POST", "/orders", "was answered with 500 oops"],
    ["an order without a number", { status: 202, body: "{}" }, "POST", "/orders", "was answered with 202 {}"],
    ["a 404 for an order that is there", { status: 404, body: "" }, "GET", "/orders/o-1", "answered with 404"],
    ["an order that cannot be read", { status: 200, body: "oops" }, "GET", "/orders/o-1", "gave up: "],
    ["a 500 for a cancel", { status: 500, body: "" }, "POST", "/orders/o-1/cancel", "answered with 500"],
    ["a 402 for a cancel", { status: 402, body: fine }, "POST", "/orders/o-1/cancel", "answered with 402"],
    [
      "an accepted order that is not authorized yet",
      { status: 409, body: '{"error":"order_not_authorized_yet"}' },
      "POST",
      "/orders/o-1/cancel",
      "answered with 409"
    ],
    ["a cancel that cannot be read", { status: 202, body: "oops" }, "POST", "/orders/o-1/cancel", "gave up: "],
    ["a 404 for all orders", { status: 404, body: "" }, "GET", "/orders", "answered with 404"]
  ] as const
  it.effect.each(oddities)("note %s", ([, odd, method, path, noted]) =>
    Effect.gen(function* () {
      const strange = yield* notedOf(odd, method, path)
      assert.lengthOf(strange, 1)
      assert.include(strange[0], noted)
    })
  )

  /** What somebody who sends twice has noted, where the fourth time, with another order, is answered so. */
  const notedOfAnother = (answer: Reply) =>
    Effect.gen(function* () {
      const { send, sheets } = yield* Customers
      yield* send("sent twice", 1)
      yield* TestClock.adjust("10 seconds")
      return (yield* sheets).flatMap(({ strange }) => strange)
    }).pipe(
      Effect.scoped,
      answeredBy(() => {
        let asked = 0
        return (method) => ((asked += 1) > 3 ? answer : yes(method))
      })
    )

  it.effect("note another order under the same key that is not refused as such", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* notedOfAnother({ status: 422, body: '{"error":"idempotency_key_reused"}' }), [])
      assert.deepStrictEqual(yield* notedOfAnother({ status: 202, body: fine }), [
        `was answered with 202 ${fine} for another order under the same key`
      ])
      assert.lengthOf(yield* notedOfAnother({ status: 422, body: '{"error":"product_not_sold"}' }), 1)
    })
  )

  it.effect("note nothing where everything is answered as it should be, or is said to be for later", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* notedOf({ status: 503, body: "" }, "POST", "/orders"), [])
      assert.deepStrictEqual(yield* notedOf({ status: 503, body: "" }, "GET", "/orders/o-1"), [])
    })
  )
})
