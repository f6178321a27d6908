/**
 * One call of a step: whatever comes of it is an outcome.
 */
import * as Traceparent from "@ecommerce/protocol/Traceparent"
import { Duration, Effect, Option } from "effect"

import type * as Decide from "../Decide.ts"
import type { Definition } from "../Saga.ts"
import type { Held } from "../SagaStore/Rows.ts"

/** The step that the saga is at, as a part of the saga's trace; and how long it took. What dies, or takes too long, may have happened. */
export const callStep = <R>(
  { runs, undos }: Definition<R>,
  saga: Held,
  state: Decide.State,
  timeout: Duration.Duration
): Effect.Effect<[Duration.Duration, Decide.Outcome], never, R> => {
  const perform = (state.status === "COMPENSATING" ? undos : runs).get(state.step ?? "")
  const asked =
    perform === undefined
      ? Effect.succeed(unavailable(`${saga.definition} has no step ${state.step}`))
      : perform({ input: saga.input, results: state.results })
  return asked.pipe(
    Effect.timeoutOrElse({
      duration: timeout,
      orElse: () => Effect.succeed(unavailable(`There was no answer within ${Duration.format(timeout)}.`))
    }),
    Effect.catchDefect((defect) =>
      Effect.as(
        Effect.logError(`${saga.definition} died in ${state.step}`, defect),
        unavailable(defect instanceof Error ? defect.message : "It died.")
      )
    ),
    Effect.withSpan(`${saga.definition} ${state.step}`, {
      ...Option.match(Traceparent.spanOf(saga.traceparent), { onNone: () => ({}), onSome: (parent) => ({ parent }) }),
      attributes: {
        "saga.id": saga.id,
        "saga.key": saga.key,
        "saga.step": state.step,
        "saga.attempt": state.attempts + 1
      }
    }),
    Effect.timed
  )
}

const unavailable = (detail: string): Decide.Outcome => ({ _tag: "Unavailable", detail })
