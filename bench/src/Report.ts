/**
 * Results as a person reads them: one table a group, the goals, and what has changed since another bench.
 */
import * as Welcome from "@ecommerce/stack/Welcome"

import { type Figure, medianOf, type Results } from "./Figures.ts"
import { spread, written } from "./Statistics.ts"

const rowOf = ({ runs, title, unit }: Figure) => {
  const found = spread(runs)
  return found === undefined
    ? [title, "", "", "", unit]
    : [title, written(found.min), written(found.median), written(found.max), unit]
}

export const render = ({ discarded, figures, isQuick, machine, ratios }: Results): string => {
  const groups = [...new Set(figures.map(({ group }) => group))]
  return [
    "",
    `  ${Object.values(machine).join(", ")}`,
    ...(isQuick ? ["  A quick look: figures of few and short runs."] : []),
    ...groups.flatMap((group) => [
      "",
      `  ${group}`,
      "",
      Welcome.columns(
        ["", "min", "median", "max", "unit"],
        figures.filter((figure) => figure.group === group).map(rowOf)
      )
    ]),
    ...(ratios.length === 0
      ? []
      : [
          "",
          Welcome.columns(
            ["", "ratio", "found", "wanted"],
            ratios.map(({ isReached, name, value, wanted }) => [
              wanted === "" ? "" : isReached ? "ok" : "MISSED",
              name,
              written(value),
              wanted
            ])
          )
        ]),
    ...(discarded.length === 0 ? [] : ["", ...discarded.map((why) => `  Does not count: ${why}`)])
  ].join("\n")
}

const verdict = (ratio: number, better: Figure["better"]) => {
  if (better === "neither" || Math.abs(ratio - 1) < 0.05) return ""
  return ratio > 1 === (better === "more") ? "better" : "worse"
}

/** Median beside median, of what both have measured. */
export const compare = (before: Results, now: Results): string =>
  Welcome.columns(
    ["", "before", "now", "unit", "now : before", ""],
    now.figures.flatMap(({ better, group, id, title, unit }) => {
      const [was, is] = [medianOf(before.figures, id), medianOf(now.figures, id)]
      if (was === undefined || is === undefined || was === 0) return []
      const ratio = is / was
      return [[`${group}: ${title}`, written(was), written(is), unit, ratio.toFixed(2), verdict(ratio, better)]]
    })
  )
