/**
 * Which processes have ended, and whether they were told to. With so many ends that were ordered, nobody would notice one who
 * dies by itself: of a database that is away, for instance. Pure.
 */
import type { Finding } from "@ecommerce/audit/Report"

/** One life of a process: how often it had been started again before. */
export interface Life {
  readonly name: string
  readonly restarts: number
}

/** `now` are the lives that last still; all before them have ended. */
export const judge = (now: ReadonlyArray<Life>, ordered: ReadonlyArray<Life>): Finding => {
  const ended = now.flatMap(({ name, restarts }) => Array.from({ length: restarts }, (_, life) => ({ name, life })))
  return {
    invariant: "no process has ended that was not told to",
    looked: ended.length,
    violations: ended
      .filter(({ life, name }) => !ordered.some((one) => one.name === name && one.restarts === life))
      .map(({ life, name }) => `${name} ended by itself, when it had been started again ${life} times`)
  }
}
