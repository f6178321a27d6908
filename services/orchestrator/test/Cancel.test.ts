import { rowsOf } from "@ecommerce/sets/Sets"
import { until } from "@ecommerce/testing/ServiceProcess"
import { TestDatabase } from "@ecommerce/testing/TestDatabase"
import { WholeStack } from "@ecommerce/testing/WholeStack"
import { assert, layer } from "@effect/vitest"
import { Effect, Schema } from "effect"

import {
  cancel,
  everythingFits,
  journalOf,
  newProduct,
  orderOf,
  place,
  placeHeldUp,
  shop,
  statesOf,
  stockOf,
  tracesOf,
  untilState
} from "./fixtures/Shop.ts"

const refunded = {
  order: "CANCELLED",
  reservation: "RELEASED",
  capturedCents: 1999,
  refundedCents: 1999,
  isHeld: false
}
const undone = { ...refunded, capturedCents: 0, refundedCents: 0 }

const countRows = rowsOf(Schema.Struct({ count: Schema.Int }))

/** How long an order is held up is up to the test: nobody loses patience. */
const patient = shop({ MAX_RETRY_ATTEMPTS: "1000000" })

layer(patient, { excludeTestServices: true })("cancelling an order", (it) => {
  for (const [where, away, reached] of [
    ["before its order is recorded", "orders", "AUTHORIZED"],
    ["before its stock is held", "inventory", "ORDER_CREATED"],
    ["before its money is taken", "payment", "INVENTORY_RESERVED"]
  ] as const) {
    it.effect(`${where} undoes it before anything else is sent`, () =>
      Effect.gen(function* () {
        const { relays } = yield* WholeStack
        const { orderId, productId } = yield* placeHeldUp(away === "payment" ? "inventory" : away)
        if (away === "payment") {
          yield* relays.payment.be("away")
          yield* relays.inventory.be("open")
        }
        yield* untilState(orderId, reached)
        yield* until(Effect.map(journalOf(orderId), (lines) => lines.some((line) => line.endsWith("unavailable"))))
        assert.strictEqual(yield* cancel(orderId), 202)
        yield* untilState(orderId, "COMPENSATING")
        yield* relays[away].be("open")
        const states = yield* statesOf(orderId)
        assert.deepStrictEqual(states.slice(-3), [reached, "COMPENSATING", "CANCELLED"])
        assert.strictEqual((yield* orderOf(orderId)).reason?.code, "cancelled")
        assert.deepStrictEqual(yield* tracesOf(orderId), {
          ...undone,
          reservation: away === "orders" ? null : "RELEASED"
        })
        assert.strictEqual(yield* stockOf(productId), 4)
      })
    )
  }

  it.effect("that is about to be confirmed takes it back when it is", () =>
    Effect.gen(function* () {
      const { relays } = yield* WholeStack
      const { orderId, productId } = yield* placeHeldUp("inventory")
      yield* relays.orders.be("away")
      yield* relays.inventory.be("open")
      yield* untilState(orderId, "PAYMENT_CAPTURED")
      assert.strictEqual(yield* cancel(orderId), 202)
      yield* relays.orders.be("open")
      yield* untilState(orderId, "CANCELLED")
      assert.deepStrictEqual((yield* statesOf(orderId)).slice(-4), [
        "PAYMENT_CAPTURED",
        "COMPLETED",
        "COMPENSATING",
        "CANCELLED"
      ])
      assert.deepStrictEqual(yield* tracesOf(orderId), refunded)
      assert.strictEqual(yield* stockOf(productId), 4)
    })
  )

  it.effect("that is completed gives everything back, once, however often it is asked", () =>
    Effect.gen(function* () {
      const { administrator } = yield* TestDatabase
      const productId = yield* newProduct(5)
      const orderId = yield* place({ productId })
      yield* statesOf(orderId)
      const answers = yield* Effect.forEach(Array.from({ length: 20 }), () => cancel(orderId), {
        concurrency: "unbounded"
      })
      assert.deepStrictEqual(new Set(answers), new Set([202]))
      yield* untilState(orderId, "CANCELLED")
      assert.deepStrictEqual((yield* statesOf(orderId)).slice(-3), ["COMPLETED", "COMPENSATING", "CANCELLED"])
      assert.deepStrictEqual(yield* tracesOf(orderId), refunded)
      assert.strictEqual(yield* stockOf(productId), 5)
      const [told] = yield* countRows(administrator`
        SELECT count(*)::integer AS count FROM edge_api.outbox WHERE type = 'order.cancel_requested' AND subject = ${orderId}`)
      assert.strictEqual(told?.count, 1)
      assert.strictEqual(yield* cancel(orderId), 202)
    })
  )

  it.effect("that has failed, or that nobody knows, changes nothing", () =>
    Effect.gen(function* () {
      const productId = yield* newProduct(5)
      const orderId = yield* place({ productId, quantity: 6 })
      yield* untilState(orderId, "FAILED")
      const before = yield* journalOf(orderId)
      assert.strictEqual(yield* cancel(orderId), 202)
      assert.strictEqual(yield* cancel("0192e4a0-0000-7000-8000-000000000000"), 404)
      assert.deepStrictEqual(yield* journalOf(orderId), before)
      assert.strictEqual((yield* orderOf(orderId)).status, "FAILED")
    })
  )

  it.effect("that awaits its authorization is too early", () =>
    Effect.gen(function* () {
      const { administrator } = yield* TestDatabase
      yield* administrator.unsafe(`
        WITH entry AS (
          INSERT INTO edge_api.order_ledger (order_id, user_id, email, total_cents, currency, status)
          VALUES ('0192e4a0-0000-7000-8000-00000000aaaa', uuidv7(), 'ada@example.com', 1, 'USD', 'AWAITING_AUTHORIZATION')
        )
        INSERT INTO edge_api.order_states (order_id, version, status)
        VALUES ('0192e4a0-0000-7000-8000-00000000aaaa', 1, 'AWAITING_AUTHORIZATION')`).unprepared
      assert.strictEqual(yield* cancel("0192e4a0-0000-7000-8000-00000000aaaa"), 409)
      yield* administrator.unsafe(`
        WITH states AS (DELETE FROM edge_api.order_states WHERE order_id = '0192e4a0-0000-7000-8000-00000000aaaa')
        DELETE FROM edge_api.order_ledger WHERE order_id = '0192e4a0-0000-7000-8000-00000000aaaa'`).unprepared
    })
  )

  it.effect("leaves everything such that it fits together", () => everythingFits)
})
