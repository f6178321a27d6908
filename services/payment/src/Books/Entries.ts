/**
 * What is missing in our books, seen from what the processor says: rules without a database.
 */
import { CaptureId, type DeclineCode } from "@ecommerce/contracts/Payment/Commands"
import { Schema } from "effect"

import type { PaymentState } from "../Books.ts"
import type { ProcessorRecord } from "../Processor.ts"

export type Entry =
  | { readonly entry: "authorized" }
  | { readonly entry: "declined"; readonly declineCode: DeclineCode | "reversed" }
  | { readonly entry: "captured"; readonly captureId: CaptureId; readonly amountCents: number }
  | { readonly entry: "capture_refused" }
  | { readonly entry: "voided" }
  | { readonly entry: "refunded"; readonly captureId: CaptureId; readonly amountCents: number }

/**
 * In the order in which they happened. A capture that nobody here intended, or of more than was asked for, is left to the
 * reconciliation, except where the money has to be given back: then it is posted, so that it can be refunded.
 */
export const missingEntries = (payment: PaymentState, record: ProcessorRecord): ReadonlyArray<Entry> => {
  const { authorizedCents, captureIsRefused, capturedCents, declineCode, refundedCents, state } = record
  if (state === "UNKNOWN") return []
  const captureId = captureIdOf(payment)
  const decided: Entry =
    authorizedCents > 0 ? { entry: "authorized" } : { entry: "declined", declineCode: declineCode ?? "reversed" }
  const taken: ReadonlyArray<Entry> =
    captureId === null || capturedCents === 0 || capturedCents > (payment.amountCents ?? 0)
      ? []
      : [{ entry: "captured", captureId, amountCents: capturedCents }]
  const givenBack: ReadonlyArray<Entry> =
    captureId === null || refundedCents === 0 || refundedCents > (payment.capturedCents ?? capturedCents)
      ? []
      : [{ entry: "refunded", captureId, amountCents: refundedCents }]
  return [
    ...(payment.decidedAt === null ? [decided] : []),
    ...(payment.capturedAt === null ? taken : []),
    ...(captureIsRefused && captureId !== null && payment.captureRefusal === null
      ? [{ entry: "capture_refused" } as const]
      : []),
    ...(state === "VOIDED" && authorizedCents > 0 && payment.voidedAt === null ? [{ entry: "voided" } as const] : []),
    ...(payment.refundedAt === null && (payment.capturedAt !== null || taken.length > 0) ? givenBack : [])
  ]
}

const captureIdOf = ({ authorizationId, cancelledAt, captureId }: PaymentState) =>
  captureId ??
  (cancelledAt === null || authorizationId === null ? null : decodeCaptureId(authorizationId.replace("auth_", "cap_")))

const decodeCaptureId = Schema.decodeSync(CaptureId)
