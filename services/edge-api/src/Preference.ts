/**
 * What a client prefers of its answer (RFC 7240): `Prefer: wait=10` asks to hear of the order's end, if it comes by then.
 *
 * It is no part of what is asked: the order, its key and its stored answer do not know of it.
 */
import { LedgerOrder } from "@ecommerce/contracts/Edge/Ledger"
import { respond } from "@ecommerce/protocol/Idempotency"
import { Duration, Effect, Option, Schema } from "effect"
import { HttpServerResponse } from "effect/http"

import type { Placed } from "./Checkout.ts"
import type { Following } from "./Following.ts"

const longestWaitSeconds = 30
const isWait = /^wait\s*=\s*"?([0-9]{1,9})"?$/iu

/** None where nothing is said of it, or nothing that can be understood: a preference is never an error. */
const waitIn = (prefer: string | undefined): number | undefined => {
  // Preferences are separated by commas; what comes behind a semicolon belongs to the one before it.
  const preferences = (prefer ?? "").split(",").map((preference) => preference.split(";")[0]?.trim() ?? "")
  const [, seconds] = preferences.map((preference) => isWait.exec(preference)).find((found) => found !== null) ?? []
  return seconds === undefined ? undefined : Math.min(Number(seconds), longestWaitSeconds)
}

/** The answer to a placed order, by the client's preference. */
export const answer = Effect.fnUntraced(function* (
  placed: Placed,
  prefer: string | undefined,
  following: Following["Service"]
) {
  const first = respond(placed)
  // A refusal is the order's end.
  if (placed.status !== 202) return first
  const accepted = HttpServerResponse.setHeader(first, "location", `/orders/${placed.orderId}`)
  const seconds = waitIn(prefer)
  if (seconds === undefined) return accepted
  return yield* following.untilEnd(placed.orderId, Duration.seconds(seconds)).pipe(
    Effect.map(Option.match({ onNone: () => accepted, onSome: inFull })),
    Effect.map(HttpServerResponse.setHeader("preference-applied", `wait=${seconds}`)),
    // A preference that cannot be honoured is passed over.
    Effect.catchTag("TooManyWatchers", () => Effect.succeed(accepted))
  )
})

const encodeOrder = Schema.encodeSync(Schema.fromJsonString(Schema.toCodecJson(LedgerOrder)))

const inFull = (order: LedgerOrder) =>
  HttpServerResponse.text(encodeOrder(order), { status: 200, contentType: "application/json" })
