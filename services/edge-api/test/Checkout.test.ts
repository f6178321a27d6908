import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"

import { accountOf, get, idOf, layer as counter, newProduct, place } from "./fixtures/Counter.ts"
import { open } from "./fixtures/Streams.ts"

layer(counter(), { excludeTestServices: true })("placing an order", (it) => {
  it.effect("answers when its payment is authorized, and tells where to look for it", () =>
    Effect.gen(function* () {
      const mouse = yield* newProduct(2999)
      const said = yield* place("mouse-1", { items: [{ product_id: mouse, quantity: 2 }] })
      const id = idOf(said)
      assert.strictEqual(said.status, 202)
      assert.strictEqual(
        said.text,
        `{"order_ledger_id":"${id}","status":"AUTHORIZED","message":"Order received, processing"}`
      )
      assert.strictEqual(said.headers["location"], `/orders/${id}`)
      assert.deepStrictEqual(yield* accountOf(id), {
        orderId: id,
        status: "AUTHORIZED",
        stage: "OPEN",
        isAnswered: true,
        hasToken: false,
        told: ["order.authorized"],
        authorizations: 1,
        heldCents: 5998
      })
      const order = yield* get(id)
      assert.deepStrictEqual(
        order.states.map(({ status }) => status),
        ["AWAITING_AUTHORIZATION", "AUTHORIZED"]
      )
    })
  )

  it.effect("is told of at once to whoever follows it, also when there is nothing new to tell", () =>
    Effect.gen(function* () {
      const mouse = yield* newProduct()
      const id = idOf(yield* place("mouse-2", { items: [{ product_id: mouse, quantity: 1 }] }))
      // The next heartbeat would come after fifteen seconds.
      const { headers, status } = yield* Effect.timeout(open(id, { "last-event-id": "2" }), "13 seconds")
      assert.strictEqual(status, 200)
      assert.containSubset(headers, { "cache-control": "no-cache", "x-accel-buffering": "no" })
    })
  )
})

layer(counter({ STREAM_LASTS: "5 seconds", FOLLOWERS_AT_ONCE: "1", HEARTBEAT_EVERY: "100 millis" }), {
  excludeTestServices: true
})("a stream of an order", (it) => {
  it.effect("ends after a while, so that nobody holds a place for ever, whether it is read or not", () =>
    Effect.gen(function* () {
      const mouse = yield* newProduct()
      const id = idOf(yield* place("mouse-3", { items: [{ product_id: mouse, quantity: 1 }] }))
      const response = yield* open(id)
      assert.strictEqual((yield* open(id)).status, 503)
      const text = yield* Effect.timeout(response.text, "60 seconds")
      assert.include(text, "event: heartbeat")
      assert.notInclude(text, "failure")
      assert.strictEqual((yield* open(id)).status, 200)
    })
  )
})
