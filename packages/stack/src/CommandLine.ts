/**
 * Runs one of the repository's commands: flags and arguments in, a sentence and an exit code out.
 */
import * as Program from "@ecommerce/chassis/Program"
import * as Settings from "@ecommerce/chassis/Settings"
import { StartupError } from "@ecommerce/chassis/StartupError"
import { NodeServices } from "@effect/platform-node"
import { Effect, Schedule, type Scope } from "effect"
import { Command } from "effect/cli"

export const run = <Name extends string, Input, Context, E>(
  command: Command.Command<Name, Input, Context, E, NodeServices.NodeServices | Scope.Scope>
) =>
  Program.run(
    Effect.raceFirst(Command.run(command, { version: "0.1.0" }), parentGone).pipe(
      // Wrong flags have been told of already, with the help that goes with them.
      Effect.mapError((error) => (isOurs(error) ? error : new Program.AlreadyTold())),
      Effect.scoped,
      Effect.provide([NodeServices.layer, Settings.layer])
    )
  )

const isOurs = (error: unknown) => error instanceof StartupError || error instanceof Program.AlreadyTold

/** An older Node runs `run.mjs`, and that runs us: killed with -9, it takes nobody with it. */
const parentGone = Effect.gen(function* () {
  if (!(yield* Settings.watchParent.read)) return yield* Effect.never
  const parent = process.ppid
  yield* Effect.sync(() => process.ppid).pipe(
    Effect.repeat({ until: (now) => now !== parent, schedule: Schedule.spaced("500 millis") })
  )
})
