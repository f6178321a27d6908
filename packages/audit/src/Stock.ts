/**
 * Stock, to the unit: what is on the shelf is what was put there, less what is held and what is sold.
 */
import { Long, rowsOf } from "@ecommerce/sets/Sets"
import { Effect, Schema } from "effect"

import type { Books } from "./Books.ts"
import type { OrderFacts } from "./OrderFacts.ts"
import type { Finding } from "./Report.ts"

const ProductRow = Schema.Struct({ productId: Schema.String, stock: Long, adjusted: Long, added: Long })
export type ProductStock = typeof ProductRow.Type
const productRows = rowsOf(ProductRow)

export const read = Effect.fn("Stock.read")((books: Books) =>
  productRows(books.inventory`
    SELECT products.id AS product_id, stock_quantity::bigint AS stock, coalesce(sum(quantity), 0)::bigint AS adjusted,
      coalesce(sum(quantity) FILTER (WHERE kind IN ('initial', 'manual')), 0)::bigint AS added
    FROM inventory.products LEFT JOIN inventory.stock_adjustments ON product_id = products.id GROUP BY products.id`)
)

/** What orders have of each product: sold where they are confirmed, held otherwise. */
export class Demand {
  private readonly taken = new Map<string, { sold: number; held: number }>()

  add({ items, order, reservation }: OrderFacts): void {
    if (reservation?.state !== "RESERVED") return
    for (const { productId, quantity } of items) {
      const demand = this.taken.get(productId) ?? { sold: 0, held: 0 }
      if (order?.status === "CONFIRMED") demand.sold += quantity
      else demand.held += quantity
      this.taken.set(productId, demand)
    }
  }

  of(productId: string) {
    return this.taken.get(productId) ?? { sold: 0, held: 0 }
  }
}

export const judge = (products: ReadonlyArray<ProductStock>, demand: Demand): ReadonlyArray<Finding> => [
  {
    invariant: "the stock of every product is the sum of its adjustments",
    looked: products.length,
    violations: products
      .filter(({ adjusted, stock }) => adjusted !== stock)
      .map(({ adjusted, productId, stock }) => `${productId} has ${stock}, and its adjustments say ${adjusted}`)
  },
  {
    invariant: "stock is what was added, less what is held and sold",
    looked: products.length,
    violations: products.flatMap(({ added, productId, stock }) => {
      const { held, sold } = demand.of(productId)
      return stock === added - held - sold
        ? []
        : [`${productId} has ${stock}: ${added} added, ${held} held, ${sold} sold`]
    })
  }
]
