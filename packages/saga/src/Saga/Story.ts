/**
 * How a saga's definition is told: step after step, each beside what undoes it.
 *
 * The types see to it that no step that can be undone follows one that cannot, and give each step the results of those before.
 */
import { Effect, Result, Schema } from "effect"

import type { Outcome, Reason } from "../Decide.ts"
import type { PlannedStep } from "../Plan.ts"

/** What a step knows: the saga's input, and the results of the steps before. */
export interface Story<Input, Results> {
  readonly input: Input
  readonly results: Results
}

interface Tagged {
  readonly _tag: string
}

/** The same as it is stored. */
export interface Stored {
  readonly input: unknown
  readonly results: Readonly<Record<string, unknown>>
}

export type Perform<R> = (stored: Stored) => Effect.Effect<Outcome, never, R>

interface RunOf<Input, Results, A, E extends Tagged, R> {
  /** What it answers, as it is stored for the steps behind it. */
  readonly result: Schema.Codec<A, unknown>
  readonly run: (story: Story<Input, Results>) => Effect.Effect<A, E, R>
  /** Why, where it is refused: the name of the error, where this has nothing to say. */
  readonly explain?: (refusal: E) => Reason | undefined
}

interface WithUndo<Input, Results, E extends Tagged, R> {
  /** Right also where the run never happened, and where it is still on its way. */
  readonly undo: (story: Story<Input, Results>) => Effect.Effect<unknown, E, R>
}

interface UndoneBy<Owed extends string> {
  /** One of the undos that are owed: every way back begins with it, so that it is not done a second time. */
  readonly undoneBy: Owed
}

type With<Results, Name extends string, A> = {
  [Key in Name | keyof Results]: Key extends keyof Results ? Results[Key] : A
}

interface Parts<Input, Results extends object, R> {
  readonly inputOf: (stored: Stored) => Result.Result<Input, Schema.SchemaError>
  readonly resultsOf: (stored: Stored) => Result.Result<Results, Schema.SchemaError>
  readonly owed: ReadonlyArray<string>
  readonly steps: ReadonlyArray<PlannedStep>
  readonly runs: ReadonlyArray<readonly [string, Perform<R>]>
  readonly undos: ReadonlyArray<readonly [string, Perform<R>]>
  readonly results: ReadonlyArray<readonly [string, (result: unknown) => boolean]>
}

/** A story that has no way back any more. */
export class Forward<Input, Results extends object, R> {
  readonly parts: Parts<Input, Results, R>

  constructor(parts: Parts<Input, Results, R>) {
    this.parts = parts
  }

  /** A step that cannot be undone: it is tried until it is done. */
  forward<Name extends string, A, E extends Tagged, R2>(
    name: Exclude<Name, keyof Results>,
    step: RunOf<Input, Results, A, E, R2>
  ) {
    return new Forward(withStep(this.parts, name, step, "none"))
  }
}

/** A story that can still turn back. */
export class Undoable<Input, Results extends object, Owed extends string, R> extends Forward<Input, Results, R> {
  /** An undo that is owed whatever happens: every way back begins with it. */
  owes<Name extends string, E extends Tagged, R2>(
    name: Name,
    undo: (story: Story<Input, object>) => Effect.Effect<unknown, E, R2>
  ): Undoable<Input, Results, Owed | Name, R | R2> {
    const perform = undoOf(this.parts, undo)
    return new Undoable<Input, Results, Owed | Name, R | R2>({
      ...this.parts,
      owed: [...this.parts.owed, name],
      undos: [...this.parts.undos, [name, perform]]
    })
  }

  step<Name extends string, A, E extends Tagged, R2, E3 extends Tagged = never, R3 = never>(
    name: Exclude<Name, keyof Results>,
    step: RunOf<Input, Results, A, E, R2> & (WithUndo<Input, Results, E3, R3> | UndoneBy<Owed>)
  ): Undoable<Input, With<Results, Name, A>, Owed, R | R2 | R3> {
    if ("undoneBy" in step) return new Undoable(withStep(this.parts, name, step, "owed"))
    // It may have to be undone without anybody knowing what it answered: its undo sees what the run saw.
    const perform = undoOf(this.parts, step.undo)
    const parts = withStep(this.parts, name, step, "own")
    return new Undoable<Input, With<Results, Name, A>, Owed, R | R2 | R3>({
      ...parts,
      undos: [...parts.undos, [name, perform]]
    })
  }
}

