/**
 * What an audit has found: for each invariant what was looked at, and what is wrong; and what still moves.
 */
import * as Welcome from "@ecommerce/stack/Welcome"

export interface Finding {
  readonly invariant: string
  /** How many things were looked at. */
  readonly looked: number
  readonly violations: ReadonlyArray<string>
}

export interface Report {
  readonly findings: ReadonlyArray<Finding>
  /** What is on its way still, and within its bounds: nothing is said about it. */
  readonly moving: ReadonlyArray<string>
}

export const isClean = ({ findings }: Report): boolean => findings.every(({ violations }) => violations.length === 0)

/** So many examples of each are told. */
const mostTold = 5

export const render = ({ findings, moving }: Report): string => {
  const rows = findings.map(({ invariant, looked, violations }) => [
    violations.length === 0 ? "ok" : "FAILS",
    invariant,
    String(looked),
    String(violations.length)
  ])
  const examples = findings.flatMap(({ invariant, violations }) =>
    violations.length === 0
      ? []
      : [
          "",
          `  ${invariant}:`,
          ...violations.slice(0, mostTold).map((violation) => `    ${violation}`),
          ...(violations.length > mostTold ? [`    … and ${violations.length - mostTold} more`] : [])
        ]
  )
  return [
    "",
    Welcome.columns(["", "invariant", "looked at", "violations"], rows),
    ...examples,
    ...(moving.length === 0 ? [] : ["", `  Not quiet yet: ${moving.join(", ")}.`])
  ].join("\n")
}
