/**
 * What the others hear of what was posted, and what is counted of it.
 */
import * as Events from "@ecommerce/contracts/Payment/Events"
import type { NewEvent } from "@ecommerce/outbox/Event"
import { Effect, Metric } from "effect"

import type { Posting } from "../Books.ts"

type Traces = ReadonlyMap<string, string | null>

export const eventsOf = (postings: ReadonlyArray<Posting>, traces: Traces) =>
  postings.flatMap((posting) => eventOf(posting, traces))

const eventOf = ({ entry, payment, version }: Posting, traces: Traces): NewEvent | ReadonlyArray<never> => {
  const { amountCents, authorizationId, currency, orderId } = payment
  if (authorizationId === null || amountCents === null || currency === null) return []
  const about = { subject: orderId, version, traceparent: traces.get(orderId) }
  const data = { orderId, authorizationId, amountCents, currency }
  switch (entry.entry) {
    case "authorized":
      return Events.paymentAuthorized.of({ ...about, data })
    case "declined":
      // Cancelled before the processor had heard of it: nothing happened.
      if (entry.declineCode === "reversed") return []
      return Events.paymentDeclined.of({ ...about, data: { ...data, declineCode: entry.declineCode } })
    case "captured":
      return Events.paymentCaptured.of({
        ...about,
        data: { ...data, captureId: entry.captureId, amountCents: entry.amountCents }
      })
    case "capture_refused":
      return Events.captureRefused.of({
        ...about,
        data: { orderId, amountCents: payment.captureCents ?? amountCents, reason: "capture_declined" }
      })
    case "voided":
      return Events.paymentVoided.of({ ...about, data })
    case "refunded":
      return Events.paymentRefunded.of({
        ...about,
        data: { ...data, captureId: entry.captureId, amountCents: entry.amountCents }
      })
  }
}

const failures = Metric.counter("payment_failures_total", {
  description: "Authorizations that were declined and captures that were refused by the processor, by reason.",
  incremental: true
})

export const countFailures = (postings: ReadonlyArray<Posting>) =>
  Effect.forEach(
    postings,
    ({ entry }) => {
      if (entry.entry === "declined") return countFailure("authorize", entry.declineCode)
      return entry.entry === "capture_refused" ? countFailure("capture", "capture_declined") : Effect.void
    },
    { discard: true }
  )

const countFailure = (operation: string, reason: string) =>
  Metric.update(Metric.withAttributes(failures, { operation, reason }), 1)
