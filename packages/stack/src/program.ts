/**
 * Runs a program of one service beside the running stack, with the settings that `npm start` gives that service:
 * `npm run reconcile` is `program.ts payment reconcile`, and runs `services/payment/src/reconcile.ts`.
 *
 * Where the stack is down, its database is started for as long as the program runs.
 */
import { AlreadyTold } from "@ecommerce/chassis/Program"
import { StartupError } from "@ecommerce/chassis/StartupError"
import { Effect, Path } from "effect"
import { Argument, Command } from "effect/cli"
import { ChildProcess } from "effect/process"

import * as CommandLine from "./CommandLine.ts"
import * as Credentials from "./Credentials.ts"
import { Logbook } from "./Logbook.ts"
import * as Repository from "./Repository.ts"
import * as Settings from "./Settings.ts"
import * as Stack from "./Stack.ts"
import * as StackDatabase from "./StackDatabase.ts"
import { topology } from "./topology.ts"

const flags = {
  service: Argument.Literals(
    "service",
    topology.map(({ name }) => name)
  ),
  program: Argument.String("program")
}

const run = Effect.fn("program.run")(function* (input: { readonly service: string; readonly program: string }) {
  const path = yield* Path.Path
  const root = yield* Repository.root
  const dataDirectory = path.resolve(root, yield* Settings.dataDirectory.read)
  const place = topology.find(({ name }) => name === input.service)
  if (place === undefined) return yield* new StartupError({ message: `There is no service ${input.service}.` })

  const exitCode = yield* Effect.gen(function* () {
    const credentials = yield* Credentials.load(dataDirectory)
    const database = yield* StackDatabase.open(dataDirectory, credentials)
    // Its own, and nobody has brought it up to date yet.
    if (database.state === "ready") yield* StackDatabase.prepare(database, credentials)
    const child = yield* ChildProcess.make(
      process.execPath,
      [path.join(root, "services", place.name, "src", `${input.program}.ts`)],
      {
        env: yield* Stack.environmentOf(place, credentials, database.url),
        extendEnv: true,
        stdin: "inherit",
        stdout: "inherit",
        stderr: "inherit"
      }
    )
    return yield* child.exitCode
  }).pipe(
    Effect.provide(Logbook.layer(path.join(dataDirectory, "logs"))),
    Effect.scoped,
    Effect.catchTag("PlatformError", (error) => new StartupError({ message: error.message }))
  )
  if (exitCode !== 0) return yield* new AlreadyTold()
})

const command = Command.make("program", flags, run).pipe(
  Command.withDescription("Runs a program of one service with the settings of the running stack.")
)

CommandLine.run(command)
