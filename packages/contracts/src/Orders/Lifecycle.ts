/**
 * The life of an order, as commands: create, confirm, cancel. All three are keyed by the order's id.
 *
 * CREATED becomes CONFIRMED or CANCELLED, and what is CONFIRMED can still be cancelled. CANCELLED is the end, also for an
 * order that was cancelled before it was created.
 */
import * as Command from "@ecommerce/commands/Command"
import { Int4, Text } from "@ecommerce/protocol/Validation"
import { Schema } from "effect"
import { HttpApiGroup, OpenApi } from "effect/http-api"

import { ofOrder, OrderId, ProductId, UserId } from "../Ids.ts"

/** A line of an order, at the price that was honoured. A product may stand on several. */
export const PricedLine = Schema.Struct({
  productId: ProductId,
  quantity: Int4.check(Schema.isGreaterThan(0)),
  unitPriceCents: Int4.check(Schema.isGreaterThan(0))
})
export type PricedLine = typeof PricedLine.Type

export const totalOf = (lines: ReadonlyArray<PricedLine>): number =>
  lines.reduce((sum, { quantity, unitPriceCents }) => sum + quantity * unitPriceCents, 0)

const exactTotal = Schema.makeFilter((lines: ReadonlyArray<PricedLine>) => Number.isSafeInteger(totalOf(lines)), {
  expected: "lines whose total is an exact number of cents"
})

export const CreateOrder = Schema.Struct({
  orderId: OrderId,
  userId: UserId,
  email: Text.check(Schema.isBetweenCodePoints(1, 255)),
  items: Schema.NonEmptyArray(PricedLine).check(exactTotal)
}).annotate({ identifier: "CreateOrder" })
export type CreateOrder = typeof CreateOrder.Type

export const OrderCreated = Schema.Struct({
  orderId: OrderId,
  totalCents: Schema.Int,
  createdAt: Schema.DateTimeUtc
})
export type OrderCreated = typeof OrderCreated.Type

export const ConfirmOrder = Schema.Struct({ orderId: OrderId }).annotate({ identifier: "ConfirmOrder" })
export type ConfirmOrder = typeof ConfirmOrder.Type

export const OrderConfirmed = Schema.Struct({ orderId: OrderId, confirmedAt: Schema.DateTimeUtc })
export type OrderConfirmed = typeof OrderConfirmed.Type

export const CancelOrder = Schema.Struct({
  orderId: OrderId,
  reason: Text.check(Schema.isBetweenCodePoints(1, 255))
}).annotate({ identifier: "CancelOrder" })
export type CancelOrder = typeof CancelOrder.Type

export const OrderCancelled = Schema.Struct({ orderId: OrderId, cancelledAt: Schema.DateTimeUtc })
export type OrderCancelled = typeof OrderCancelled.Type

/** The order was cancelled before, whether it had been created by then or not. */
export class AlreadyCancelled extends Schema.TaggedError<AlreadyCancelled>()("AlreadyCancelled", {
  orderId: OrderId
}) {}

/** There was no such order to confirm. It stays unconfirmed, also if it is created afterwards. */
export class UnknownOrder extends Schema.TaggedError<UnknownOrder>()("UnknownOrder", { orderId: OrderId }) {}

export const createOrder = Command.make("create-order", {
  description: "Records an order with the prices that were honoured.",
  payload: CreateOrder,
  success: OrderCreated,
  errors: [AlreadyCancelled],
  key: ofOrder
})

export const confirmOrder = Command.make("confirm-order", {
  description: "Confirms an order that was created and not cancelled.",
  payload: ConfirmOrder,
  success: OrderConfirmed,
  errors: [AlreadyCancelled, UnknownOrder],
  key: ofOrder
})

/** Undoes create-order, and confirm-order too. An order is cancelled once: whoever comes second may have another reason. */
export const cancelOrder = Command.make("cancel-order", {
  description: "Cancels an order for good, also one that was never created. The first reason is kept.",
  payload: CancelOrder,
  success: OrderCancelled,
  errors: [],
  key: ofOrder,
  content: ofOrder
})

export const commandsGroup = HttpApiGroup.make("commands")
  .add(createOrder.endpoint, confirmOrder.endpoint, cancelOrder.endpoint)
  .annotate(OpenApi.Description, "What other services ask of orders, in batches.")
