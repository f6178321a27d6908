/**
 * What has to be so, and whether it was: one rule a figure, each with what was found and what was wanted.
 */
import { written } from "./Statistics.ts"
import { growthInAnHour, type Point, secondHalf } from "./Trend.ts"

export interface Finding {
  readonly name: string
  readonly unit: string
  /** Of a figure that was followed: at the beginning, in the middle, at the end. Of one found once, that one. */
  readonly found: ReadonlyArray<number>
  readonly wanted: string
  readonly isKept: boolean
}

export interface Series {
  readonly name: string
  readonly unit: string
  readonly points: ReadonlyArray<Point>
}

const ends = ({ points }: Series): ReadonlyArray<number> => {
  const [first, middle, last] = [points[0], points[Math.floor((points.length - 1) / 2)], points.at(-1)]
  return [first, middle, last].flatMap((point) => (point === undefined ? [] : [point.value]))
}

const midst = (points: ReadonlyArray<Point>) => {
  const sorted = points.map(({ value }) => value).toSorted((one, other) => one - other)
  return sorted[Math.floor((sorted.length - 1) / 2)] ?? Number.NaN
}

/** A trend in less than that is mostly how a process warms up, or when its garbage was last collected. */
export const judgedSeconds = 480

/** Said of a trend that was not judged. */
export const tooShort = "told only: too short for a trend"

/** In an hour it may grow by this share of what it is, or by this much, whichever is more. */
export const staysFlat = (series: Series, allowed: { readonly share: number; readonly atLeast: number }): Finding => {
  const length = series.points.at(-1)?.at ?? 0
  const growth = growthInAnHour(series.points)
  const most = Math.max(allowed.atLeast, allowed.share * midst(secondHalf(series.points)))
  const isJudged = length >= judgedSeconds
  return {
    name: series.name,
    unit: series.unit,
    found: ends(series),
    wanted: isJudged ? `grows by at most ${written(most)} in an hour: ${written(growth)}` : tooShort,
    isKept: series.points.length > 0 && (!isJudged || growth <= most)
  }
}

export const staysBelow = (series: Series, most: number): Finding => ({
  name: series.name,
  unit: series.unit,
  found: ends(series),
  wanted: `at most ${written(most)}`,
  isKept: series.points.length > 0 && series.points.every(({ value }) => value <= most)
})

/** What it is in its second half, in the middle of all values, is no more than so many times what it was in its first. */
export const staysAlike = (series: Series, times: number, atLeast: number): Finding => {
  const half = Math.floor(series.points.length / 2)
  const most = Math.max(atLeast, times * midst(series.points.slice(0, half)))
  const found = midst(series.points.slice(half))
  return {
    name: series.name,
    unit: series.unit,
    found: ends(series),
    wanted: `in its second half at most ${written(most)}: ${written(found)}`,
    isKept: found <= most
  }
}

export const is = (
  name: string,
  unit: string,
  value: number,
  bounds: { readonly atLeast?: number; readonly atMost?: number }
): Finding => ({
  name,
  unit,
  found: [value],
  wanted: [
    ...(bounds.atLeast === undefined ? [] : [`at least ${written(bounds.atLeast)}`]),
    ...(bounds.atMost === undefined ? [] : [`at most ${written(bounds.atMost)}`])
  ].join(", "),
  isKept: value >= (bounds.atLeast ?? -Infinity) && value <= (bounds.atMost ?? Infinity)
})

/** Worth knowing, and not a promise. */
export const told = (name: string, unit: string, value: number): Finding => ({
  name,
  unit,
  found: [value],
  wanted: "told only",
  isKept: true
})
