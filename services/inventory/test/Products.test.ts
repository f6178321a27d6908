import { ProductId } from "@ecommerce/contracts/Ids"
import type { NewProduct, Product } from "@ecommerce/contracts/Inventory/Products"
import { successes } from "@ecommerce/sets/Sets"
import { TestDatabase } from "@ecommerce/testing/TestDatabase"
import * as TestService from "@ecommerce/testing/TestService"
import { assert, layer } from "@effect/vitest"
import { Effect, Layer, Result, Schema } from "effect"

import { Products } from "../src/Products.ts"
import { StockLedger } from "../src/StockLedger.ts"

const products = Products.layer.pipe(
  Layer.provide(StockLedger.layer),
  Layer.provide(TestService.database("inventory")),
  Layer.provideMerge(TestDatabase.layer)
)

const unknownId = Schema.decodeSync(ProductId)("019845e1-682f-4b02-a706-3b2422d13aec")
const named = (sku: string): NewProduct => ({ name: `Product ${sku}`, sku, priceCents: 100, initialStock: 0 })
const everyTime = { concurrency: "unbounded" } as const

const created = Effect.fn("created")(function* (...skus: ReadonlyArray<string>) {
  return successes(yield* (yield* Products).create(skus.map(named)))
})

const failures = <A, E>(outcomes: ReadonlyArray<Result.Result<A, E>>) =>
  outcomes.flatMap((outcome) => (Result.isFailure(outcome) ? [outcome.failure] : []))

layer(products)("a set of products", (it) => {
  it.effect("is created in one go, with one outcome an item in the order of the items", () =>
    Effect.gen(function* () {
      const skus = ["Z-9", "A-1", "M-5"]
      const outcomes = yield* (yield* Products).create(skus.map(named))
      assert.deepStrictEqual(
        successes(outcomes).map((product) => product.sku),
        skus
      )
    })
  )

  it.effect("that names one SKU twice gives it to the first, and its id to the second", () =>
    Effect.gen(function* () {
      const [first, second] = yield* (yield* Products).create([
        { ...named("TWICE"), name: "first" },
        { ...named("TWICE"), name: "second" }
      ])
      assert.isTrue(first !== undefined && Result.isSuccess(first) && first.success.name === "first")
      assert.isTrue(second !== undefined && Result.isFailure(second))
      if (first && second && Result.isSuccess(first) && Result.isFailure(second)) {
        assert.strictEqual(second.failure.existingProductId, first.success.id)
      }
    })
  )

  it.effect("does its good items although others of them are refused", () =>
    Effect.gen(function* () {
      const [taken] = yield* created("TAKEN")
      const outcomes = yield* (yield* Products).create(["FREE-1", "TAKEN", "FREE-2"].map(named))
      assert.deepStrictEqual(
        successes(outcomes).map((product) => product.sku),
        ["FREE-1", "FREE-2"]
      )
      assert.deepStrictEqual(
        failures(outcomes).map((error) => error.existingProductId),
        [taken?.id]
      )
    })
  )

  it.effect("and another one in the opposite order do not deadlock, and each SKU goes to one of them", () =>
    Effect.gen(function* () {
      const skus = Array.from({ length: 100 }, (_, index) => `RACE-${index}`)
      const { create } = yield* Products
      const both = yield* Effect.all(
        Array.from({ length: 8 }, (_, index) => create((index % 2 === 0 ? skus : skus.toReversed()).map(named))),
        everyTime
      )
      const owned = both.flatMap(successes)
      assert.strictEqual(owned.length, skus.length)
      const ids = new Map(owned.map((product) => [product.sku, product.id]))
      assert.deepStrictEqual(
        new Set(both.flatMap(failures).map((error) => error.existingProductId)),
        new Set(ids.values())
      )
    })
  )

  it.effect("can be changed together, and an unknown one is told of by its id", () =>
    Effect.gen(function* () {
      const [a, b] = yield* created("CHANGE-A", "CHANGE-B")
      assert.isDefined(a)
      assert.isDefined(b)
      if (a === undefined || b === undefined) return
      const outcomes = yield* (yield* Products).change([
        { id: b.id, change: { priceCents: 7 } },
        { id: unknownId, change: { priceCents: 8 } },
        { id: a.id, change: { name: "New name", active: false } }
      ])
      assert.deepStrictEqual(successes(outcomes), [
        { ...b, priceCents: 7, version: 2 },
        { ...a, name: "New name", active: false, version: 2 }
      ] satisfies ReadonlyArray<Product>)
      assert.deepStrictEqual(
        failures(outcomes).map((error) => error.productId),
        [unknownId]
      )
    })
  )

  it.effect("that changes one product twice applies both changes, the later one last", () =>
    Effect.gen(function* () {
      const [product] = yield* created("CHANGE-TWICE")
      if (product === undefined) return assert.fail("no product")
      const outcomes = yield* (yield* Products).change([
        { id: product.id, change: { priceCents: 1, name: "kept" } },
        { id: product.id, change: { priceCents: 2 } }
      ])
      const expected = { ...product, priceCents: 2, name: "kept", version: 2 }
      assert.deepStrictEqual(successes(outcomes), [expected, expected])
    })
  )

  it.effect("is changed by many at once, in opposite orders, without deadlock and without losing a change", () =>
    Effect.gen(function* () {
      const ids = (yield* created(...Array.from({ length: 20 }, (_, index) => `HOT-${index}`))).map(({ id }) => id)
      const { change, find } = yield* Products
      const changes = ids.map((id) => ({ id, change: { active: true } }))
      yield* Effect.all(
        Array.from({ length: 30 }, (_, index) => change(index % 2 === 0 ? changes : changes.toReversed())),
        everyTime
      )
      const versions = successes(yield* find(ids)).map((product) => product.version)
      assert.deepStrictEqual(new Set(versions), new Set([31]))
    })
  )
})
