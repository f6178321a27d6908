/**
 * Payments as they stand, with everything that happened to them.
 */
import { Problem } from "@ecommerce/protocol/Problem"
import { ServiceToken } from "@ecommerce/protocol/ServiceToken"
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, OpenApi } from "effect/http-api"

import { OrderId } from "../Ids.ts"
import { AuthorizationId, CaptureId, Cents, Currency } from "./Commands.ts"

export const PaymentStatus = Schema.Literals([
  "AUTHORIZING",
  "AUTHORIZED",
  "DECLINED",
  "CAPTURED",
  "CANCELLING",
  "VOIDED",
  "REFUNDED"
])
export type PaymentStatus = typeof PaymentStatus.Type

/** One entry of the books. */
export const PaymentEntry = Schema.Struct({
  entry: Schema.Literals(["authorized", "declined", "captured", "capture_refused", "voided", "refunded"]),
  amountCents: Schema.Int,
  detail: Schema.NullOr(Schema.String),
  at: Schema.DateTimeUtc
})
export type PaymentEntry = typeof PaymentEntry.Type

export const Payment = Schema.Struct({
  authorizationId: AuthorizationId,
  orderId: OrderId,
  status: PaymentStatus,
  amountCents: Cents,
  currency: Currency,
  captureId: Schema.NullOr(CaptureId),
  createdAt: Schema.DateTimeUtc,
  cancelledAt: Schema.NullOr(Schema.DateTimeUtc),
  history: Schema.Array(PaymentEntry)
}).annotate({ identifier: "Payment" })
export type Payment = typeof Payment.Type

export class PaymentNotFound extends Problem<PaymentNotFound>()(
  "PaymentNotFound",
  { code: "payment_not_found", status: 404, title: "There is no payment with this id." },
  { authorizationId: AuthorizationId }
) {}

export const paymentsGroup = HttpApiGroup.make("payments")
  .add(
    HttpApiEndpoint.get("list", "/payments", {
      query: { order_id: OrderId },
      success: Schema.Struct({ payments: Schema.Array(Payment) }).annotate({ identifier: "PaymentList" })
    }).annotate(OpenApi.Description, "The payment of an order: one, or none."),
    HttpApiEndpoint.get("get", "/payments/:authorizationId", {
      params: { authorizationId: AuthorizationId },
      success: Payment,
      error: PaymentNotFound
    })
  )
  .middleware(ServiceToken)
  .annotate(OpenApi.Description, "What was held, taken and given back, for services and operators.")
