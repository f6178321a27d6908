import type { ProductId } from "@ecommerce/contracts/Ids"
import type { ReserveStock } from "@ecommerce/contracts/Inventory/Reservations"
import { TestDatabase } from "@ecommerce/testing/TestDatabase"
import { assert, layer } from "@effect/vitest"
import { Effect, Result } from "effect"
import * as fc from "fast-check"

import type { Products } from "../src/Products.ts"
import type { Reservations } from "../src/Reservations.ts"
import type { Stock } from "../src/Stock.ts"
import {
  adjust,
  layer as shop,
  misheld,
  newOrderId,
  productsWith,
  release,
  reserve,
  stockOf,
  unbalanced
} from "./fixtures/Shop.ts"

/** What one of many does at the same time: places by number, of the products and of the orders of a run. */
type Step =
  | { readonly do: "add"; readonly product: number; readonly quantity: number }
  | { readonly do: "reserve"; readonly orders: ReadonlyArray<number> }
  | { readonly do: "release"; readonly orders: ReadonlyArray<number> }

const products = 4
const orders = 12

const someOrders = fc.array(fc.nat(orders - 1), { minLength: 1, maxLength: orders })

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    do: fc.constant("add" as const),
    product: fc.nat(products - 1),
    quantity: fc.integer({ min: -5, max: 8 })
  }),
  fc.record({ do: fc.constant("reserve" as const), orders: someOrders }),
  fc.record({ do: fc.constant("release" as const), orders: someOrders })
)

interface Run {
  readonly stock: ReadonlyArray<number>
  readonly carts: ReadonlyArray<ReadonlyArray<readonly [number, number]>>
  readonly steps: ReadonlyArray<Step>
}

const run: fc.Arbitrary<Run> = fc.record({
  stock: fc.array(fc.nat(12), { minLength: products, maxLength: products }),
  /** What each order asks for: products by number, some of them twice. */
  carts: fc.array(
    fc.array(fc.tuple(fc.nat(products - 1), fc.integer({ min: 1, max: 4 })), { minLength: 1, maxLength: 4 }),
    { minLength: orders, maxLength: orders }
  ),
  steps: fc.array(step, { minLength: 5, maxLength: 25 })
})

const at = <A>(items: ReadonlyArray<A>, place: number): A => {
  const item = items[place]
  if (item === undefined) throw new Error(`Nothing at ${place}`)
  return item
}

const lineOf = (ids: ReadonlyArray<ProductId>, [product, quantity]: readonly [number, number]) => ({
  productId: at(ids, product),
  quantity
})

layer(shop)("any adds, reserves and releases at the same time, in sets of any size,", (it) => {
  it.effect("conserve stock, never oversell and never deadlock", () =>
    Effect.gen(function* () {
      const context = yield* Effect.context<Products | Reservations | Stock | TestDatabase>()
      const { administrator } = yield* TestDatabase

      const check = Effect.fn("check")(function* ({ carts, steps, stock }: Run) {
        const ids = yield* productsWith(...stock)
        const asked = carts.map((cart): ReserveStock => {
          const [first, ...others] = cart.map((line) => lineOf(ids, line))
          return { orderId: newOrderId(), items: [first ?? lineOf(ids, [0, 1]), ...others] }
        })
        yield* Effect.forEach(
          steps,
          (step): Effect.Effect<unknown, unknown, Reservations | Stock> => {
            if (step.do === "add")
              return step.quantity === 0 ? Effect.void : adjust(at(ids, step.product), step.quantity)
            const set = step.orders.map((order) => at(asked, order))
            return step.do === "reserve" ? reserve(...set) : release(...set)
          },
          { concurrency: "unbounded", discard: true }
        )
        assert.deepStrictEqual(yield* unbalanced, [])
        assert.deepStrictEqual(yield* misheld, [])

        // Whatever happened, what is given back is exactly what was taken: only the adds remain.
        yield* release(...asked)
        const added = yield* administrator<{ productId: ProductId; sum: bigint }>`
          SELECT product_id, sum(quantity) FROM inventory.stock_adjustments
          WHERE product_id = ANY(${ids}::uuid[]) AND kind IN ('initial', 'manual') GROUP BY product_id`
        const sums = new Map(added.map((row) => [row.productId, Number(row.sum)]))
        assert.deepStrictEqual(
          yield* stockOf(...ids),
          ids.map((id) => sums.get(id) ?? 0)
        )
        // And nobody gets anything afterwards under an id that was released.
        const late = yield* reserve(...asked)
        assert.isTrue(late.every(Result.isFailure))
      })

      yield* Effect.promise(() =>
        fc.assert(
          fc.asyncProperty(run, (generated) => Effect.runPromiseWith(context)(check(generated))),
          { numRuns: 60, endOnFailure: true }
        )
      )
    })
  )
})
