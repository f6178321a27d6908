/**
 * The orchestrator's settings, in one place.
 */
import * as Settings from "@ecommerce/chassis/Settings"
import type { Policy } from "@ecommerce/saga/Policy"
import { Duration, Effect } from "effect"

export const pollEvery = Settings.count(
  "POLL_INTERVAL_MS",
  200,
  "How often it is looked for due sagas when nobody has said that there are some, in milliseconds."
)

export const attempts = Settings.count(
  "MAX_RETRY_ATTEMPTS",
  5,
  "How often a step that can be undone is tried, the first time included; then the order is undone."
)

export const delay = Settings.count(
  "RETRY_BASE_DELAY_MS",
  1000,
  "How long it is waited before the second attempt of a step, in milliseconds."
)

export const multiplier = Settings.count(
  "RETRY_BACKOFF_MULTIPLIER",
  4,
  "How many times as long it is waited before each further attempt."
)

export const longestDelay = Settings.duration(
  "RETRY_MAX_DELAY",
  "64 seconds",
  "How long it is waited between two attempts at the longest."
)

export const stuckAfter = Settings.count(
  "STUCK_AFTER_ATTEMPTS",
  8,
  "After how many attempts an undo, or a step with no way back, is called stuck; it is tried all the same."
)

export const deadline = Settings.duration(
  "SAGA_DEADLINE",
  "10 minutes",
  "How long an order's saga has until its money is taken; then it is undone."
)

export const sagasAtOnce = Settings.count(
  "SAGAS_AT_ONCE",
  1000,
  "How many sagas one process works on at the same time."
)

export const stepTimeout = Settings.duration(
  "STEP_TIMEOUT",
  "15 seconds",
  "How long a step may take; then nobody knows whether it happened. Longer than a batch of commands takes."
)

export const lease = Settings.duration(
  "SAGA_LEASE",
  "15 seconds",
  "After how long without a sign of life others take over what this process works on."
)

export const policy = Effect.gen(function* () {
  const read: Policy = {
    attempts: yield* attempts.read,
    delayMillis: yield* delay.read,
    multiplier: yield* multiplier.read,
    longestDelayMillis: Duration.toMillis(yield* longestDelay.read),
    stuckAfter: yield* stuckAfter.read,
    mostClaims: 5
  }
  return read
})
