/**
 * What is said of many numbers: quantiles of the waits of one run, and the spread of several runs.
 */

/** The smallest value that at least this share of all values does not exceed. None of nothing. */
export const quantile = (values: ReadonlyArray<number>, share: number): number | undefined => {
  const sorted = values.toSorted((one, other) => one - other)
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)]
}

export interface Spread {
  readonly min: number
  readonly median: number
  readonly max: number
}

/** The median of an even number of runs lies between the two in the middle. */
export const spread = (values: ReadonlyArray<number>): Spread | undefined => {
  const sorted = values.toSorted((one, other) => one - other)
  const [lower, upper] = [sorted[Math.floor((sorted.length - 1) / 2)], sorted[Math.floor(sorted.length / 2)]]
  const [min, max] = [sorted[0], sorted.at(-1)]
  if (min === undefined || max === undefined || lower === undefined || upper === undefined) return undefined
  return { min, median: (lower + upper) / 2, max }
}

/** As a person reads it: three digits that tell something, and no more. */
export const written = (value: number): string => {
  const size = Math.abs(value)
  if (size >= 100) return Math.round(value).toLocaleString("en-US")
  if (size >= 10) return value.toFixed(1)
  return size >= 1 || size === 0 ? value.toFixed(2) : value.toFixed(3)
}
