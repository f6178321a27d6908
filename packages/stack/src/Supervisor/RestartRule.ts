/**
 * When a process that died is started again, and when its supervisor gives up.
 *
 * Pure, so that the rule can be tested without processes or clocks: the caller keeps the times of the
 * deaths and passes the present time in.
 */
import { Duration } from "effect"

export interface RestartRule {
  readonly maxDeaths: number
  readonly window: Duration.Input
}

/** The rule of the stack: one bad minute ends it, a crash now and then does not. */
export const defaultRule: RestartRule = { maxDeaths: 6, window: "60 seconds" }

/** The times of the deaths that still count at `now`, with the one that happened at `now` as the last of them. */
export const recordDeath = (
  earlierDeaths: ReadonlyArray<number>,
  now: number,
  rule: RestartRule
): ReadonlyArray<number> => {
  const windowStart = now - Duration.toMillis(rule.window)
  return [...earlierDeaths.filter((death) => death > windowStart), now]
}

export const isHopeless = (countedDeaths: ReadonlyArray<number>, rule: RestartRule): boolean =>
  countedDeaths.length >= rule.maxDeaths

/**
 * A first death is answered at once: most are accidents. After that the pause doubles up to one second, so that a
 * crash loop does not burn the processor and six quick deaths still take less than two seconds of waiting.
 */
export const pauseBeforeRestart = (countedDeaths: ReadonlyArray<number>): Duration.Duration =>
  countedDeaths.length <= 1
    ? Duration.zero
    : Duration.min(Duration.millis(100 * 2 ** (countedDeaths.length - 2)), Duration.seconds(1))

/** The sentence for a process that is given up, and under it the end of its log. */
export const describeDeaths = (
  name: string,
  rule: RestartRule,
  lastEnd: string,
  lastLines: ReadonlyArray<string>
): string => {
  const seconds = Duration.toSeconds(rule.window)
  const log = lastLines.length === 0 ? " It logged nothing." : ` The end of its log:\n${lastLines.join("\n")}`
  return `${name} died ${rule.maxDeaths} times within ${seconds} seconds, the last time with ${lastEnd}.${log}`
}
