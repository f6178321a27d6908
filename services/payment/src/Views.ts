/**
 * Payments as people and other services see them: where they stand, and everything that happened to them.
 */
import type { Payment, PaymentEntry, PaymentStatus } from "@ecommerce/contracts/Payment/Payments"
import { DateTime } from "effect"

import type { PaymentState } from "./Books.ts"

/** Undefined for a row without an authorization: a tombstone, or a refused capture. */
export const viewOf = (payment: PaymentState): Payment | undefined => {
  const { amountCents, authorizationId, cancelledAt, captureId, createdAt, currency, orderId } = payment
  if (authorizationId === null || amountCents === null || currency === null) return undefined
  return {
    authorizationId,
    orderId,
    status: statusOf(payment),
    amountCents,
    currency,
    captureId,
    createdAt,
    cancelledAt,
    history: historyOf(payment, amountCents)
  }
}

const statusOf = (payment: PaymentState): PaymentStatus => {
  const { cancelledAt, capturedAt, decidedAt, declineCode, refundedAt, voidedAt } = payment
  if (refundedAt !== null) return "REFUNDED"
  if (voidedAt !== null || declineCode === "reversed") return "VOIDED"
  if (declineCode !== null) return "DECLINED"
  if (cancelledAt !== null) return "CANCELLING"
  if (capturedAt !== null) return "CAPTURED"
  return decidedAt === null ? "AUTHORIZING" : "AUTHORIZED"
}

const historyOf = (payment: PaymentState, amount: number): ReadonlyArray<PaymentEntry> => {
  const { capturedAt, capturedCents, captureRefusal, captureRefusedAt, captureRefusedCents, decidedAt, declineCode } =
    payment
  const { refundedAt, refundedCents, voidedAt } = payment
  const entry = (
    name: PaymentEntry["entry"],
    at: PaymentEntry["at"] | null,
    cents: number | null,
    detail: string | null
  ) => (at === null ? [] : [{ entry: name, amountCents: cents ?? 0, detail, at }])
  return [
    ...entry(declineCode === null ? "authorized" : "declined", decidedAt, amount, declineCode),
    ...entry("captured", capturedAt, capturedCents, null),
    ...entry("capture_refused", captureRefusedAt, captureRefusedCents, captureRefusal),
    ...entry("voided", voidedAt, amount, null),
    ...entry("refunded", refundedAt, refundedCents, null)
  ].toSorted((a, b) => DateTime.toEpochMillis(a.at) - DateTime.toEpochMillis(b.at))
}
