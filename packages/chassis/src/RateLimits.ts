/**
 * Counts behind `RateLimit`: so many requests a minute from one client, in each process.
 *
 * A client is an address: the one that is connected, or, behind proxies that are trusted (`TRUSTED_PROXIES`), the one that
 * they vouch for. It may use its whole minute at once, and then as fast as it comes back. The limiter of Effect was left:
 * its store in memory never forgets a client.
 */
import { RateLimit, TooManyRequests } from "@ecommerce/protocol/RateLimit"
import { Clock, Effect, Layer, Option } from "effect"
import { HttpEffect, HttpServerRequest, HttpServerResponse } from "effect/http"

import * as Settings from "./Settings.ts"

export interface Budget {
  readonly isExceeded: boolean
  readonly remaining: number
  /** Until one more request fits, and until all of them do again. */
  readonly retryAfterSeconds: number
  readonly resetSeconds: number
}

const window = 60_000

/** For each client one number: when all that it has used will have come back. */
export const makeBudgets = (limit: number) => {
  const each = window / limit
  const usedUntil = new Map<string, number>()
  let nextForgetting = 0

  const forget = (now: number) => {
    if (now < nextForgetting) return
    nextForgetting = now + window
    for (const [client, until] of usedUntil) if (until <= now) usedUntil.delete(client)
  }

  return (client: string, now: number): Budget => {
    forget(now)
    const before = Math.max(usedUntil.get(client) ?? 0, now)
    const after = before + each
    // Half a request of tolerance: what is added up here is no binary fraction.
    const isExceeded = after - now > window + each / 2
    if (!isExceeded) usedUntil.set(client, after)
    const used = (isExceeded ? before : after) - now
    return {
      isExceeded,
      remaining: Math.max(0, Math.floor((window - used) / each + 0.5)),
      retryAfterSeconds: Math.max(1, Math.ceil((after - now - window) / 1000)),
      resetSeconds: Math.ceil(used / 1000)
    }
  }
}

export const layer = Layer.effect(
  RateLimit,
  Effect.gen(function* () {
    const limit = yield* Settings.rateLimit.read
    const spend = makeBudgets(limit)
    return RateLimit.of((answer) =>
      Effect.gen(function* () {
        const { remoteAddress } = yield* HttpServerRequest.HttpServerRequest
        const now = yield* Clock.currentTimeMillis
        const budget = spend(
          Option.getOrElse(remoteAddress, () => "unknown"),
          now
        )
        yield* HttpEffect.appendPreResponseHandler((_request, response) =>
          Effect.succeed(HttpServerResponse.setHeaders(response, headersOf(limit, budget)))
        )
        return yield* budget.isExceeded ? Effect.fail(new TooManyRequests()) : answer
      })
    )
  })
)

const headersOf = (limit: number, { isExceeded, remaining, resetSeconds, retryAfterSeconds }: Budget) => ({
  "ratelimit-limit": String(limit),
  "ratelimit-remaining": String(remaining),
  "ratelimit-reset": String(resetSeconds),
  ...(isExceeded ? { "retry-after": String(retryAfterSeconds) } : {})
})
