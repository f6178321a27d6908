/**
 * `npm run migrate`: schemas, roles and tables on the server of DATABASE_URL, as this checkout wants them.
 *
 * Safe to run again, and by several at once. `npm run migrate -- inventory` prepares only the services named, for a
 * service that has a server of its own.
 */
import { auditor } from "@ecommerce/chassis/Names"
import * as ChassisSettings from "@ecommerce/chassis/Settings"
import { Console, Effect, Option } from "effect"
import { Argument, Command } from "effect/cli"

import * as CommandLine from "./CommandLine.ts"
import * as Databases from "./Databases.ts"
import * as Settings from "./Settings.ts"

const services = Argument.Literals("service", Databases.all).pipe(Argument.variadic())

const migrate = Effect.fn("migrate")(function* (input: { readonly services: ReadonlyArray<string> }) {
  const chosen = input.services.length === 0 ? Databases.all : input.services
  const passwords = yield* Effect.forEach([...chosen, auditor], (service) =>
    Effect.map(Settings.whereSet(Settings.databasePassword(service)), (password) => [service, password] as const)
  )
  const prepared = yield* Databases.prepare({
    url: yield* ChassisSettings.databaseUrl.read,
    services: chosen,
    passwordOf: (service) => Option.flatten(Option.fromNullishOr(new Map(passwords).get(service)))
  })
  yield* Effect.forEach(prepared, ({ applied, service }) =>
    Console.log(`${service}: ${applied.length === 0 ? "up to date" : `applied ${applied.join(", ")}`}`)
  )
})

const command = Command.make("npm run migrate --", { services }, migrate).pipe(
  Command.withDescription("Brings schemas, roles and tables up to date.")
)

CommandLine.run(command)
