/**
 * How work that is done for many at once is told: each order's own work in that order's trace, and what is shared in a
 * span of the batch, the two linked to each other.
 *
 * A batch of one shares nothing: its work is a part of the one's own trace. Where nothing is exported none of this is done.
 */
import { Context, Effect, Exit, Option, Predicate, Tracer } from "effect"

type Attributes = Readonly<Record<string, unknown>>

/** The span in which this is asked. */
export const here: Effect.Effect<Tracer.AnySpan | undefined> = Effect.withFiber((fiber) =>
  Effect.succeed(Context.getOrUndefined(fiber.context, Tracer.ParentSpan))
)

/** Nobody would see a span. */
const isOff = Effect.map(Tracer.Tracer, (tracer) => tracer === Tracer.nativeTracer)

/** Loops that look for work again and again, and what is asked again and again: a trace of each look would tell nothing. */
export const untold = Effect.withTracerEnabled(false)

/** Work that was found by a loop of that kind. */
export const told = Effect.withTracerEnabled(true)

/** A span of its own for this work, where anybody would see it. */
export const span =
  (name: string, options: () => Tracer.SpanOptionsNoTrace) =>
  <A, E, R>(work: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.flatMap(isOff, (off) => (off ? work : Effect.withSpan(work, name, { ...options(), ...untraceable })))

/** Where it was asked for is no secret here, and finding that out costs more than all the rest. */
const untraceable = { captureStackTrace: false }

/** Work that belongs to this one; to nothing where there is none. */
export const within =
  (parent: Tracer.AnySpan | undefined) =>
  <A, E, R>(work: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    parent === undefined ? work : Effect.withParentSpan(work, parent, untraceable)

/** Work that is done at once on behalf of these spans. */
export const together =
  (name: string, ones: ReadonlyArray<Tracer.AnySpan | undefined>, attributes: Attributes = {}) =>
  <A, E, R>(work: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.flatMap(isOff, (off) => {
      if (off) return work
      const spans = ones.filter((one) => one !== undefined)
      const [first] = spans
      if (ones.length === 1 && first !== undefined) return told(Effect.withParentSpan(work, first, untraceable))
      const sampled = spans.filter((one) => one.sampled)
      return told(
        Effect.useSpan(
          name,
          {
            root: true,
            sampled: sampled.length > 0,
            links: sampled.slice(0, mostLinks).map(linkTo),
            attributes: { "batch.size": ones.length, ...attributes }
          },
          (batch) => {
            if (batch.sampled) for (const one of sampled) if (one._tag === "Span") one.addLinks([linkTo(batch)])
            return Effect.withParentSpan(work, batch, untraceable)
          }
        )
      )
    })

export interface Item {
  readonly name: string
  /** What it belongs to; undefined where nobody knows. */
  readonly parent: Tracer.AnySpan | undefined
  readonly attributes: Attributes
}

/**
 * Work that is done at once for items that came from elsewhere, each in a trace of its own: a span in each of these traces, for as
 * long as the work takes, linked to the span in which this is asked (the batch's) or below it, where that is of the same trace.
 */
export const eachOf =
  (kind: Tracer.SpanKind, items: ReadonlyArray<Item>) =>
  <A, E, R>(
    work: Effect.Effect<A, E, R>,
    /** Of each item what was wrong with it; undefined where nothing was. */
    failures: (answer: A) => ReadonlyArray<unknown> = () => []
  ): Effect.Effect<A, E, R> =>
    Effect.flatMap(Effect.all([isOff, here]), ([off, batch]) => {
      if (off) return work
      return Effect.flatMap(
        Effect.forEach(items, ({ attributes, name, parent }) =>
          parent === undefined
            ? Effect.undefined
            : told(
                Effect.makeSpan(name, {
                  kind,
                  attributes,
                  ...(batch !== undefined && batch.traceId === parent.traceId
                    ? { parent: batch }
                    : { parent, links: batch !== undefined && batch.sampled ? [linkTo(batch)] : [] })
                })
              )
        ),
        (spans) =>
          withOnly(work, spans).pipe(
            Effect.onExit((exit) =>
              Effect.map(nanos, (now) => {
                const failed = Exit.isSuccess(exit) ? failures(exit.value) : []
                for (const [place, span] of spans.entries()) {
                  if (span === undefined) continue
                  const failure = failed[place]
                  const own = failure === undefined ? Exit.void : Exit.fail(failure)
                  span.end(now, Exit.isSuccess(exit) ? own : exit)
                }
              })
            )
          )
      )
    })

/** One alone has all of the work below it. */
const withOnly = <A, E, R>(work: Effect.Effect<A, E, R>, spans: ReadonlyArray<Tracer.AnySpan | undefined>) => {
  const [only] = spans
  return only === undefined || spans.length > 1 ? work : Effect.withParentSpan(work, only, untraceable)
}

/** Said of what is done here, and of what it is a part of in this process: the request, at the top. */
export const about = (attributes: Attributes): Effect.Effect<void> =>
  Effect.map(here, (span) => {
    for (let one = span; one?._tag === "Span"; one = Option.getOrUndefined(one.parent)) {
      for (const [key, value] of Object.entries(attributes)) one.attribute(key, value)
    }
  })

/** Work of others that this concerns: the two traces name each other, theirs by a span of its own. */
export const concerning = (name: string, others: ReadonlyArray<Tracer.AnySpan>, attributes: Attributes = {}) =>
  Effect.flatMap(Effect.all([isOff, here]), ([off, own]) => {
    if (off || own?._tag !== "Span") return Effect.void
    own.addLinks(others.map(linkTo))
    return Effect.forEach(
      others,
      (parent) => Effect.withSpan(Effect.void, name, { parent, links: [linkTo(own)], attributes }),
      { discard: true }
    )
  })

/** The ids that a command, an event or a saga's input names, as spans and log lines name them. */
export const idsIn = (data: unknown): Readonly<Record<string, string>> => {
  const found: Record<string, string> = {}
  if (!Predicate.isObject(data)) return found
  for (const [key, name] of ids) {
    const id = Predicate.hasProperty(data, key) ? data[key] : undefined
    if (Predicate.isString(id)) found[name] = id
  }
  return found
}

const ids = [
  ["orderId", "order.id"],
  ["sagaId", "saga.id"],
  ["productId", "product.id"]
] as const

const nanos = Effect.clockWith((clock) => clock.currentTimeNanos)

/** By its ids alone: spans that name each other would keep each other, and all that they were linked with, for ever. */
export const linkTo = ({ sampled, spanId, traceId }: Tracer.AnySpan): Tracer.SpanLink => ({
  span: Tracer.externalSpan({ sampled, spanId, traceId }),
  attributes: {}
})

/** As many as OpenTelemetry has by default. */
const mostLinks = 128
