/**
 * Counts behind `RateLimit`: so many requests a minute from one client, in each process.
 *
 * A client is an address: the one that is connected, or, behind proxies that are trusted (`TRUSTED_PROXIES`), the one that
 * they vouch for. It may use its whole minute at once, and then as fast as it comes back. The limiter of Effect was left:
 * its store in memory never forgets a client.
 */
import { RateLimit, TooManyRequests } from "@ecommerce/protocol/RateLimit"
import { Clock, Effect, Layer, Option, Result } from "effect"
import { HttpEffect, HttpServerRequest, HttpServerResponse } from "effect/http"
import { IpNetwork, NetAddress } from "effect/net"

import * as Settings from "./Settings.ts"

export interface Budget {
  readonly isExceeded: boolean
  readonly remaining: number
  /** Until one more request fits, and until all of them do again. */
  readonly retryAfterSeconds: number
  readonly resetSeconds: number
}

export const rateLimit = Settings.count(
  "RATE_LIMIT",
  60_000,
  "How many requests a minute one client may send to one process, where anybody may ask."
)

const window = 60_000

/**
 * A request costs a minute's worth of shares, and each millisecond gives as many shares back as requests may come in a
 * minute: whole numbers, so that nothing is lost in adding them up.
 */
export const makeBudgets = (limit: number) => {
  const most = window * limit
  const clients = new Map<string, { used: number; at: number }>()
  let nextForgetting = 0

  const usedBy = (client: string, now: number) => {
    const { at, used } = clients.get(client) ?? { at: now, used: 0 }
    return Math.max(0, used - Math.max(0, now - at) * limit)
  }

  const forget = (now: number) => {
    if (now < nextForgetting) return
    nextForgetting = now + window
    for (const client of clients.keys()) if (usedBy(client, now) === 0) clients.delete(client)
  }

  return (client: string, now: number): Budget => {
    forget(now)
    const before = usedBy(client, now)
    const isExceeded = before + window > most
    const used = isExceeded ? before : before + window
    clients.set(client, { used, at: now })
    return {
      isExceeded,
      remaining: Math.floor((most - used) / window),
      retryAfterSeconds: Math.max(1, Math.ceil((before + window - most) / limit / 1000)),
      resetSeconds: Math.ceil(used / limit / 1000)
    }
  }
}

export const layer = Layer.effect(
  RateLimit,
  Effect.gen(function* () {
    const limit = yield* rateLimit.read
    const spend = makeBudgets(limit)
    return RateLimit.of((answer) =>
      Effect.gen(function* () {
        const { remoteAddress } = yield* HttpServerRequest.HttpServerRequest
        const now = yield* Clock.currentTimeMillis
        const budget = spend(Option.match(remoteAddress, { onNone: () => "unknown", onSome: clientAt }), now)
        yield* HttpEffect.appendPreResponseHandler((_request, response) =>
          Effect.succeed(HttpServerResponse.setHeaders(response, headersOf(limit, budget)))
        )
        return yield* budget.isExceeded ? Effect.fail(new TooManyRequests()) : answer
      })
    )
  })
)

/** Whoever has one IPv6 address has as many as they like of the same network. (One with dots in it is IPv4's.) */
const clientAt = (address: string) =>
  address.includes(":") && !address.includes(".")
    ? NetAddress.ipFromString(address).pipe(
        Result.flatMap((ip) => IpNetwork.fromAddress(ip, 64)),
        Result.match({ onFailure: () => address, onSuccess: IpNetwork.format })
      )
    : address

const headersOf = (limit: number, { isExceeded, remaining, resetSeconds, retryAfterSeconds }: Budget) => ({
  "ratelimit-limit": String(limit),
  "ratelimit-remaining": String(remaining),
  "ratelimit-reset": String(resetSeconds),
  ...(isExceeded ? { "retry-after": String(retryAfterSeconds) } : {})
})
