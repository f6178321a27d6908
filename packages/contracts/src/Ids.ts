/**
 * Ids that more than one service speaks of. One id names an order everywhere: the one that edge gives it.
 */
import { Uuid } from "@ecommerce/protocol/Validation"
import { Schema } from "effect"

export const OrderId = Uuid.pipe(Schema.brand("OrderId"))
export type OrderId = typeof OrderId.Type

/** The key of a command that happens once for an order. */
export const ofOrder = ({ orderId }: { readonly orderId: OrderId }) => orderId

export const ProductId = Uuid.pipe(Schema.brand("ProductId"))
export type ProductId = typeof ProductId.Type

export const UserId = Uuid.pipe(Schema.brand("UserId"))
export type UserId = typeof UserId.Type
