/**
 * The lock behind `ServiceToken`: compares what a caller shows with every valid token, in constant time.
 */
import { createHash, timingSafeEqual } from "node:crypto"

import { Unauthorized } from "@ecommerce/protocol/GeneralProblems"
import { ServiceToken } from "@ecommerce/protocol/ServiceToken"
import { Effect, Layer, Redacted } from "effect"

import * as Settings from "./Settings.ts"

/** Whether what somebody shows is one of the tokens. */
export const lock = Effect.map(Settings.serviceTokens.read, (tokens) => {
  const valid = tokens.map(digest)
  return (credential: Redacted.Redacted<string>) => {
    const shown = digest(credential)
    // Every token is compared, and digests have one length: the time taken tells nothing about how near a guess was.
    const matches = valid.filter((token) => timingSafeEqual(token, shown)).length
    return matches > 0
  }
})

export const layer = Layer.effect(
  ServiceToken,
  Effect.map(lock, (isValid) =>
    ServiceToken.of({
      bearer: (answer, { credential }) => (isValid(credential) ? answer : Effect.fail(new Unauthorized()))
    })
  )
)

const digest = (token: Redacted.Redacted<string>) => createHash("sha256").update(Redacted.value(token)).digest()
