/**
 * Whether a figure stays where it is: a line through it by least squares, and how sure that line's slope is.
 *
 * A process's memory goes up and down with its collector, and tables with the vacuum. So a slope counts only as far as it is
 * beyond twice its own error: what is left is a trend and no accident.
 */

export interface Point {
  /** Seconds since the beginning. */
  readonly at: number
  readonly value: number
}

export interface Trend {
  readonly perSecond: number
  /** The standard error of it. */
  readonly error: number
}

const mean = (values: ReadonlyArray<number>) => {
  let sum = 0
  for (const value of values) sum += value
  return sum / values.length
}

/** None through fewer than three points: nothing would be known of its error. */
export const trend = (points: ReadonlyArray<Point>): Trend | undefined => {
  if (points.length < 3) return undefined
  const at = mean(points.map((point) => point.at))
  const value = mean(points.map((point) => point.value))
  let [across, along] = [0, 0]
  for (const point of points) {
    across += (point.at - at) ** 2
    along += (point.at - at) * (point.value - value)
  }
  if (across === 0) return undefined
  const perSecond = along / across
  let squares = 0
  for (const point of points) squares += (point.value - value - perSecond * (point.at - at)) ** 2
  return { perSecond, error: Math.sqrt(squares / (points.length - 2) / across) }
}

/**
 * The lowest of each stretch: what is there besides whatever comes and goes within it. What is between is an accident of when
 * somebody looked.
 */
export const lows = (points: ReadonlyArray<Point>, stretchSeconds: number): ReadonlyArray<Point> => {
  const found = new Map<number, Point>()
  for (const point of points) {
    const stretch = Math.floor(point.at / stretchSeconds)
    const low = found.get(stretch)
    if (low === undefined || point.value < low.value) found.set(stretch, point)
  }
  return [...found.values()]
}

export const secondHalf = (points: ReadonlyArray<Point>): ReadonlyArray<Point> =>
  points.slice(Math.floor(points.length / 2))

/** By how much it would certainly have grown in an hour, had it gone on as in its second half. */
export const growthInAnHour = (points: ReadonlyArray<Point>): number => {
  const found = trend(secondHalf(points))
  return found === undefined ? 0 : Math.max(0, found.perSecond - 2 * found.error) * 3600
}
