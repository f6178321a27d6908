import { until } from "@ecommerce/testing/ServiceProcess"
import { WholeStack } from "@ecommerce/testing/WholeStack"
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"

import {
  everythingFits,
  placeHeldUp,
  journalOf,
  newProduct,
  orderOf,
  place,
  shop,
  statesOf,
  stockOf,
  tracesOf,
  untilState
} from "./fixtures/Shop.ts"

const nothingLeft = { order: "CANCELLED", capturedCents: 0, refundedCents: 0, isHeld: false }

layer(shop(), { excludeTestServices: true })("an order", (it) => {
  it.effect("goes all the way, and each of its states is told in order", () =>
    Effect.gen(function* () {
      const productId = yield* newProduct(5)
      const orderId = yield* place({ productId, quantity: 2 })
      assert.deepStrictEqual(yield* statesOf(orderId), [
        "AWAITING_AUTHORIZATION",
        "AUTHORIZED",
        "ORDER_CREATED",
        "INVENTORY_RESERVED",
        "PAYMENT_CAPTURED",
        "COMPLETED"
      ])
      assert.deepStrictEqual(yield* tracesOf(orderId), {
        order: "CONFIRMED",
        reservation: "RESERVED",
        capturedCents: 3998,
        refundedCents: 0,
        isHeld: false
      })
      assert.strictEqual(yield* stockOf(productId), 3)
    })
  )

  it.effect("that wants more than there is fails with the reason, and leaves nothing behind", () =>
    Effect.gen(function* () {
      const productId = yield* newProduct(5)
      const orderId = yield* place({ productId, quantity: 6 })
      assert.deepStrictEqual((yield* statesOf(orderId)).slice(-2), ["COMPENSATING", "FAILED"])
      const { reason } = yield* orderOf(orderId)
      assert.strictEqual(reason?.code, "insufficient_stock")
      assert.include(reason?.detail ?? "", "6 wanted, 5 left")
      assert.deepStrictEqual(yield* tracesOf(orderId), { ...nothingLeft, reservation: "REFUSED" })
      assert.strictEqual(yield* stockOf(productId), 5)
    })
  )

  it.effect("whose money cannot be taken has its hold lifted and its stock given back", () =>
    Effect.gen(function* () {
      const productId = yield* newProduct(5)
      const orderId = yield* place({ productId, token: "tok_capture_declined" })
      assert.deepStrictEqual((yield* statesOf(orderId)).slice(-3), ["INVENTORY_RESERVED", "COMPENSATING", "FAILED"])
      assert.strictEqual((yield* orderOf(orderId)).reason?.code, "capture_declined")
      assert.deepStrictEqual(yield* tracesOf(orderId), { ...nothingLeft, reservation: "RELEASED" })
      assert.strictEqual(yield* stockOf(productId), 5)
    })
  )

  it.effect("whose capture has no answer is captured once all the same", () =>
    Effect.gen(function* () {
      const productId = yield* newProduct(5)
      const orderId = yield* place({ productId, token: "tok_lost_reply" })
      assert.strictEqual((yield* statesOf(orderId)).at(-1), "COMPLETED")
      assert.propertyVal(yield* tracesOf(orderId), "capturedCents", 1999)
    })
  )

  it.effect("waits for inventory that is away, and is completed when it is back", () =>
    Effect.gen(function* () {
      const { relays } = yield* WholeStack
      const { orderId } = yield* placeHeldUp("inventory")
      yield* until(Effect.map(journalOf(orderId), (lines) => lines.length > 2))
      yield* relays.inventory.be("open")
      assert.strictEqual((yield* statesOf(orderId)).at(-1), "COMPLETED")
    })
  )

  it.effect("whose payment is away at its capture is tried again, and then undone: as soon as payment is back", () =>
    Effect.gen(function* () {
      const { relays } = yield* WholeStack
      const { orderId, productId } = yield* placeHeldUp("inventory")
      yield* relays.payment.be("away")
      yield* relays.inventory.be("open")
      yield* untilState(orderId, "COMPENSATING")
      assert.strictEqual(yield* stockOf(productId), 3)
      yield* relays.payment.be("open")
      assert.strictEqual((yield* statesOf(orderId)).at(-1), "FAILED")
      assert.strictEqual((yield* orderOf(orderId)).reason?.code, "unavailable")
      assert.deepStrictEqual(yield* tracesOf(orderId), { ...nothingLeft, reservation: "RELEASED" })
      assert.strictEqual(yield* stockOf(productId), 4)
      assert.strictEqual((yield* journalOf(orderId)).filter((line) => line.startsWith("run capture-payment")).length, 5)
    })
  )

  it.effect("is told of on its stream, to its end", () =>
    Effect.gen(function* () {
      const { urls } = yield* WholeStack
      const productId = yield* newProduct(5)
      const orderId = yield* place({ productId, quantity: 6 })
      const text = yield* Effect.promise(() =>
        fetch(`${urls["edge-api"]}/orders/${orderId}/events`).then((response) => response.text())
      )
      const told = [...text.matchAll(/"status":"([A-Z_]+)"/gu)].map(([, status]) => status)
      assert.strictEqual(told.at(-1), "FAILED")
      assert.strictEqual(told[0], "AWAITING_AUTHORIZATION")
    })
  )

  it.effect("leaves everything such that it fits together", () => everythingFits)
})
