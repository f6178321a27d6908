/**
 * What a run was like, as a table and as JSON.
 */
import { isClean, render as renderFindings } from "@ecommerce/audit/Report"
import * as Welcome from "@ecommerce/stack/Welcome"

import { missingIn, type Seen, type Sight, sights } from "./Evidence.ts"
import { type Verdict, violationsOf } from "./Verdict.ts"

export interface Outcome {
  readonly seed: number
  /** What it takes to have the same again. */
  readonly secondsAsked: number
  /** As long as it was: a plan's first turns and what had to be seen come also in a shorter time. */
  readonly secondsOfTrouble: number
  readonly edges: number
  readonly orchestrators: number
  /** By kind, how often. */
  readonly faults: Readonly<Record<string, number>>
  readonly seen: Seen
  readonly secondsToQuiet: number
  /** The bound for that. */
  readonly secondsAllowed: number
  readonly errorsLogged: number
  readonly verdict: Verdict
}

/** It is six of ten, in two minutes of trouble as in twenty: the others are cancelled, not to be had, or undone for want of patience. */
const leastCompleted = 0.1

/** What is wrong with the run: nothing, or a sentence each. */
export const complaints = ({ secondsAllowed, secondsToQuiet, seen, verdict }: Outcome): ReadonlyArray<string> => [
  ...(violationsOf(verdict) > 0 ? [`${violationsOf(verdict)} violations`] : []),
  ...complaintsOfStakes(verdict.tally),
  ...complaintsOfRest(verdict.moving, secondsToQuiet, secondsAllowed),
  ...missingIn(seen).map((sight) => `never seen: ${sights[sight]}`)
]

/** Where nearly nothing is sold, nothing is at stake. */
const complaintsOfStakes = ({ accepted, ends }: Verdict["tally"]) => {
  const completed = ends["COMPLETED"] ?? 0
  return completed > 0 && completed >= leastCompleted * accepted
    ? []
    : [`only ${completed} of ${accepted} accepted orders were completed`]
}

/** The last look is taken however late it is, and may find rest: the bound is a promise of its own. */
const complaintsOfRest = (moving: ReadonlyArray<string>, took: number, allowed: number) => {
  if (moving.length > 0) return [`it did not come to rest: ${moving.join(", ")}`]
  return took > allowed ? [`it came to rest after ${took.toFixed(1)} s of ${allowed} s`] : []
}

export const render = (outcome: Outcome): string => {
  const { errorsLogged, faults, secondsAllowed, secondsAsked, secondsOfTrouble, secondsToQuiet, seen, verdict } =
    outcome
  const { tally } = verdict
  const rows = (counts: Readonly<Record<string, number>>, prefix = "") =>
    Object.entries(counts)
      .toSorted(([one], [other]) => one.localeCompare(other))
      .map(([what, count]) => [`${prefix}${what}`, String(count)])
  const names = Object.keys(sights).filter((name): name is Sight => Object.hasOwn(sights, name))
  const found = complaints(outcome)
  return [
    "",
    Welcome.columns(["trouble", "times"], rows(faults)),
    "",
    Welcome.columns(
      ["orders", "count"],
      [
        ["asked for", String(tally.asked)],
        ["accepted", String(tally.accepted)],
        ["declined", String(tally.declined)],
        ...rows(tally.ends),
        ...rows(tally.failures, "failed: "),
        ["requests sent again", String(tally.retried)],
        ["answers replayed", String(tally.replayed)],
        ["errors logged by services", String(errorsLogged)]
      ]
    ),
    "",
    Welcome.columns(
      ["has to be seen", "times"],
      names.map((name) => [sights[name], String(seen[name])])
    ),
    renderFindings({ findings: verdict.findings, moving: verdict.moving }),
    "",
    `  At rest ${secondsToQuiet.toFixed(1)} s after ${secondsOfTrouble.toFixed(0)} s of trouble, of ${secondsAllowed} s allowed.`,
    `  ${violationsOf(verdict)} violations. ${found.length === 0 && isClean(verdict) ? "All is well" : `NOT WELL: ${found.join("; ")}`}.`,
    `  Again: npm run chaos -- --seconds ${secondsAsked} --seed ${outcome.seed}`
  ].join("\n")
}
