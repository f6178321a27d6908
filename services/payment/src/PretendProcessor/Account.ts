/**
 * What an operation does to a payment at the pretend processor: rules without a database.
 */
import type { ProcessorRecord } from "../Processor.ts"
import type { Card } from "./Cards.ts"

/** A payment with how its card behaves. */
export interface Account extends ProcessorRecord, Card {}

export type Operation =
  | { readonly operation: "authorize"; readonly amountCents: number; readonly card: Card }
  | { readonly operation: "capture"; readonly amountCents: number }
  | { readonly operation: "void" }
  | { readonly operation: "refund"; readonly amountCents: number }

/** The account afterwards. What cannot be done changes nothing, except that a refused capture is remembered. */
export const apply = (account: Account, request: Operation): Account => {
  switch (request.operation) {
    case "authorize": {
      if (account.state !== "UNKNOWN") return account
      const { amountCents, card } = request
      return card.declineCode === null
        ? { ...account, ...card, state: "AUTHORIZED", authorizedCents: amountCents }
        : { ...account, ...card, state: "DECLINED" }
    }
    case "capture": {
      if (account.state !== "AUTHORIZED" || account.captureIsRefused) return account
      return account.refusesCapture || request.amountCents > account.authorizedCents
        ? { ...account, captureIsRefused: true }
        : { ...account, state: "CAPTURED", capturedCents: request.amountCents }
    }
    case "void": {
      return account.state === "UNKNOWN" || account.state === "AUTHORIZED" ? { ...account, state: "VOIDED" } : account
    }
    case "refund": {
      return account.state === "CAPTURED" && request.amountCents <= account.capturedCents
        ? { ...account, state: "REFUNDED", refundedCents: request.amountCents }
        : account
    }
  }
}