const withStep = <Input, Results extends object, R, Name extends string, A, E extends Tagged, R2>(
  parts: Parts<Input, Results, R>,
  name: Exclude<Name, keyof Results>,
  { explain = explainByName, result, run }: RunOf<Input, Results, A, E, R2>,
  undo: PlannedStep["undo"]
): Parts<Input, With<Results, Name, A>, R | R2> => {
  const codec = Schema.toCodecJson(result)
  const encode = Schema.encodeUnknownResult(codec)
  const decode = Schema.decodeUnknownResult(codec)
  const perform: Perform<R2> = (stored) => performed(storyOf(parts, stored), run, explain, (answer) => encode(answer))
  return {
    ...parts,
    steps: [...parts.steps, { name, undo }],
    runs: [...parts.runs, [name, perform]],
    results: [...parts.results, [name, (candidate) => Result.isSuccess(decode(candidate))]],
    resultsOf: (stored) => Result.bind(parts.resultsOf(stored), name, () => decode(stored.results[name]))
  }
}

const undoOf =
  <Input, Results extends object, E extends Tagged, R>(
    parts: Parts<Input, Results, unknown>,
    undo: (story: Story<Input, Results>) => Effect.Effect<unknown, E, R>
  ): Perform<R> =>
  (stored) =>
    performed(storyOf(parts, stored), undo, explainByName, () => Result.succeed(null))

const storyOf = <Input, Results extends object>(
  { inputOf, resultsOf }: Parts<Input, Results, unknown>,
  stored: Stored
): Result.Result<Story<Input, Results>, Schema.SchemaError> =>
  Result.flatMap(inputOf(stored), (input) => Result.map(resultsOf(stored), (results) => ({ input, results })))

/** Whatever comes of it, as an outcome. What dies on the way may have happened. */
const performed = <S, A, E extends Tagged, R>(
  story: Result.Result<S, Schema.SchemaError>,
  perform: (story: S) => Effect.Effect<A, E, R>,
  explain: (refusal: E) => Reason | undefined,
  encode: (answer: A) => Result.Result<unknown, Schema.SchemaError>
): Effect.Effect<Outcome, never, R> =>
  Effect.suspend(() =>
    Result.match(story, {
      // Of another version of the code, perhaps: nothing was asked, and it may be understood later.
      onFailure: ({ message }) => Effect.succeed(unavailable(`What is stored cannot be read: ${message}`)),
      onSuccess: (known) =>
        Effect.matchEffect(
          Effect.suspend(() => perform(known)),
          {
            onSuccess: (answer) =>
              Effect.succeed(
                Result.match(encode(answer), {
                  onSuccess: (result): Outcome => ({ _tag: "Done", result }),
                  onFailure: ({ message }) => unavailable(`The answer cannot be stored: ${message}`)
                })
              ),
            onFailure: (error) =>
              Effect.succeed(
                error._tag === "Unavailable"
                  ? unavailable(detailOf(error) ?? "There was no answer.")
                  : ({ _tag: "Rejected", reason: explain(error) ?? explainByName(error) } satisfies Outcome)
              )
          }
        )
    })
  )

const unavailable = (detail: string): Outcome => ({ _tag: "Unavailable", detail })

/** `StockRefused` is `stock_refused`. */
const explainByName = (refusal: Tagged): Reason => ({
  code: refusal._tag.replaceAll(/(?<=[a-z0-9])(?=[A-Z])/gu, "_").toLowerCase(),
  detail: detailOf(refusal)
})

const detailOf = (error: Tagged): string | null =>
  "reason" in error && typeof error.reason === "string" ? error.reason : null
