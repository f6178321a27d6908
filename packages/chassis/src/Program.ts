/**
 * How every program of the house starts and ends.
 *
 * A start that cannot work ends with one sentence and exit code 1; SIGINT and SIGTERM end it orderly, with exit code 0.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Cause, Console, Effect, Exit } from "effect"

import type { StartupError } from "./StartupError.ts"

export const run = <A>(program: Effect.Effect<A, StartupError>) =>
  NodeRuntime.runMain(Effect.tapCause(program, report), {
    disableErrorReporting: true,
    teardown: (exit, onExit) => onExit(Exit.isSuccess(exit) || Cause.hasInterruptsOnly(exit.cause) ? 0 : 1)
  })

const report = (cause: Cause.Cause<StartupError>) => {
  const failures = cause.reasons.filter(Cause.isFailReason)
  if (failures.length > 0) return Effect.forEach(failures, ({ error }) => Console.error(error.message))
  return Cause.hasInterruptsOnly(cause) ? Effect.void : Effect.logFatal("The program ended by a defect", cause)
}
