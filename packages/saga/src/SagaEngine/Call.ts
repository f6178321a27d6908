/**
 * One call of a step: whatever comes of it is an outcome.
 */
import { Duration, Effect } from "effect"

import type * as Decide from "../Decide.ts"
import type { Definition } from "../Saga.ts"
import type { Held } from "../SagaStore/Rows.ts"
import * as Telling from "./Telling.ts"

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
    // For its span a failure, for the saga an outcome like any other.
    Effect.flatMap((outcome) => (outcome._tag === "Done" ? Effect.succeed(outcome) : Effect.fail(outcome))),
    Telling.inStep(saga, state),
    Effect.catch((outcome) => Effect.succeed(outcome)),
    Effect.timed,
    Effect.tap(([took, { _tag }]) => Telling.tellDuration(saga, state, took, _tag))
  )
}

const unavailable = (detail: string): Decide.Outcome => ({ _tag: "Unavailable", detail })
