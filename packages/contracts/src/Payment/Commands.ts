/**
 * Money, as commands: authorize holds it, capture takes it, cancel gives it back, whichever of the two had happened. All
 * three are keyed by the order's id: an order has one payment.
 */
import * as Command from "@ecommerce/commands/Command"
import { Schema } from "effect"
import { HttpApiGroup, OpenApi } from "effect/http-api"

import { ofOrder, OrderId } from "../Ids.ts"

/** Names a payment to the processor and to people. */
export const AuthorizationId = Schema.String.check(
  Schema.isPattern(/^auth_[0-9a-f]{32}$/u, { expected: "an authorization id" })
).pipe(Schema.brand("AuthorizationId"))
export type AuthorizationId = typeof AuthorizationId.Type

export const CaptureId = Schema.String.check(
  Schema.isPattern(/^cap_[0-9a-f]{32}$/u, { expected: "a capture id" })
).pipe(Schema.brand("CaptureId"))
export type CaptureId = typeof CaptureId.Type

export const Cents = Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER }))

/** ISO 4217. */
export const Currency = Schema.String.check(Schema.isPattern(/^[A-Z]{3}$/u, { expected: "a currency such as USD" }))

/** Stands for a card. It goes to the processor and nowhere else: redacted, so that no log or message shows it. */
export const CardToken = Schema.RedactedFromValue(
  Schema.String.check(Schema.isPattern(/^tok_[A-Za-z0-9_]{1,100}$/u, { expected: "a card token" }))
)

export const DeclineCode = Schema.Literals(["insufficient_funds", "card_expired", "card_declined", "generic_decline"])
export type DeclineCode = typeof DeclineCode.Type

export const AuthorizePayment = Schema.Struct({
  orderId: OrderId,
  amountCents: Cents,
  currency: Currency,
  token: CardToken
}).annotate({ identifier: "AuthorizePayment" })
export type AuthorizePayment = typeof AuthorizePayment.Type

export const PaymentAuthorized = Schema.Struct({
  orderId: OrderId,
  authorizationId: AuthorizationId,
  amountCents: Cents,
  authorizedAt: Schema.DateTimeUtc
})
export type PaymentAuthorized = typeof PaymentAuthorized.Type

export const CapturePayment = Schema.Struct({ orderId: OrderId, amountCents: Cents }).annotate({
  identifier: "CapturePayment"
})
export type CapturePayment = typeof CapturePayment.Type

export const PaymentCaptured = Schema.Struct({
  orderId: OrderId,
  captureId: CaptureId,
  amountCents: Cents,
  capturedAt: Schema.DateTimeUtc
})
export type PaymentCaptured = typeof PaymentCaptured.Type

export const CancelPayment = Schema.Struct({ orderId: OrderId }).annotate({ identifier: "CancelPayment" })
export type CancelPayment = typeof CancelPayment.Type

/**
 * How the customer has the money back: a hold was lifted (`voided`), what was taken was paid back (`refunded`), or neither
 * was needed (`nothing`).
 */
export const PaymentReturned = Schema.Struct({
  orderId: OrderId,
  returned: Schema.Literals(["nothing", "voided", "refunded"]),
  amountCents: Schema.Int
})
export type PaymentReturned = typeof PaymentReturned.Type

/** The processor will not hold the money. */
export class PaymentDeclined extends Schema.TaggedError<PaymentDeclined>()("PaymentDeclined", {
  orderId: OrderId,
  declineCode: DeclineCode
}) {}

export const CaptureRefusal = Schema.Literals([
  "unknown_payment",
  "not_authorized",
  "over_authorized",
  "capture_declined"
])

/** The money cannot be taken, and never will be under this key. */
export class CaptureRefused extends Schema.TaggedError<CaptureRefused>()("CaptureRefused", {
  orderId: OrderId,
  reason: CaptureRefusal
}) {}

/** The payment was cancelled before, whether there was one by then or not. */
export class PaymentCancelled extends Schema.TaggedError<PaymentCancelled>()("PaymentCancelled", {
  orderId: OrderId
}) {}

export const authorizePayment = Command.make("authorize-payment", {
  description: "Asks the processor to hold an amount.",
  payload: AuthorizePayment,
  success: PaymentAuthorized,
  errors: [PaymentDeclined, PaymentCancelled],
  key: ofOrder
})

export const capturePayment = Command.make("capture-payment", {
  description: "Takes what is held, once, or a part of it.",
  payload: CapturePayment,
  success: PaymentCaptured,
  errors: [CaptureRefused, PaymentCancelled],
  key: ofOrder
})

/** Undoes authorize-payment and capture-payment: voids what is held, refunds what was taken. */
export const cancelPayment = Command.make("cancel-payment", {
  description: "Gives the money back, whatever had happened to it; nothing is held or taken for the order afterwards.",
  payload: CancelPayment,
  success: PaymentReturned,
  errors: [],
  key: ofOrder
})

export const commandsGroup = HttpApiGroup.make("commands")
  .add(authorizePayment.endpoint, capturePayment.endpoint, cancelPayment.endpoint)
  .annotate(OpenApi.Description, "What other services ask of payment, in batches.")
