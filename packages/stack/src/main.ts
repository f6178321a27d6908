/**
 * `npm start`: the whole stack with one command, until Ctrl-C.
 */
import * as ChassisSettings from "@ecommerce/chassis/Settings"
import { edge } from "@ecommerce/contracts/Edge"
import { inventory } from "@ecommerce/contracts/Inventory"
import { Console, Duration, Effect, Layer, Option, Path } from "effect"
import { Command, Flag } from "effect/cli"
import { FetchHttpClient } from "effect/http"

import * as CommandLine from "./CommandLine.ts"
import { Logbook } from "./Logbook.ts"
import * as Repository from "./Repository.ts"
import * as Settings from "./Settings.ts"
import * as Stack from "./Stack.ts"
import { Supervisor } from "./Supervisor.ts"
import { topology } from "./topology.ts"
import * as Welcome from "./Welcome.ts"

const flags = {
  fresh: Flag.Boolean("fresh").pipe(Flag.withDescription("Begin with an empty database"), Flag.withDefault(false)),
  watch: Flag.Boolean("watch").pipe(
    Flag.withDescription("Start a service again when its code changes"),
    Flag.withDefault(false)
  ),
  only: Flag.Literals(
    "only",
    topology.map(({ name }) => name)
  ).pipe(Flag.withDescription("Start this service alone"), Flag.optional)
}

const run = Effect.fn("main.run")(function* (options: {
  readonly fresh: boolean
  readonly watch: boolean
  readonly only: Option.Option<string>
}) {
  const path = yield* Path.Path
  const dataDirectory = path.resolve(yield* Repository.root, yield* Settings.dataDirectory.read)
  const services = topology.filter(({ name }) => Option.isNone(options.only) || options.only.value === name)

  return yield* Effect.gen(function* () {
    const logbook = yield* Logbook
    yield* Console.log("Starting ...")
    const stack = yield* Stack.start({ services, dataDirectory, fresh: options.fresh, watch: options.watch })
    const steps = Welcome.firstSteps(yield* Stack.urlOf(inventory), yield* Stack.urlOf(edge))
    yield* Console.log(
      `\n${Welcome.table(stack.rows)}\n\n${steps}\n\nAn order's whole story: npm run trace -- <order id>.\nLogs, traces and secrets: ${dataDirectory}. Ctrl-C stops everything.\n`
    )
    yield* logbook.show
    return yield* stack.failure
  }).pipe(
    Effect.onInterrupt(() => Console.log("Stopping ...")),
    Effect.provide(supervisorLayer(options.watch)),
    Effect.provide(FetchHttpClient.layer),
    Effect.provide(Logbook.layer(path.join(dataDirectory, "logs")))
  )
})

const supervisorLayer = (watch: boolean) =>
  Layer.unwrap(
    Effect.gen(function* () {
      const logbook = yield* Logbook
      return Supervisor.layer({
        // Whoever is at work on a service breaks it now and then.
        maxDeaths: watch ? Number.MAX_SAFE_INTEGER : yield* Settings.maxDeaths.read,
        window: yield* Settings.deathWindow.read,
        stopTimeout: Duration.sum(yield* ChassisSettings.shutdownTimeout.read, Duration.seconds(2)),
        onLines: logbook.write
      })
    })
  )

const command = Command.make("npm start --", flags, run).pipe(
  Command.withDescription("Starts the database and every service, and watches over them.")
)

CommandLine.run(command)
