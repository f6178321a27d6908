/**
 * The settings of services in a run: those of production, but for what would make a run of minutes one of hours.
 */

/** What a zombie has to sleep through, and a little. */
export const pauseMillis = 5500

/** How long it sleeps on until somebody has taken over what it had, where the machine is slow. */
export const longestTakeover = "10 seconds"

/** How long runs are held back until the first of their sagas has turned back. */
export const longestHold = "20 seconds"

/** For how long some orders cannot be stored by the orchestrator. */
export const poisonMillis = 2500

export const settings: Readonly<Record<string, string>> = {
  LOG_FORMAT: "json",
  LOG_LEVEL: "Info",
  RATE_LIMIT: "1000000",
  // Leases of 3 to 4 seconds instead of 15.
  SAGA_LEASE: "3 seconds",
  CHECKOUT_LEASE: "4 seconds",
  AUTHORIZE_WITHIN: "2500 millis",
  STEP_TIMEOUT: "2500 millis",
  // Patience of 10 seconds instead of 100.
  RETRY_BASE_DELAY_MS: "300",
  RETRY_BACKOFF_MULTIPLIER: "2",
  RETRY_MAX_DELAY: "3 seconds",
  STUCK_AFTER_ATTEMPTS: "100",
  // What payment is not sure of is asked sooner.
  RECONCILE_EVERY: "3 seconds",
  RECONCILE_AFTER: "5 seconds",
  PROCESSOR_BREAKER_PAUSE: "1 second",
  MOCK_LATENCY_MS: "50",
  MOCK_FAILURE_RATE: "0.05",
  MOCK_LOST_REPLY_RATE: "0.02"
}
