/**
 * Who gets what is there: orders in the order of their arrival, each all or nothing.
 */
import type { ProductId } from "@ecommerce/contracts/Ids"
import type { RefusedItem, ReservationLine, ReserveStock } from "@ecommerce/contracts/Inventory/Reservations"

import type { LockedProduct } from "./StockLedger.ts"

export interface Allocated {
  readonly order: ReserveStock
  readonly demand: ReadonlyArray<ReservationLine>
  /** What the order cannot have; empty where it has everything. */
  readonly refused: ReadonlyArray<RefusedItem>
}

/** What an order asks for, a line a product, in the order of the products' ids: the same product on two lines adds up. */
export const demandOf = ({ items }: ReserveStock): ReadonlyArray<ReservationLine> => {
  const sums = new Map<ProductId, number>()
  for (const { productId, quantity } of items) sums.set(productId, (sums.get(productId) ?? 0) + quantity)
  return [...sums].map(([productId, quantity]) => ({ productId, quantity })).toSorted(byProduct)
}

const byProduct = (a: ReservationLine, b: ReservationLine) => (a.productId < b.productId ? -1 : 1)

export const allocate = (
  orders: ReadonlyArray<ReserveStock>,
  products: ReadonlyMap<ProductId, LockedProduct>
): ReadonlyArray<Allocated> => {
  const left = new Map([...products].map(([id, product]) => [id, product.stockQuantity]))
  return orders.map((order) => {
    const demand = demandOf(order)
    const refused = demand.flatMap((line) => {
      const available = left.get(line.productId) ?? 0
      const reason = reasonAgainst(line, products.get(line.productId), available)
      return reason === undefined ? [] : [{ productId: line.productId, reason, requested: line.quantity, available }]
    })
    if (refused.length === 0) {
      for (const { productId, quantity } of demand) left.set(productId, (left.get(productId) ?? 0) - quantity)
    }
    return { order, demand, refused }
  })
}

const reasonAgainst = (
  { quantity }: ReservationLine,
  product: LockedProduct | undefined,
  available: number
): RefusedItem["reason"] | undefined => {
  if (product === undefined) return "unknown_product"
  if (!product.active) return "inactive_product"
  return quantity > available ? "insufficient_stock" : undefined
}
