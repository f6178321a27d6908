/**
 * What edge tells the others. The subject is the order.
 */
import * as Event from "@ecommerce/outbox/Event"
import { Schema } from "effect"

import { OrderId, UserId } from "../Ids.ts"
import { CreateOrder } from "../Orders/Lifecycle.ts"
import { Cents, Currency } from "../Payment/Commands.ts"
import { FailureReason } from "./Ledger.ts"

/** The order's money is held: everything that it takes to bring it to its end. */
export const AuthorizedOrder = Schema.Struct({ ...CreateOrder.fields, totalCents: Cents, currency: Currency })
export type AuthorizedOrder = typeof AuthorizedOrder.Type

export const orderAuthorized = Event.make("order.authorized", AuthorizedOrder)

export const authorizationFailed = Event.make(
  "order.authorization_failed",
  Schema.Struct({ orderId: OrderId, userId: UserId, reason: FailureReason })
)

/** The customer does not want the order any more. */
export const orderCancelRequested = Event.make("order.cancel_requested", Schema.Struct({ orderId: OrderId }))
