/**
 * The shape of a definition: its steps in order, and the ways back from each of them.
 */

export interface Plan {
  /** Undos of what was done before the saga began: every way back begins with them. */
  readonly owed: ReadonlyArray<string>
  readonly steps: ReadonlyArray<PlannedStep>
}

/** `own`: the step has an undo; `owed`: one of the owed undos is its undo; `none`: there is no way back from it. */
export interface PlannedStep {
  readonly name: string
  readonly undo: "own" | "owed" | "none"
}

export const isUndoable = (plan: Plan, step: string | null): boolean => plan.steps[indexOf(plan, step)]?.undo !== "none"

export const stepAfter = (plan: Plan, step: string | null): string | undefined =>
  plan.steps[indexOf(plan, step) + 1]?.name

/** What is undone, in order, where a saga turns back at a step: what is owed, then what was done, the last of it first. */
export const wayBack = (plan: Plan, step: string | null, withStep: boolean): ReadonlyArray<string> => {
  const begun = plan.steps.slice(0, indexOf(plan, step) + (withStep ? 1 : 0)).filter(({ undo }) => undo === "own")
  return [...plan.owed, ...begun.map(({ name }) => name).toReversed()]
}

const indexOf = (plan: Plan, step: string | null) => plan.steps.findIndex(({ name }) => name === step)
