/**
 * What the others hear of what was posted.
 */
import * as Events from "@ecommerce/contracts/Payment/Events"
import type { NewEvent } from "@ecommerce/outbox/Event"

import type { Posting } from "../Books.ts"

export const eventsOf = (
  postings: ReadonlyArray<Posting>,
  traces: ReadonlyMap<string, string | null>
): ReadonlyArray<NewEvent> =>
  postings.flatMap(({ entry, payment, version }) => {
    const { amountCents, authorizationId, currency, orderId } = payment
    if (authorizationId === null || amountCents === null || currency === null) return []
    const about = { subject: orderId, version, traceparent: traces.get(orderId) }
    const data = { orderId, authorizationId, amountCents, currency }
    switch (entry.entry) {
      case "authorized":
        return [Events.paymentAuthorized.of({ ...about, data })]
      case "declined":
        // An authorization that was cancelled before the processor had heard of it: nothing happened.
        return entry.declineCode === "reversed"
          ? []
          : [Events.paymentDeclined.of({ ...about, data: { ...data, declineCode: entry.declineCode } })]
      case "captured":
        return [Events.paymentCaptured.of({ ...about, data: { ...data, ...taken(entry) } })]
      case "capture_refused":
        return [Events.captureRefused.of({ ...about, data: { orderId, amountCents, reason: "capture_declined" } })]
      case "voided":
        return [Events.paymentVoided.of({ ...about, data })]
      case "refunded":
        return [Events.paymentRefunded.of({ ...about, data: { ...data, ...taken(entry) } })]
    }
  })

const taken = <A extends { readonly captureId: unknown; readonly amountCents: number }>({
  amountCents,
  captureId
}: A): Pick<A, "captureId" | "amountCents"> => ({ amountCents, captureId })
