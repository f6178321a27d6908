/**
 * A saga's definition: what is done, step by step, and beside each step how it is undone.
 *
 * A definition is data. It reads as the story of what happens when all goes well; undos that are owed from the start (what was
 * done before the saga began) are named first. A step that has no way back is declared as such, and only such steps may follow
 * it: the types have no `step` behind `forward`. Each step sees the input and what the steps before it have answered.
 *
 * A run or an undo fails with tagged errors. `Unavailable` says that nobody knows whether it happened: it is asked again.
 * Every other one is a definite no.
 */
import { Result, Schema } from "effect"

import { type Plan, wayBack } from "./Plan.ts"
import { type Forward, type Perform, type Stored, Undoable } from "./Saga/Story.ts"

/** A saga that is to begin, or has. */
export interface NewSaga extends Stored {
  readonly definition: string
  readonly definitionVersion: number
  /** Unique among the sagas of its definition: it begins once, however often it is asked for. */
  readonly key: string
  readonly traceparent: string | null
}

/** What the engine knows of a definition: nothing of what its inputs and results are. */
export interface Definition<R = never> {
  readonly name: string
  /** Raised where sagas that are under way could not go on with the new steps: both may be given to the engine. */
  readonly version: number
  readonly plan: Plan
  readonly runs: ReadonlyMap<string, Perform<R>>
  readonly undos: ReadonlyMap<string, Perform<R>>
  /** Whether this can be a step's result, as it would be stored. */
  readonly mayResult: (step: string, result: unknown) => boolean
  /** What begins where a saga is to be cancelled that has no way back any more, or is completed. */
  readonly afterwards: ((stored: Stored) => NewSaga) | undefined
}

export interface Saga<Input, R> extends Definition<R> {
  /** One that is to begin: `placeOrder.of(order)`. */
  readonly of: (input: Input, traceparent?: string | null) => NewSaga
}

export interface Declaration<Input> {
  readonly version: number
  readonly input: Schema.Codec<Input, unknown>
  readonly key: (input: Input) => string
  /** The saga that takes back what this one has completed. */
  readonly cancelledBy?: (input: Input) => NewSaga
}

/** A saga of this name: `Saga.make("book-trip", { version: 1, … }, (story) => story.step("book-flight", …)…)`. */
export const make = <Input, R>(
  name: string,
  declaration: Declaration<Input>,
  tell: (story: Undoable<Input, object, never, never>) => Forward<Input, object, R>
): Saga<Input, R> => {
  const { cancelledBy, key, version } = declaration
  const codec = Schema.toCodecJson(declaration.input)
  const encode = Schema.encodeUnknownSync(codec)
  const decode = Schema.decodeUnknownResult(codec)
  const { owed, results, runs, steps, undos } = tell(
    new Undoable({
      inputOf: ({ input }) => decode(input),
      resultsOf: () => Result.succeed({}),
      owed: [],
      steps: [],
      runs: [],
      undos: [],
      results: []
    })
  ).parts
  const names = [...owed, ...steps.map((step) => step.name)]
  if (steps.length === 0 || new Set(names).size < names.length) {
    throw new Error(`The steps and owed undos of ${name} need names, and each a name of its own`)
  }
  const mayResult = new Map(results)
  return {
    name,
    version,
    plan: { owed, steps },
    runs: new Map(runs),
    undos: new Map(undos),
    mayResult: (step, result) => mayResult.get(step)?.(result) ?? true,
    afterwards: cancelledBy === undefined ? undefined : ({ input }) => cancelledBy(Result.getOrThrow(decode(input))),
    of: (input, traceparent = null) => ({
      definition: name,
      definitionVersion: version,
      key: key(input),
      input: encode(input),
      results: {},
      traceparent
    })
  }
}

/** The steps and ways back of a saga, as Mermaid draws them. */
export const diagram = ({ name, plan }: Definition<unknown>): string => {
  const runs = plan.steps.map(({ name: step }) => step)
  const undos = plan.steps.some(({ undo }) => undo !== "none") ? wayBack(plan, runs.at(-1) ?? null, true) : []
  const idOf = (kind: "run" | "undo", step: string | undefined) =>
    step === undefined ? "failed" : `${kind}_${step.replaceAll(/[^A-Za-z0-9]/gu, "_")}`
  const pairs = (names: ReadonlyArray<string>) => names.slice(1).map((next, place) => [names[place], next] as const)
  return [
    "flowchart TD",
    `  begin([${name}]) --> ${idOf("run", runs[0])}`,
    ...plan.steps.map(
      ({ name: step, undo }) => `  ${idOf("run", step)}[${step}]${undo === "none" ? ":::forward" : ""}`
    ),
    ...pairs(runs).map(([step, next]) => `  ${idOf("run", step)} --> ${idOf("run", next)}`),
    `  ${idOf("run", runs.at(-1))} --> completed([COMPLETED])`,
    ...plan.steps
      .filter(({ undo }) => undo !== "none")
      .map(({ name: step }) => `  ${idOf("run", step)} -. refused .-> ${idOf("undo", wayBack(plan, step, false)[0])}`),
    ...undos.map((step) => `  ${idOf("undo", step)}[/undo: ${step}/]`),
    ...pairs(undos).map(([step, next]) => `  ${idOf("undo", step)} -. if begun .-> ${idOf("undo", next)}`),
    ...undos.slice(-1).map((step) => `  ${idOf("undo", step)} -.-> failed([FAILED])`),
    "  classDef forward stroke-width:3px",
    ""
  ].join("\n")
}
