/**
 * What the orders service tells the others, in the order in which it happened. An order that was cancelled before it was
 * created is not told of: nobody has heard of it.
 */
import * as Event from "@ecommerce/outbox/Event"
import { Schema } from "effect"

import { OrderId, UserId } from "../Ids.ts"
import { PricedLine } from "./Lifecycle.ts"
import { OrderStatus } from "./Orders.ts"

export const orderCreated = Event.make(
  "order.created",
  Schema.Struct({ orderId: OrderId, userId: UserId, items: Schema.Array(PricedLine), totalCents: Schema.Int })
)

export const orderConfirmed = Event.make("order.confirmed", Schema.Struct({ orderId: OrderId }))

export const orderCancelled = Event.make(
  "order.cancelled",
  Schema.Struct({ orderId: OrderId, previousStatus: OrderStatus, reason: Schema.String })
)
