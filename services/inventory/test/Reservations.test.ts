import { ProductId } from "@ecommerce/contracts/Ids"
import { assert, layer } from "@effect/vitest"
import { Effect, Result, Schema } from "effect"

import { Products } from "../src/Products.ts"
import { Reservations } from "../src/Reservations.ts"
import {
  adjust,
  eventsAbout,
  layer as shop,
  misheld,
  newOrderId,
  orderOf,
  productsWith,
  release,
  reserve,
  stockOf,
  unbalanced
} from "./fixtures/Shop.ts"

const unknownProduct = Schema.decodeSync(ProductId)("019845e1-682f-4b02-a706-3b2422d13aec")
const atOnce = { concurrency: "unbounded" } as const

/** What became of each, in short. */
const told = <A, E extends { readonly _tag: string }>(outcomes: ReadonlyArray<Result.Result<A, E>>) =>
  outcomes.map((outcome) => (Result.isSuccess(outcome) ? "ok" : outcome.failure._tag))

const refusals = <A, E>(outcomes: ReadonlyArray<Result.Result<A, E>>) =>
  outcomes.flatMap((outcome) => (Result.isFailure(outcome) ? [outcome.failure] : []))

layer(shop)("reservations", (it) => {
  it.effect("hold what orders ask for, all of it or nothing, in the order of arrival", () =>
    Effect.gen(function* () {
      const [a, b] = yield* productsWith(5, 5)
      if (a === undefined || b === undefined) return assert.fail("no products")
      const outcomes = yield* reserve(orderOf([a, 3], [b, 1]), orderOf([a, 3], [b, 1]), orderOf([a, 2]))
      assert.deepStrictEqual(told(outcomes), ["ok", "StockRefused", "ok"])
      assert.deepStrictEqual(yield* stockOf(a, b), [0, 4])
      assert.containSubset(refusals(outcomes), [
        { items: [{ productId: a, reason: "insufficient_stock", requested: 3, available: 2 }] }
      ])
    })
  )

  it.effect("add up a product that stands on two lines", () =>
    Effect.gen(function* () {
      const [a] = yield* productsWith(5)
      if (a === undefined) return assert.fail("no product")
      assert.deepStrictEqual(told(yield* reserve(orderOf([a, 3], [a, 3]))), ["StockRefused"])
      const order = orderOf([a, 2], [a, 2])
      const [outcome] = yield* reserve(order)
      assert.deepStrictEqual(
        outcome,
        Result.succeed({ orderId: order.orderId, items: [{ productId: a, quantity: 4 }] })
      )
      assert.deepStrictEqual(yield* stockOf(a), [1])
    })
  )

  it.effect("are refused by name for unknown and for inactive products", () =>
    Effect.gen(function* () {
      const [a, b] = yield* productsWith(5, 5)
      if (a === undefined || b === undefined) return assert.fail("no products")
      yield* (yield* Products).change([{ id: b, change: { active: false } }])
      const outcomes = yield* reserve(orderOf([a, 1], [b, 1], [unknownProduct, 1]))
      assert.containSubset(refusals(outcomes), [
        {
          items: [
            { productId: b, reason: "inactive_product", requested: 1, available: 5 },
            { productId: unknownProduct, reason: "unknown_product", requested: 1, available: 0 }
          ]
        }
      ])
      assert.deepStrictEqual(yield* stockOf(a, b), [5, 5])
    })
  )

  it.effect("are the same when they are asked for again, and take nothing more", () =>
    Effect.gen(function* () {
      const [a] = yield* productsWith(5)
      if (a === undefined) return assert.fail("no product")
      const order = orderOf([a, 2])
      const first = yield* reserve(order)
      assert.deepStrictEqual(yield* reserve(order), first)
      assert.deepStrictEqual(yield* reserve(order, order), [...first, ...first])
      assert.deepStrictEqual(yield* stockOf(a), [3])
      const types = (yield* eventsAbout(order.orderId)).map(({ type }) => type)
      assert.deepStrictEqual(types, ["inventory.reserved"])
    })
  )

  it.effect("that were refused stay refused when stock has come, and another order gets it", () =>
    Effect.gen(function* () {
      const [a] = yield* productsWith(1)
      if (a === undefined) return assert.fail("no product")
      const order = orderOf([a, 2])
      const first = yield* reserve(order)
      assert.deepStrictEqual(told(first), ["StockRefused"])
      yield* adjust(a, 10)
      assert.deepStrictEqual(yield* reserve(order), first)
      assert.deepStrictEqual(told(yield* reserve(orderOf([a, 2]))), ["ok"])
      assert.deepStrictEqual(yield* stockOf(a), [9])
    })
  )

  it.effect("of an order that asks for something else under its id are a conflict, now and in one set", () =>
    Effect.gen(function* () {
      const [a] = yield* productsWith(9)
      if (a === undefined) return assert.fail("no product")
      const order = orderOf([a, 1])
      const other = { ...orderOf([a, 2]), orderId: order.orderId }
      assert.deepStrictEqual(told(yield* reserve(order, other)), ["ok", "KeyConflict"])
      assert.deepStrictEqual(told(yield* reserve(other)), ["KeyConflict"])
      // Whoever repeats the first request is not confused by a neighbour with the same id.
      assert.deepStrictEqual(told(yield* reserve(other, order)), ["KeyConflict", "ok"])
      assert.deepStrictEqual(yield* stockOf(a), [8])
    })
  )

  it.effect("are given back once, and say the same when they are given back again", () =>
    Effect.gen(function* () {
      const [a, b] = yield* productsWith(5, 5)
      if (a === undefined || b === undefined) return assert.fail("no products")
      const order = orderOf([b, 2], [a, 1])
      yield* reserve(order)
      const released = yield* release(order)
      const items = [
        { productId: a, quantity: 1 },
        { productId: b, quantity: 2 }
      ]
      assert.deepStrictEqual(released, [Result.succeed({ orderId: order.orderId, items })])
      assert.deepStrictEqual(yield* release(order, order), [...released, ...released])
      assert.deepStrictEqual(yield* stockOf(a, b), [5, 5])
      const events = yield* eventsAbout(order.orderId)
      assert.deepStrictEqual(
        events.map(({ type, version }) => [type, Number(version)]),
        [
          ["inventory.reserved", 1],
          ["inventory.released", 2]
        ]
      )
    })
  )

  it.effect("are given back also where that makes more than a request could ever add", () =>
    Effect.gen(function* () {
      const [a] = yield* productsWith(2_147_483_647)
      if (a === undefined) return assert.fail("no product")
      const order = orderOf([a, 10])
      yield* reserve(order)
      yield* adjust(a, 10)
      assert.deepStrictEqual(told(yield* release(order)), ["ok"])
      assert.deepStrictEqual(yield* stockOf(a), [2_147_483_657])
      assert.deepStrictEqual(told(yield* reserve(orderOf([a, 2_147_483_647], [a, 10]))), ["ok"])
    })
  )

  it.effect("that come after their release are refused for good, and leak no stock", () =>
    Effect.gen(function* () {
      const [a] = yield* productsWith(5)
      if (a === undefined) return assert.fail("no product")
      const late = orderOf([a, 2])
      assert.deepStrictEqual(yield* release(late), [Result.succeed({ orderId: late.orderId, items: [] })])
      assert.deepStrictEqual(told(yield* reserve(late)), ["AlreadyReleased"])
      assert.deepStrictEqual(told(yield* reserve(late)), ["AlreadyReleased"])

      const undone = orderOf([a, 2])
      yield* reserve(undone)
      yield* release(undone)
      assert.deepStrictEqual(told(yield* reserve(undone)), ["AlreadyReleased"])
      assert.deepStrictEqual(yield* stockOf(a), [5])
    })
  )

  it.effect("that were refused have nothing to give back, and stay refused", () =>
    Effect.gen(function* () {
      const [a] = yield* productsWith(1)
      if (a === undefined) return assert.fail("no product")
      const order = orderOf([a, 2])
      yield* reserve(order)
      assert.deepStrictEqual(yield* release(order), [Result.succeed({ orderId: order.orderId, items: [] })])
      assert.deepStrictEqual(told(yield* reserve(order)), ["StockRefused"])
    })
  )

  it.effect("of a poison order among 500 good ones are done for the good ones", () =>
    Effect.gen(function* () {
      const [a] = yield* productsWith(1000)
      if (a === undefined) return assert.fail("no product")
      const poison = {
        ...orderOf([a, 1]),
        items: [{ productId: ProductId.make("not a uuid", { disableChecks: true }), quantity: 1 }] as const
      }
      const orders = [
        ...Array.from({ length: 250 }, () => orderOf([a, 1])),
        poison,
        ...Array.from({ length: 250 }, () => orderOf([a, 1]))
      ]
      const outcomes = told(yield* reserve(...orders))
      assert.strictEqual(outcomes.filter((outcome) => outcome === "ok").length, 500)
      assert.strictEqual(outcomes[250], "BadItem")
      assert.deepStrictEqual(yield* stockOf(a), [500])
    })
  )

  it.effect("of a quantity that is no whole number are refused alone", () =>
    Effect.gen(function* () {
      const [a] = yield* productsWith(5)
      if (a === undefined) return assert.fail("no product")
      assert.deepStrictEqual(told(yield* reserve(orderOf([a, 1]), orderOf([a, 1.5]), orderOf([a, 1]))), [
        "ok",
        "BadItem",
        "ok"
      ])
      assert.deepStrictEqual(yield* stockOf(a), [3])
    })
  )

  it.effect("of 50 orders at once for a product of which there are 10 go to exactly 10", () =>
    Effect.gen(function* () {
      const [a] = yield* productsWith(10)
      if (a === undefined) return assert.fail("no product")
      const outcomes = yield* Effect.all(
        Array.from({ length: 50 }, () => reserve(orderOf([a, 1]))),
        atOnce
      )
      assert.strictEqual(told(outcomes.flat()).filter((outcome) => outcome === "ok").length, 10)
      assert.deepStrictEqual(yield* stockOf(a), [0])
    })
  )

  it.effect("and releases of the same orders in opposite order do not deadlock, and end given back", () =>
    Effect.gen(function* () {
      const products = yield* productsWith(...Array.from({ length: 20 }, () => 1000))
      const orders = Array.from({ length: 60 }, (_, index) =>
        orderOf(...products.map((id): [ProductId, number] => [id, 1 + (index % 3)]))
      )
      const runs = Array.from({ length: 12 }, (_, index) => {
        const set = index % 4 < 2 ? orders : orders.toReversed()
        return index % 2 === 0 ? Effect.asVoid(reserve(...set)) : Effect.asVoid(release(...set))
      })
      yield* Effect.all(runs, atOnce)
      yield* release(...orders)
      assert.deepStrictEqual(new Set(yield* stockOf(...products)), new Set([1000]))
    })
  )

  it.effect("can be looked at, whatever became of them", () =>
    Effect.gen(function* () {
      const [a] = yield* productsWith(5)
      if (a === undefined) return assert.fail("no product")
      const [held, refused, back] = [orderOf([a, 1]), orderOf([a, 9]), orderOf([a, 1])]
      yield* reserve(held, refused, back)
      yield* release(back)
      const outcomes = yield* (yield* Reservations).find([held.orderId, refused.orderId, back.orderId, newOrderId()])
      assert.deepStrictEqual(told(outcomes), ["ok", "ok", "ok", "ReservationNotFound"])
      assert.containSubset(outcomes, [
        { success: { state: "RESERVED", items: [{ productId: a, quantity: 1 }], refusal: null, version: 1 } },
        { success: { state: "REFUSED", items: [], refusal: [{ reason: "insufficient_stock" }] } },
        { success: { state: "RELEASED", items: [{ productId: a, quantity: 1 }], version: 2 } }
      ])
    })
  )

  it.effect("have left every product's stock the sum of its adjustments", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* unbalanced, [])
      assert.deepStrictEqual(yield* misheld, [])
    })
  )
})
