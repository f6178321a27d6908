/**
 * What an engine tells of its sagas: a span for as long as it has one and one for each call of a step, how long steps take, and a line
 * for whatever changes.
 *
 * A saga that goes back, or does not get on, is recorded even where its trace was left out: from then on whatever is asked of others
 * carries the sampled flag, so that they export what they hold of it.
 */
import * as Traceparent from "@ecommerce/protocol/Traceparent"
import * as Trace from "@ecommerce/telemetry/Trace"
import { Duration, Effect, Metric, Option, Tracer } from "effect"

import type * as Decide from "../Decide.ts"
import type { Held } from "../SagaStore/Rows.ts"

export const attributesOf = ({ definition, epoch, id, input, key }: Held) => ({
  ...Trace.idsIn(input),
  "saga.id": id,
  "saga.key": key,
  "saga.definition": definition,
  // Raised by each claim: a second engine's is higher than the first one's.
  "saga.epoch": epoch
})

/** Everything that is done with it, from its claim to when it is let go. */
export const inSaga =
  (saga: Held) =>
  <A, E, R>(work: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Trace.told(
      Trace.within(Option.getOrUndefined(Traceparent.spanOf(traceparentOf(saga, saga.state))))(
        Trace.span(`saga ${saga.definition}`, () => ({ attributes: attributesOf(saga) }))(work)
      )
    )

export const inStep =
  (saga: Held, state: Decide.State) =>
  <A, E, R>(call: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.flatMap(Trace.here, (here) =>
      Trace.span(`${saga.definition} ${state.step}`, () => ({
        ...(here !== undefined && isWorthIt(state) ? { parent: recorded(here) } : {}),
        attributes: {
          ...attributesOf(saga),
          "saga.step": state.step,
          "saga.attempt": state.attempts + 1,
          "saga.direction": directionOf(state)
        }
      }))(call)
    )

const recorded = (span: Tracer.AnySpan) =>
  span.sampled ? span : Tracer.externalSpan({ traceId: span.traceId, spanId: span.spanId, sampled: true })

const isWorthIt = ({ failure, stuck }: Decide.State) => failure !== null || stuck !== null

/** For what others are told of it. */
export const traceparentOf = ({ traceparent }: Pick<Held, "traceparent">, state: Decide.State) =>
  isWorthIt(state) ? Traceparent.keep(traceparent) : traceparent

const directionOf = ({ status }: Decide.State) => (status === "COMPENSATING" ? "undo" : "run")

const stepDuration = Metric.histogram("saga_step_duration_seconds", {
  description: "How long calls of steps took, by saga, step, direction and outcome.",
  boundaries: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
  attributes: { unit: "s" }
})

export const tellDuration = (saga: Held, state: Decide.State, took: Duration.Duration, outcome: string) =>
  Metric.update(
    Metric.withAttributes(stepDuration, {
      saga: saga.definition,
      step: state.step ?? "",
      direction: directionOf(state),
      outcome: outcome.toLowerCase()
    }),
    Duration.toSeconds(took)
  )

const ended = Metric.counter("sagas_ended_total", {
  description: "Sagas that have come to their end, by how.",
  incremental: true
})

/** What has been written down of it, for whoever reads the log. That all goes well step by step is in the journal. */
export const report = (saga: Held, { next, news, state }: Decide.Decision) =>
  Effect.gen(function* () {
    const name = `${saga.definition} ${saga.key}`
    for (const { reason, step, type } of news) {
      const line = `${name}: ${type}${step === null ? "" : ` (${step})`}${reason === null ? "" : `, ${reason.code}`}`
      yield* Effect.logWithLevel(levels[type])(line)
      if (type === "completed" || type === "failed" || type === "cancelled") {
        yield* Metric.update(Metric.withAttributes(ended, { saga: saga.definition, outcome: type }), 1)
      }
    }
    if (next._tag === "Wait") {
      yield* Effect.logInfo(
        `${name}: ${state.step} again in ${Math.round(next.millis)} ms, attempt ${state.attempts + 1}`
      )
    }
  }).pipe(Effect.annotateLogs({ ...Trace.idsIn(saga.input), "saga.id": saga.id }))

const levels: Readonly<Record<Decide.News["type"], "Debug" | "Info" | "Error">> = {
  started: "Info",
  advanced: "Debug",
  compensating: "Info",
  completed: "Info",
  failed: "Info",
  cancelled: "Info",
  stuck: "Error"
}

const takenOver = Metric.counter("saga_takeovers_total", {
  description: "Sagas that were taken from engines that had not said for too long that they live.",
  incremental: true
})

/** So that there is a zero to compare with. */
export const nothingTakenOver = Metric.update(takenOver, 0)

export const reportTakeover = (count: number) =>
  Effect.andThen(
    Metric.update(takenOver, count),
    Effect.logInfo(`Sagas taken from workers whose lease is over: ${count}`)
  )

/** Whoever has it has asked again, and writes what comes of that. */
export const reportLost = ({ definition, key }: Held) =>
  Effect.andThen(
    Metric.update(fenced, 1),
    Effect.logInfo(`${definition} ${key} is in other hands by now: what came of its step here is not written`)
  )

const fenced = Metric.counter("saga_fenced_writes_total", {
  description: "Outcomes that were not written, because the saga was in other hands by then.",
  incremental: true
})
