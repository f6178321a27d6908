/**
 * What a run of `npm run endure` has found, as a person reads it, and as a program does.
 */
import * as Welcome from "@ecommerce/stack/Welcome"
import { Schema } from "effect"

import { type Finding, judgedSeconds, tooShort } from "./Rules.ts"
import { written } from "./Statistics.ts"

export const Findings = Schema.Struct({
  /** Orders completed a second. */
  capacity: Schema.Number,
  parts: Schema.Array(
    Schema.Struct({
      title: Schema.String,
      findings: Schema.Array(
        Schema.Struct({
          name: Schema.String,
          unit: Schema.String,
          found: Schema.Array(Schema.Number),
          wanted: Schema.String,
          isKept: Schema.Boolean
        })
      )
    })
  )
})
export type Findings = typeof Findings.Type

export const encode = Schema.encodeSync(Schema.fromJsonString(Findings))

export const broken = ({ parts }: Findings): ReadonlyArray<Finding> =>
  parts.flatMap(({ findings }) => findings.filter(({ isKept }) => !isKept))

/** What was found once stands where others have what they were at the end. */
const rowOf = ({ found, isKept, name, unit, wanted }: Finding) => {
  const [first = "", middle = "", last = ""] =
    found.length === 1 ? ["", "", written(found[0] ?? Number.NaN)] : found.map(written)
  return [isKept ? "" : "BROKEN", name, first, middle, last, unit, wanted]
}

export const render = (findings: Findings): string =>
  [
    "",
    `  Capacity: ${written(findings.capacity)} orders a second`,
    ...findings.parts.flatMap(({ findings: rows, title }) => [
      "",
      `  ${title}`,
      "",
      Welcome.columns(["", "", "first", "middle", "last", "unit", "wanted"], rows.map(rowOf))
    ]),
    "",
    `  ${verdictOn(findings)}`
  ].join("\n")

const verdictOn = (findings: Findings) => {
  const count = broken(findings).length
  if (count > 0) return count === 1 ? "1 rule is broken." : `${count} rules are broken.`
  const isWhole = findings.parts.every((part) => part.findings.every(({ wanted }) => wanted !== tooShort))
  return isWhole
    ? "Every rule is kept."
    : `Every rule that was judged is kept. Trends were not: that takes ${judgedSeconds / 60} minutes.`
}
