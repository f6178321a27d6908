/**
 * The lock behind `ServiceToken`: compares what a caller shows with every valid token, in constant time.
 */
import { createHash, timingSafeEqual } from "node:crypto"

import { Unauthorized } from "@ecommerce/protocol/GeneralProblems"
import { ServiceToken } from "@ecommerce/protocol/ServiceToken"
import { Effect, Layer, Redacted } from "effect"

import * as Settings from "./Settings.ts"

export const layer = Layer.effect(
  ServiceToken,
  Effect.gen(function* () {
    const valid = (yield* Settings.serviceTokens.read).map(digest)
    return ServiceToken.of({
      bearer: (answer, { credential }) => {
        const shown = digest(credential)
        // Every token is compared, and digests have one length: the time taken tells nothing about how near a guess was.
        const matches = valid.filter((token) => timingSafeEqual(token, shown)).length
        return matches > 0 ? answer : Effect.fail(new Unauthorized())
      }
    })
  })
)

const digest = (token: Redacted.Redacted<string>) => createHash("sha256").update(Redacted.value(token)).digest()
