/**
 * How every program of the house starts and ends.
 *
 * A start that cannot work ends with one sentence and {@link cannotStart}; SIGINT and SIGTERM end it orderly, with 0.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Cause, Console, Effect, Exit, Predicate, Schema } from "effect"

import type { StartupError } from "./StartupError.ts"

/** The exit code of a program that will not start however often it is tried (EX_CONFIG of sysexits.h). */
export const cannotStart = 78

/** Ends a program that has said what is wrong by itself; with this exit code, or 1. */
export class AlreadyTold extends Schema.TaggedError<AlreadyTold>()("AlreadyTold", {
  exitCode: Schema.optionalKey(Schema.Int)
}) {}

export const run = <A>(program: Effect.Effect<A, StartupError | AlreadyTold>) =>
  NodeRuntime.runMain(Effect.tapCause(program, report), {
    disableErrorReporting: true,
    teardown: (exit, onExit) => onExit(exitCodeOf(exit))
  })

const exitCodeOf = <A, E>(exit: Exit.Exit<A, E>) => {
  if (Exit.isSuccess(exit) || Cause.hasInterruptsOnly(exit.cause)) return 0
  const error = Cause.squash(exit.cause)
  if (error instanceof AlreadyTold) return error.exitCode ?? 1
  return Predicate.isTagged(error, "StartupError") ? cannotStart : 1
}

const report = (cause: Cause.Cause<StartupError | AlreadyTold>) => {
  const failures = cause.reasons.filter(Cause.isFailReason)
  if (failures.length > 0) return Effect.forEach(failures, ({ error }) => tell(error))
  return Cause.hasInterruptsOnly(cause) ? Effect.void : Effect.logFatal("The program ended by a defect", cause)
}

const tell = (error: StartupError | AlreadyTold) =>
  error._tag === "StartupError" ? Console.error(error.message) : Effect.void
