/**
 * The third party that moves the money, as payment needs it: five operations, each for one payment.
 *
 * Every operation has a key, and happens once for it at the processor's side too. It answers the payment's record as it
 * stands there, and that record decides, whatever our own rows say: our books are brought up to it (`Books.ts`).
 * No answer is `ProcessorUnavailable`: it may or may not have happened.
 */
import type { AuthorizationId, DeclineCode } from "@ecommerce/contracts/Payment/Commands"
import { Context, type Effect, type Redacted, Schema } from "effect"

export class ProcessorUnavailable extends Schema.TaggedError<ProcessorUnavailable>()("ProcessorUnavailable", {
  reason: Schema.String
}) {}

/** A payment in the processor's books. */
export interface ProcessorRecord {
  readonly reference: AuthorizationId
  /** UNKNOWN: the processor has never heard of it. VOIDED also without ever having been authorized. */
  readonly state: "UNKNOWN" | "AUTHORIZED" | "DECLINED" | "CAPTURED" | "VOIDED" | "REFUNDED"
  readonly authorizedCents: number
  readonly capturedCents: number
  readonly refundedCents: number
  readonly declineCode: DeclineCode | null
  readonly captureIsRefused: boolean
}

interface Request {
  readonly key: string
  readonly reference: AuthorizationId
}

type Answer = Effect.Effect<ProcessorRecord, ProcessorUnavailable>

export class Processor extends Context.Service<
  Processor,
  {
    readonly authorize: (
      request: Request & { readonly amountCents: number; readonly token: Redacted.Redacted<string> }
    ) => Answer
    /** Refused after a void, and where the card refuses it; the record tells. */
    readonly capture: (request: Request & { readonly amountCents: number }) => Answer
    /** Of what is held, or was never heard of: no authorization of it succeeds afterwards. Refused after a capture. */
    readonly void: (request: Request) => Answer
    readonly refund: (request: Request & { readonly amountCents: number }) => Answer
    /** Only looks. Those that the processor has never heard of are UNKNOWN. */
    readonly lookup: (
      references: ReadonlyArray<AuthorizationId>
    ) => Effect.Effect<ReadonlyArray<ProcessorRecord>, ProcessorUnavailable>
    /** Everything that the processor knows, page by page, in the order of the references. */
    readonly list: (page: {
      readonly after: string
      readonly limit: number
    }) => Effect.Effect<ReadonlyArray<ProcessorRecord>, ProcessorUnavailable>
  }
>()("@ecommerce/payment/Processor") {}
