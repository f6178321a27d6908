/**
 * The tracer of a service whose spans are exported: which of them are recorded, and those that are kept although they were not.
 *
 * The sampler decides when a trace begins. A trace that is left out is held for a while all the same: where one of its orders
 * fails, or somebody else says so (by the sampled flag of a traceparent), what is held of it is exported, and what comes later.
 */
import { Cause, Exit, Option, Tracer } from "effect"

import { HeldSpans } from "./HeldSpans.ts"
import type { Sampler } from "./Sampler.ts"

export interface Options {
  readonly sampler: Sampler
  /** How many spans of traces that were left out are held for the case that they fail; 0 for none. */
  readonly mostHeld: number
  /** Gets each span that is recorded, when it ends. */
  readonly record: (span: EndedSpan) => void
}

export const make = ({ mostHeld, record, sampler }: Options): Tracer.Tracer => {
  const held = mostHeld > 0 && !sampler.isAll ? new HeldSpans<EndedSpan>(mostHeld, record) : undefined

  const ended = (span: EndedSpan) => {
    if (span.isDropped) return
    if (span.sampled) return record(span)
    if (held === undefined) return
    held.add(span.traceId, span)
    if (isFailureOfSomething(span)) held.keep(span.traceId)
  }

  const isSampled = (options: SpanOptions, traceId: string) => {
    const parent = Option.getOrUndefined(options.parent)
    if (parent?._tag === "Span") return options.sampled && parent.sampled
    if (parent !== undefined) return sampler.child(parent.sampled, traceId)
    // A statement that belongs to nothing: of a loop that looks for work, or of a start.
    if (options.kind === "client") return false
    // Of a batch whoever begins it knows whether one of its items is recorded.
    return options.sampled && (options.links.length > 0 || sampler.root(traceId))
  }

  return Tracer.make({
    span: (options) => {
      const span = new EndedSpan(options, ended)
      span.sampled = isSampled(options, span.traceId)
      // Somebody who had it from us says that it is worth keeping.
      if (span.sampled) held?.release(span.traceId)
      return span
    }
  })
}

type SpanOptions = Parameters<Tracer.Tracer["span"]>[0]

/** An attribute with this name says that the span is not worth telling of: a request that was turned away unread. */
export const dropped = "telemetry.dropped"

/** As Effect makes them, and with an end that somebody hears of. */
export class EndedSpan extends Tracer.NativeSpan {
  override sampled: boolean
  readonly #ended: (span: EndedSpan) => void

  constructor(options: SpanOptions, ended: (span: EndedSpan) => void) {
    super(options)
    this.sampled = options.sampled
    this.#ended = ended
  }

  get isDropped() {
    return this.attributes.has(dropped)
  }

  override end(endTime: bigint, exit: Exit.Exit<unknown, unknown>): void {
    if (this.status._tag === "Ended") return
    // What it succeeded with, rows above all, is not kept until it is exported.
    super.end(endTime, Exit.isSuccess(exit) ? Exit.void : exit)
    this.#ended(this)
  }
}

/** Of an order, or of a request that was answered with 5xx: other refusals are everyday. */
const isFailureOfSomething = (span: EndedSpan) => {
  if (span.status._tag !== "Ended" || !isFailure(span.status.exit)) return false
  return span.kind === "server" || span.attributes.has("order.id")
}

export const isFailure = (exit: Exit.Exit<unknown, unknown>): exit is Exit.Failure<unknown, unknown> =>
  Exit.isFailure(exit) && !Cause.hasInterruptsOnly(exit.cause)
