/**
 * The order ledger: what a customer asked for, at the prices that were honoured, and how far it has come.
 */
import { cursorOf, Limit } from "@ecommerce/protocol/Page"
import { Problem } from "@ecommerce/protocol/Problem"
import { RateLimit } from "@ecommerce/protocol/RateLimit"
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, HttpApiSchema, OpenApi } from "effect/http-api"

import { OrderId, ProductId, UserId } from "../Ids.ts"

export const LedgerStatus = Schema.Literals([
  "AWAITING_AUTHORIZATION",
  "AUTHORIZED",
  "AUTHORIZATION_FAILED",
  "ORDER_CREATED",
  "INVENTORY_RESERVED",
  "PAYMENT_CAPTURED",
  "COMPLETED",
  "COMPENSATING",
  "FAILED",
  "CANCELLED"
])
export type LedgerStatus = typeof LedgerStatus.Type

/** Where an order's way ends; one that is completed may still be cancelled. */
export const isTerminal = (status: LedgerStatus): boolean => status === "COMPLETED" || isFinal(status)

/** Nothing comes after these. */
export const isFinal = (status: LedgerStatus): boolean =>
  status === "FAILED" || status === "CANCELLED" || status === "AUTHORIZATION_FAILED"

/** Why an order failed: a code for programs, and what there is to say besides. */
export const FailureReason = Schema.Struct({ code: Schema.String, detail: Schema.NullOr(Schema.String) }).annotate({
  identifier: "FailureReason"
})
export type FailureReason = typeof FailureReason.Type

export const OrderState = Schema.Struct({
  version: Schema.Int,
  status: LedgerStatus,
  reason: Schema.NullOr(FailureReason),
  at: Schema.DateTimeUtc
}).annotate({ identifier: "OrderState" })
export type OrderState = typeof OrderState.Type

export const LedgerLine = Schema.Struct({
  product_id: ProductId,
  quantity: Schema.Int,
  unit_price_cents: Schema.Int,
  line_total_cents: Schema.Int
})

/** As anybody may see it who knows its id: nothing in it tells who the customer is, other than the id of the user. */
export const LedgerOrder = Schema.Struct({
  order_ledger_id: OrderId,
  user_id: UserId,
  status: LedgerStatus,
  reason: Schema.NullOr(FailureReason),
  items: Schema.Array(LedgerLine),
  total_cents: Schema.Int,
  currency: Schema.String,
  states: Schema.Array(OrderState),
  created_at: Schema.DateTimeUtc,
  updated_at: Schema.DateTimeUtc
}).annotate({ identifier: "LedgerOrder" })
export type LedgerOrder = typeof LedgerOrder.Type

export const LedgerSummary = Schema.Struct({
  order_ledger_id: OrderId,
  status: LedgerStatus,
  total_cents: Schema.Int,
  currency: Schema.String,
  created_at: Schema.DateTimeUtc
}).annotate({ identifier: "LedgerSummary" })
export type LedgerSummary = typeof LedgerSummary.Type

const LedgerCursor = cursorOf(OrderId)

export const LedgerPage = Schema.Struct({
  orders: Schema.Array(LedgerSummary),
  next_cursor: Schema.NullOr(LedgerCursor)
}).annotate({ identifier: "LedgerPage" })
export type LedgerPage = typeof LedgerPage.Type

export class LedgerOrderNotFound extends Problem<LedgerOrderNotFound>()(
  "LedgerOrderNotFound",
  { code: "order_not_found", status: 404, title: "There is no order with this id." },
  { order_ledger_id: OrderId }
) {}

export class TooManyWatchers extends Problem<TooManyWatchers>()(
  "TooManyWatchers",
  { code: "too_many_watchers", status: 503, title: "Too many watch orders already; ask for the order instead." },
  {}
) {}

/** An order's states as they come; `id` is the state's version, for `Last-Event-ID`. */
const StateEvent = Schema.Struct({
  id: Schema.String,
  event: Schema.Literal("state"),
  data: Schema.fromJsonString(Schema.toCodecJson(OrderState))
})

/** Tells whoever listens, and every proxy on the way, that the connection lives. */
const Heartbeat = Schema.Struct({
  event: Schema.Literal("heartbeat"),
  data: Schema.fromJsonString(Schema.toCodecJson(Schema.Struct({ at: Schema.DateTimeUtc })))
})

export const OrderEvent = Schema.Union([StateEvent, Heartbeat])
export type OrderEvent = typeof OrderEvent.Type

const Version = Schema.String.check(Schema.isPattern(/^[0-9]{1,9}$/u, { expected: "the id of an event" }))

export const ledgerGroup = HttpApiGroup.make("ledger")
  .add(
    HttpApiEndpoint.get("list", "/orders", {
      query: { user_id: UserId, limit: Schema.optionalKey(Limit), cursor: Schema.optionalKey(LedgerCursor) },
      success: LedgerPage
    }).annotate(OpenApi.Description, "A user's orders, the newest first."),
    HttpApiEndpoint.get("get", "/orders/:id", {
      params: { id: OrderId },
      success: LedgerOrder,
      error: LedgerOrderNotFound
    }).annotate(OpenApi.Description, "An order: where it stands, when it came there, and why it failed if it did."),
    HttpApiEndpoint.get("events", "/orders/:id/events", {
      params: { id: OrderId },
      headers: { "last-event-id": Schema.optionalKey(Version) },
      success: [HttpApiSchema.StreamSse({ events: OrderEvent }), HttpApiSchema.NoContent],
      error: [LedgerOrderNotFound, TooManyWatchers]
    }).annotate(
      OpenApi.Description,
      "The order's states: those that were, then those that come, until its end. A heartbeat now and then. 204 where that end " +
        "was seen already, so that an `EventSource` comes back no more."
    )
  )
  .middleware(RateLimit)
  .annotate(OpenApi.Description, "What became of orders.")
