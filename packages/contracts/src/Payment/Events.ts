/**
 * What payment tells the others. The subject is the order; a card token is in none of them.
 */
import * as Event from "@ecommerce/outbox/Event"
import { Schema } from "effect"

import { OrderId } from "../Ids.ts"
import { AuthorizationId, CaptureId, CaptureRefusal, Cents, Currency, DeclineCode } from "./Commands.ts"

const ofPayment = { orderId: OrderId, authorizationId: AuthorizationId, amountCents: Cents, currency: Currency }

export const paymentAuthorized = Event.make("payment.authorized", Schema.Struct(ofPayment))

export const paymentDeclined = Event.make("payment.declined", Schema.Struct({ ...ofPayment, declineCode: DeclineCode }))

export const paymentCaptured = Event.make("payment.captured", Schema.Struct({ ...ofPayment, captureId: CaptureId }))

export const captureRefused = Event.make(
  "payment.capture_refused",
  Schema.Struct({ orderId: OrderId, amountCents: Cents, reason: CaptureRefusal })
)

export const paymentVoided = Event.make("payment.voided", Schema.Struct(ofPayment))

export const paymentRefunded = Event.make("payment.refunded", Schema.Struct({ ...ofPayment, captureId: CaptureId }))
