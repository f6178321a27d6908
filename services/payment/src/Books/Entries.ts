/**
 * What is missing in our books, seen from what the processor says: rules without a database.
 */
import type { CaptureId, DeclineCode } from "@ecommerce/contracts/Payment/Commands"

import type { PaymentState } from "../Books.ts"
import type { ProcessorRecord } from "../Processor.ts"

export type Entry =
  | { readonly entry: "authorized" }
  | { readonly entry: "declined"; readonly declineCode: DeclineCode | "reversed" }
  | { readonly entry: "captured"; readonly captureId: CaptureId; readonly amountCents: number }
  | { readonly entry: "capture_refused" }
  | { readonly entry: "voided" }
  | { readonly entry: "refunded"; readonly captureId: CaptureId; readonly amountCents: number }

/** In the order in which they happened. A capture that nobody intended is left to the reconciliation. */
export const missingEntries = (payment: PaymentState, record: ProcessorRecord): ReadonlyArray<Entry> => {
  const { authorizedCents, captureIsRefused, capturedCents, declineCode, refundedCents, state } = record
  if (state === "UNKNOWN") return []
  const { captureId } = payment
  const decided: Entry =
    authorizedCents > 0 ? { entry: "authorized" } : { entry: "declined", declineCode: declineCode ?? "reversed" }
  const taken: ReadonlyArray<Entry> =
    captureId === null || capturedCents === 0 ? [] : [{ entry: "captured", captureId, amountCents: capturedCents }]
  const givenBack: ReadonlyArray<Entry> =
    captureId === null || refundedCents === 0 ? [] : [{ entry: "refunded", captureId, amountCents: refundedCents }]
  return [
    ...(payment.decidedAt === null ? [decided] : []),
    ...(payment.capturedAt === null ? taken : []),
    ...(captureIsRefused && captureId !== null && payment.captureRefusal === null
      ? [{ entry: "capture_refused" } as const]
      : []),
    ...(state === "VOIDED" && authorizedCents > 0 && payment.voidedAt === null ? [{ entry: "voided" } as const] : []),
    ...(payment.refundedAt === null ? givenBack : [])
  ]
}
