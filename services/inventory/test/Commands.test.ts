import { ProductId } from "@ecommerce/contracts/Ids"
import { InventoryClient } from "@ecommerce/contracts/Inventory"
import { TestDatabase } from "@ecommerce/testing/TestDatabase"
import * as TestService from "@ecommerce/testing/TestService"
import { assert, layer } from "@effect/vitest"
import { Effect, Layer, Schema } from "effect"

import { definition } from "../src/Http.ts"
import { newOrderId } from "./fixtures/Shop.ts"

const running = TestService.layer(definition).pipe(Layer.provideMerge(TestDatabase.layer))

const productWith = Effect.fn("productWith")(function* (stock: number) {
  const { administrator } = yield* TestDatabase
  const [row] = yield* administrator`
    INSERT INTO inventory.products (name, sku, price_cents, stock_quantity)
    VALUES ('A product', ${crypto.randomUUID()}, 100, ${stock}) RETURNING id`
  return yield* Schema.decodeUnknownEffect(ProductId)(row?.["id"])
})

const traceparentOf = Effect.fn("traceparentOf")(function* (orderId: string) {
  const { administrator } = yield* TestDatabase
  const rows = yield* administrator<{ traceparent: string | null }>`
    SELECT traceparent FROM inventory.outbox WHERE subject = ${orderId}`
  return rows.map(({ traceparent }) => traceparent?.split("-")[1])
})

layer(running, { excludeTestServices: true })("inventory as other services ask it", (it) => {
  it.effect("holds stock for an order, gives it back, and refuses what comes after that", () =>
    Effect.gen(function* () {
      const inventory = yield* TestService.asked(InventoryClient.make)
      const order = { orderId: newOrderId(), items: [{ productId: yield* productWith(5), quantity: 2 }] as const }
      assert.deepStrictEqual(yield* inventory.reserveStock(order), order)
      assert.deepStrictEqual(yield* inventory.releaseStock({ orderId: order.orderId }), order)
      const late = yield* Effect.flip(inventory.reserveStock(order))
      assert.strictEqual(late._tag, "AlreadyReleased")
    })
  )

  it.effect("says to each of sixty-four callers at once what becomes of its own order", () =>
    Effect.gen(function* () {
      const inventory = yield* TestService.asked(InventoryClient.make)
      const productId = yield* productWith(10)
      const orders = Array.from({ length: 64 }, () => ({
        orderId: newOrderId(),
        items: [{ productId, quantity: 1 }] as const
      }))
      const outcomes = yield* Effect.forEach(orders, (order) => Effect.result(inventory.reserveStock(order)), {
        concurrency: "unbounded"
      })
      const answered = outcomes.map((outcome) =>
        outcome._tag === "Success"
          ? outcome.success.orderId
          : outcome.failure._tag === "StockRefused"
            ? outcome.failure.orderId
            : outcome.failure._tag
      )
      assert.deepStrictEqual(
        answered,
        orders.map(({ orderId }) => orderId)
      )
      assert.strictEqual(outcomes.filter(({ _tag }) => _tag === "Success").length, 10)
    })
  )

  it.effect("tells of an order under the trace in which it was asked", () =>
    Effect.gen(function* () {
      const inventory = yield* TestService.asked(InventoryClient.make)
      const productId = yield* productWith(10)
      const ask = Effect.gen(function* () {
        const orderId = newOrderId()
        yield* inventory.reserveStock({ orderId, items: [{ productId, quantity: 1 }] })
        return { orderId, trace: (yield* Effect.currentSpan).traceId }
      }).pipe(Effect.withSpan("an order"))
      const asked = yield* Effect.all([ask, ask], { concurrency: "unbounded" })
      assert.strictEqual(new Set(asked.map(({ trace }) => trace)).size, 2)
      for (const { orderId, trace } of asked) assert.deepStrictEqual(yield* traceparentOf(orderId), [trace])
    })
  )
})
