/**
 * A request on its way from a draft to its answer.
 */
import * as Events from "@ecommerce/contracts/Edge/Events"
import type { FailureReason } from "@ecommerce/contracts/Edge/Ledger"
import type { OrderId, UserId } from "@ecommerce/contracts/Ids"
import { type PricedLine, totalOf } from "@ecommerce/contracts/Orders/Lifecycle"
import type { NewEvent } from "@ecommerce/outbox/Event"
import { type Array as Arr, type Redacted, Schema } from "effect"

/** A request whose order is not in the ledger yet. */
export interface Draft {
  readonly key: string
  readonly digest: string
  readonly token: Redacted.Redacted<string>
  readonly traceparent: string | null
  readonly userId: UserId
  readonly email: string
  readonly lines: Arr.NonEmptyReadonlyArray<PricedLine>
}

/** An order without an answer, on which we are at work: we hold its lease in this epoch. */
export interface OpenOrder {
  readonly orderId: OrderId
  readonly epoch: number
  readonly userId: UserId
  readonly email: string
  readonly lines: Arr.NonEmptyReadonlyArray<PricedLine>
  readonly currency: string
  readonly token: Redacted.Redacted<string>
  readonly traceparent: string | null
}

/** What is known of a key. */
export interface Kept {
  readonly orderId: OrderId
  readonly digest: string
  readonly stage: Stage
  /** Somebody is at work on it, or was until a moment ago. */
  readonly isLeased: boolean
  readonly status: number | null
  readonly body: string | null
}

/** How an order's authorization went, and the answer to its request. */
export interface Decision {
  readonly order: OpenOrder
  /** None where the money is held. */
  readonly failure: FailureReason | null
  readonly status: number
  readonly body: string
}

export const Stage = Schema.Literals(["OPEN", "MARKED", "LAPSING"])
export type Stage = typeof Stage.Type

/** What the others are told of a decision, which brought the order to this version. */
export const eventOf = ({ failure, order }: Decision, version: number): NewEvent => {
  const { currency, email, lines: items, orderId, traceparent, userId } = order
  const about = { subject: orderId, version, traceparent }
  return failure === null
    ? Events.orderAuthorized.of({
        ...about,
        data: { orderId, userId, email, items, totalCents: totalOf(items), currency }
      })
    : Events.authorizationFailed.of({ ...about, data: { orderId, userId, reason: failure } })
}
