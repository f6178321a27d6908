/**
 * `npm run chaos`: the whole stack as separate processes, under load and under everything that can happen to them. Ends with 1 where
 * something was not kept, or not seen.
 */
import * as Program from "@ecommerce/chassis/Program"
import { StartupError } from "@ecommerce/chassis/StartupError"
import { inventory } from "@ecommerce/contracts/Inventory"
import * as CommandLine from "@ecommerce/stack/CommandLine"
import * as Credentials from "@ecommerce/stack/Credentials"
import * as Databases from "@ecommerce/stack/Databases"
import { Logbook } from "@ecommerce/stack/Logbook"
import { Supervisor } from "@ecommerce/stack/Supervisor"
import { NodeHttpClient } from "@effect/platform-node"
import { Cause, Console, Effect, Exit, FileSystem, Layer, Path, Random, Redacted } from "effect"
import { Command, Flag } from "effect/cli"

import * as Chaos from "./Chaos.ts"
import { Customers, stock } from "./Customers.ts"
import { Deployment, type Options as DeploymentOptions } from "./Deployment.ts"
import { Evidence } from "./Evidence.ts"
import { complaints, render } from "./Report.ts"

const flags = {
  minutes: Flag.Int("minutes").pipe(Flag.withDescription("For how long there is trouble"), Flag.withDefault(0)),
  seconds: Flag.Int("seconds").pipe(
    Flag.withDescription("The same in seconds; 75 where neither is given"),
    Flag.withDefault(0)
  ),
  seed: Flag.Int("seed").pipe(
    Flag.withDescription("Decides what happens, and in which order; by chance where it is not given"),
    Flag.withDefault(-1)
  ),
  json: Flag.Boolean("json").pipe(Flag.withDescription("As JSON, for programs"), Flag.withDefault(false))
}

const defaultSeconds = 75

/** For databases and logs. It stays where something was not well. */
const folder = Effect.gen(function* () {
  const fileSystem = yield* FileSystem.FileSystem
  return yield* Effect.acquireRelease(fileSystem.makeTempDirectory({ prefix: "ecommerce-chaos-" }), (directory, exit) =>
    Exit.isFailure(exit) && !Cause.hasInterruptsOnly(exit.cause)
      ? Console.error(`What the services have stored and logged is in ${directory}.`)
      : Effect.ignore(fileSystem.remove(directory, { recursive: true }))
  )
}).pipe(Effect.orDie)

const chaos = Effect.fn("chaos")(function* (input: {
  readonly minutes: number
  readonly seconds: number
  readonly seed: number
  readonly json: boolean
}) {
  const path = yield* Path.Path
  const seed = input.seed < 0 ? yield* Random.nextIntBetween(1, 999_999) : input.seed
  const seconds = input.minutes * 60 + input.seconds || defaultSeconds
  const orchestrators = 2 + (seed % 2)
  const tell = (line: string) => (input.json ? Effect.void : Console.log(line))
  const directory = yield* folder
  const credentials = yield* Credentials.ephemeral

  yield* tell(`Seed ${seed}: ${seconds} s of trouble for two edges and ${orchestrators} orchestrators. Starting ...`)
  const outcome = yield* Effect.gen(function* () {
    const { edgeUrls, failure, urlOf } = yield* Deployment
    const products = yield* stock(urlOf(inventory.name))
    return yield* Chaos.run({ seed, seconds, tell }).pipe(
      Effect.provide(Customers.layer({ seed, edgeUrls, ...products })),
      Effect.raceFirst(failure)
    )
  }).pipe(
    Effect.provide(deployment({ directory, orchestrators, credentials })),
    Effect.provide(Evidence.layer(secretsOf(credentials))),
    Effect.provide(NodeHttpClient.layerUndici),
    Effect.provide(Logbook.layer(path.join(directory, "logs"))),
    Effect.catchTag("SqlError", ({ message }) => new StartupError({ message }))
  )
  yield* Console.log(input.json ? JSON.stringify(outcome, null, 2) : render(outcome))
  if (complaints(outcome).length > 0) return yield* new Program.AlreadyTold()
}, Effect.scoped)

/** Every line of each log is written down, and heard: a secret in PostgreSQL's is as bad as one in a service's. */
const deployment = (options: Omit<DeploymentOptions, "log">) =>
  Layer.unwrap(
    Effect.gen(function* () {
      const logbook = yield* Logbook
      const { hear } = yield* Evidence
      const onLines = (name: string, lines: ReadonlyArray<string>) =>
        Effect.andThen(logbook.write(name, lines), Effect.forEach(lines, hear, { discard: true }))
      // The stop after six deaths is off: they die all the time. `Deaths.ts` tells of those that nobody has ordered.
      const supervisor = Supervisor.layer({ maxDeaths: Number.MAX_SAFE_INTEGER, onLines })
      return Deployment.layer({ ...options, log: (line) => onLines("postgres", [line]) }).pipe(
        Layer.provideMerge(supervisor)
      )
    })
  )

/** Cards have tokens that begin alike. */
const secretsOf = ({ passwordOf, serviceToken, superuserPassword }: Credentials.Credentials) => [
  "tok_",
  ...[serviceToken, superuserPassword, ...Databases.all.map(passwordOf)].map(Redacted.value)
]

const command = Command.make("npm run chaos --", flags, chaos).pipe(
  Command.withDescription("Breaks the running stack in every way, and looks whether everything was kept.")
)

CommandLine.run(command)
