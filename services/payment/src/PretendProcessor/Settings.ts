/**
 * How the pretend processor behaves.
 */
import * as Settings from "@ecommerce/chassis/Settings"
import { Config, Duration, Effect, Random, Schema } from "effect"

const rate = (key: string, fallback: number, about: string) =>
  Settings.setting({
    key,
    about,
    expected: "a share from 0 to 1",
    fallback: String(fallback),
    config: (name) => Config.schema(Share, name)
  })
const Share = Schema.NumberFromString.check(Schema.isBetween({ minimum: 0, maximum: 1 }))
const Millis = Schema.NumberFromString.check(Schema.isInt(), Schema.isBetween({ minimum: 0, maximum: 60_000 }))

export const latency = Settings.setting({
  key: "MOCK_LATENCY_MS",
  about: "How long the pretend processor takes for each operation, in milliseconds.",
  expected: "a whole number of milliseconds up to 60000",
  fallback: "100",
  config: (name) => Config.schema(Millis, name)
})
export const failureRate = rate(
  "MOCK_FAILURE_RATE",
  0.05,
  "How often the pretend processor is away: it answers so before it does anything."
)
export const lostReplyRate = rate(
  "MOCK_LOST_REPLY_RATE",
  0,
  "How often the pretend processor does its work and the reply is lost."
)
export const seed = Settings.text("MOCK_SEED", "ecommerce", "Decides when it is away and which replies are lost.")

export const read = Effect.gen(function* () {
  const chosen = yield* seed.read
  const random = yield* Random.withSeed(Random.Random, chosen)
  return {
    latency: Duration.millis(yield* latency.read),
    failureRate: yield* failureRate.read,
    lostReplyRate: yield* lostReplyRate.read,
    /** Draws from the seed's own sequence, whatever else draws in this process. */
    random: Effect.provideService(Random.Random, random)
  }
})
