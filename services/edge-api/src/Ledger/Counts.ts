/**
 * What is counted of orders: each state that ends one way or the other, once, when it is committed.
 */
import type { FailureReason, LedgerStatus } from "@ecommerce/contracts/Edge/Ledger"
import { Effect, Metric } from "effect"

const created = Metric.counter("orders_created_total", {
  description: "Orders whose money is held: they were answered with 202.",
  incremental: true
})
const completed = Metric.counter("orders_completed_total", {
  description: "Orders that went all the way.",
  incremental: true
})
const failed = Metric.counter("orders_failed_total", {
  description: "Orders that failed, at their authorization or later, by reason.",
  incremental: true
})
const cancelled = Metric.counter("orders_cancelled_total", {
  description: "Orders that their customers took back.",
  incremental: true
})
const duration = Metric.histogram("order_duration_seconds", {
  description: "From when an order came in to when its end was in the ledger, by outcome.",
  boundaries: [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300],
  attributes: { unit: "s" }
})

export interface Became {
  readonly status: LedgerStatus
  readonly reason: FailureReason | null
  readonly ageSeconds: number
}

const countOne = ({ ageSeconds, reason, status }: Became): Effect.Effect<void> => {
  const after = (outcome: string) => Metric.update(Metric.withAttributes(duration, { outcome }), ageSeconds)
  switch (status) {
    case "AUTHORIZED":
      return Metric.update(created, 1)
    case "COMPLETED":
      return Effect.andThen(Metric.update(completed, 1), after("completed"))
    case "CANCELLED":
      return Effect.andThen(Metric.update(cancelled, 1), after("cancelled"))
    case "FAILED":
    case "AUTHORIZATION_FAILED":
      return Effect.andThen(
        Metric.update(Metric.withAttributes(failed, { reason: reason?.code ?? "unknown" }), 1),
        after("failed")
      )
    default:
      return Effect.void
  }
}

export const count = (states: ReadonlyArray<Became>) => Effect.forEach(states, countOne, { discard: true })
