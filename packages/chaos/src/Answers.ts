/**
 * How a customer reads what an edge answers. Pure.
 */
import { FailureReason, LedgerPage, LedgerStatus } from "@ecommerce/contracts/Edge/Ledger"
import { Option, Schema } from "effect"
import type { HttpClientResponse } from "effect/http"

import type { Answer } from "./Record.ts"

export interface Answered {
  readonly response: HttpClientResponse.HttpClientResponse
  readonly body: string
}

/** It was too much, or is not clear, and to be asked again. Of an accepted order nobody says that it is not authorized yet. */
export const isLater = ({ body, response: { status } }: Answered) =>
  status === 429 || status === 503 || (status === 409 && !body.includes("order_not_authorized_yet"))

/** To who has placed an order: nothing where this should not have been answered. */
export const answerOf = ({ body, response: { headers, status } }: Answered): Answer | undefined => {
  if (status !== 202 && status !== 402) return undefined
  const orderId = Option.getOrUndefined(decodeNamed(body))?.order_ledger_id
  return orderId === undefined
    ? undefined
    : { status, body, orderId, isReplay: headers["idempotent-replayed"] === "true" }
}

const decodeNamed = Schema.decodeUnknownOption(Schema.fromJsonString(Schema.Struct({ order_ledger_id: Schema.String })))
export const decodeStanding = Schema.decodeUnknownEffect(Schema.fromJsonString(Schema.Struct({ status: LedgerStatus })))
export const decodeFailure = Schema.decodeUnknownEffect(
  Schema.fromJsonString(Schema.Struct({ reason: Schema.NullOr(FailureReason) }))
)
export const noFailure = { reason: null }
export const decodePage = Schema.decodeUnknownEffect(Schema.fromJsonString(Schema.toCodecJson(LedgerPage)))
