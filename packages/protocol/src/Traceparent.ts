/**
 * The trace to which a piece of work belongs, as W3C Trace Context writes it: it travels with commands and events, so that
 * what is done later, elsewhere, is found under the order that it was done for.
 */
import { Effect, Option, Tracer } from "effect"

/** Of the span in which this is asked. */
export const current: Effect.Effect<Option.Option<string>> = Effect.map(
  Effect.serviceOption(Tracer.ParentSpan),
  Option.map(({ sampled, spanId, traceId }) => `00-${traceId}-${spanId}-${sampled ? "01" : "00"}`)
)

/** Ids of nothing but zeros, and the version ff, are none. */
export const isTraceparent = (text: string): boolean =>
  /^(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/u.test(text)

/** The span that a traceparent names, for what is done on its behalf. */
export const spanOf = (traceparent: string | null): Option.Option<Tracer.ExternalSpan> => {
  if (traceparent === null || !isTraceparent(traceparent)) return Option.none()
  const [, traceId = "", spanId = "", flags = "00"] = traceparent.split("-")
  return Option.some(Tracer.externalSpan({ traceId, spanId, sampled: (Number.parseInt(flags, 16) & 1) === 1 }))
}

/** The same, and recorded from here on whatever was decided when it began: it has become worth it. */
export const keep = (traceparent: string | null) => traceparent?.replace(/-[0-9a-f]{2}$/u, "-01") ?? null

/** In every answer: the trace in which it was made, to be looked up by. */
export const traceIdHeader = "trace-id"
