/**
 * Order records: what was ordered, at which prices, and how the order went through its life.
 */
import { cursorOf, Limit } from "@ecommerce/protocol/Page"
import { Problem } from "@ecommerce/protocol/Problem"
import { ServiceToken } from "@ecommerce/protocol/ServiceToken"
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, OpenApi } from "effect/http-api"

import { OrderId, UserId } from "../Ids.ts"
import { PricedLine } from "./Lifecycle.ts"

export const OrderStatus = Schema.Literals(["CREATED", "CONFIRMED", "CANCELLED"])
export type OrderStatus = typeof OrderStatus.Type

export const OrderItem = Schema.Struct({ ...PricedLine.fields, lineTotalCents: Schema.Int })
export type OrderItem = typeof OrderItem.Type

/** One step of an order's life. */
export const Transition = Schema.Struct({
  version: Schema.Int,
  previousStatus: Schema.NullOr(OrderStatus),
  status: OrderStatus,
  cause: Schema.String,
  at: Schema.DateTimeUtc
})
export type Transition = typeof Transition.Type

const ifCreated = <S extends Schema.Constraint>(schema: S) =>
  Schema.NullOr(schema).annotate({ description: "null for an order that was cancelled before it was created." })

export const Order = Schema.Struct({
  id: OrderId,
  userId: ifCreated(UserId),
  email: ifCreated(Schema.String),
  status: OrderStatus,
  items: Schema.Array(OrderItem),
  totalCents: Schema.Int,
  version: Schema.Int,
  createdAt: Schema.DateTimeUtc,
  updatedAt: Schema.DateTimeUtc,
  history: Schema.Array(Transition)
}).annotate({ identifier: "Order" })
export type Order = typeof Order.Type

/** An order as lists show it: without what is somebody's own. */
export const OrderSummary = Schema.Struct({
  id: OrderId,
  userId: UserId,
  status: OrderStatus,
  totalCents: Schema.Int,
  version: Schema.Int,
  createdAt: Schema.DateTimeUtc,
  updatedAt: Schema.DateTimeUtc
}).annotate({ identifier: "OrderSummary" })
export type OrderSummary = typeof OrderSummary.Type

/** A place in the order in which orders came; the newest is the highest. */
export const OrderPlace = Schema.String.check(Schema.isPattern(/^[1-9][0-9]{0,17}$/u, { expected: "a place" }))
const OrderCursor = cursorOf(OrderPlace)

export const OrderPage = Schema.Struct({
  orders: Schema.Array(OrderSummary),
  nextCursor: Schema.NullOr(OrderCursor)
}).annotate({ identifier: "OrderPage" })
export type OrderPage = typeof OrderPage.Type

export class OrderNotFound extends Problem<OrderNotFound>()(
  "OrderNotFound",
  { code: "order_not_found", status: 404, title: "There is no order with this id." },
  { orderId: OrderId }
) {}

export const ordersGroup = HttpApiGroup.make("orders")
  .add(
    HttpApiEndpoint.get("list", "/orders", {
      query: { user_id: UserId, limit: Schema.optionalKey(Limit), cursor: Schema.optionalKey(OrderCursor) },
      success: OrderPage
    }).annotate(OpenApi.Description, "A user's orders, the newest first."),
    HttpApiEndpoint.get("get", "/orders/:id", { params: { id: OrderId }, success: Order, error: OrderNotFound })
  )
  .middleware(ServiceToken)
  .annotate(OpenApi.Description, "What was ordered and what became of it, for services and operators.")
