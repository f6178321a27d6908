import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"

import { Products } from "../src/Products.ts"
import { Stock } from "../src/Stock.ts"
import { adjust, eventsAbout, layer as shop, orderOf, productsWith, release, reserve } from "./fixtures/Shop.ts"

const productWith = (stock: number) =>
  Effect.flatMap(productsWith(stock), ([id]) => (id === undefined ? Effect.die("no product") : Effect.succeed(id)))

layer(shop)("inventory tells", (it) => {
  it.effect("of a product that is new or changed, as it is then", () =>
    Effect.gen(function* () {
      const id = yield* productWith(7)
      yield* (yield* Products).change([{ id, change: { priceCents: 250 } }])
      assert.containSubset(yield* eventsAbout(id), [
        { type: "product.created", data: { id, priceCents: 100, stockQuantity: 7, version: 1 } },
        { type: "product.updated", data: { id, priceCents: 250, stockQuantity: 7, version: 2 } }
      ])
    })
  )

  it.effect("of stock that somebody changed by hand", () =>
    Effect.gen(function* () {
      const id = yield* productWith(7)
      yield* adjust(id, 3)
      yield* adjust(id, -20)
      const events = yield* eventsAbout(id)
      assert.strictEqual(events.length, 2)
      const data = { productId: id, previousQuantity: 7, quantityChange: 3, newQuantity: 10, reason: "counted" }
      assert.containSubset(events[1], { type: "inventory.stock_adjusted", data })
    })
  )

  it.effect("of what orders had, could not have, and gave back", () =>
    Effect.gen(function* () {
      const id = yield* productWith(9)
      const [held, refused] = [orderOf([id, 2]), orderOf([id, 9])]
      yield* reserve(held, refused)
      yield* release(held, refused)
      const items = [{ productId: id, quantity: 2 }]
      assert.containSubset(yield* eventsAbout(held.orderId), [
        { type: "inventory.reserved", data: { orderId: held.orderId, items } },
        { type: "inventory.released", data: { orderId: held.orderId, items } }
      ])
      const events = yield* eventsAbout(refused.orderId)
      assert.strictEqual(events.length, 1)
      assert.containSubset(events, [
        {
          type: "inventory.reservation_refused",
          data: { items: [{ productId: id, reason: "insufficient_stock", requested: 9, available: 7 }] }
        }
      ])
    })
  )

  it.effect("of low stock once for each time that it falls below five, by hand or by an order", () =>
    Effect.gen(function* () {
      const id = yield* productWith(6)
      yield* Effect.forEach([-1, -1, -1, 2, -3, 9], (quantity) => adjust(id, quantity))
      yield* reserve(orderOf([id, 4]), orderOf([id, 4]), orderOf([id, 1]))
      const quantities = (yield* eventsAbout(id)).filter(({ type }) => type === "inventory.low_stock")
      assert.strictEqual(quantities.length, 3)
      assert.containSubset(quantities, [
        { data: { stockQuantity: 4, threshold: 5 } },
        { data: { stockQuantity: 2 } },
        { data: { stockQuantity: 3 } }
      ])
    })
  )

  it.effect("what one set did to a product in the order in which it happened, with rising versions", () =>
    Effect.gen(function* () {
      const id = yield* productWith(6)
      const changes = [-2, 5, -6, -1]
      yield* (yield* Stock).adjust(
        changes.map((quantity, place) => ({
          key: `told-${place}`,
          productId: id,
          change: { quantity, reason: "counted" }
        }))
      )
      const events = yield* eventsAbout(id)
      assert.deepStrictEqual(
        events.map(({ type, version }) => [type.replace("inventory.", ""), Number(version)]),
        [
          ["product.created", 1],
          ["stock_adjusted", 2],
          ["low_stock", 3],
          ["stock_adjusted", 4],
          ["stock_adjusted", 5],
          ["low_stock", 6],
          ["stock_adjusted", 7]
        ]
      )
    })
  )
})
