/**
 * How often a step is tried, and how long it is waited in between.
 */

export interface Policy {
  /** How often a step that can be undone is tried before it is given up; the first time included. */
  readonly attempts: number
  /** Before the second attempt; before each further one so many times as long, up to the longest. */
  readonly delayMillis: number
  readonly multiplier: number
  readonly longestDelayMillis: number
  /** After how many attempts what is never given up (an undo, a step with no way back) is called stuck. */
  readonly stuckAfter: number
  /** After how many sends without an outcome a saga is called stuck: it may be what ends its workers. */
  readonly mostClaims: number
}

/** Between an attempt and the next: 1, 4, 16, 64 seconds, unless told otherwise. */
export const delayAfter = (policy: Policy, attempts: number): number =>
  Math.min(policy.longestDelayMillis, policy.delayMillis * policy.multiplier ** (attempts - 1))
