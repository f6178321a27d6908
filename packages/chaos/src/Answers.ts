/**
 * How a customer reads what an edge answers. Pure.
 */
import { FailureReason, LedgerPage, LedgerStatus } from "@ecommerce/contracts/Edge/Ledger"
import { Option, Schema } from "effect"
import type { HttpClientResponse } from "effect/http"

import type { Answer } from "./Record.ts"

/** It was too much, or is not clear, and to be asked again. */
export const isLater = ({ status }: HttpClientResponse.HttpClientResponse) =>
  status === 409 || status === 429 || status === 503

export const meaningOf = (
  response: HttpClientResponse.HttpClientResponse,
  body: string
): Answer | "later" | "strange" => {
  const { headers, status } = response
  if (isLater(response)) return "later"
  if (status !== 202 && status !== 402) return "strange"
  const orderId = Option.getOrUndefined(decodeNamed(body))?.order_ledger_id
  return orderId === undefined
    ? "strange"
    : { status, body, orderId, isReplay: headers["idempotent-replayed"] === "true" }
}

const decodeNamed = Schema.decodeUnknownOption(Schema.fromJsonString(Schema.Struct({ order_ledger_id: Schema.String })))
export const decodeStanding = Schema.decodeUnknownEffect(Schema.fromJsonString(Schema.Struct({ status: LedgerStatus })))
export const decodeFailure = Schema.decodeUnknownEffect(
  Schema.fromJsonString(Schema.Struct({ reason: Schema.NullOr(FailureReason) }))
)
export const noFailure = { reason: null }
export const decodePage = Schema.decodeUnknownEffect(Schema.fromJsonString(Schema.toCodecJson(LedgerPage)))
