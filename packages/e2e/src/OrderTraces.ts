/**
 * What "one order is one trace" means, of the spans that a collector has received.
 */
import type { Span } from "@ecommerce/telemetry/Received"

/** Of each order what is wrong with its trace; nothing where every one has a single trace, with spans of all these services. */
export const complaints = (
  spans: ReadonlyArray<Span>,
  orderIds: ReadonlyArray<string>,
  services: ReadonlyArray<string>
): ReadonlyArray<string> => {
  const byOrder = Map.groupBy(spans, ({ attributes }) => attributes["order.id"])
  return orderIds.flatMap((orderId) => {
    const named = byOrder.get(orderId) ?? []
    const traces = new Set(named.map(({ traceId }) => traceId))
    if (traces.size !== 1) return [`order ${orderId} has ${traces.size} traces: ${[...traces].join(", ")}`]
    const present = new Set(named.map(({ service }) => service))
    const missing = services.filter((service) => !present.has(service))
    return missing.length === 0 ? [] : [`the trace of order ${orderId} has no span of ${missing.join(", ")}`]
  })
}
