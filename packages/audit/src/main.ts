/**
 * `npm run audit`: looks at what all services have stored, and says whether it fits together. It changes nothing.
 *
 * Ends with 0 where all is well, with 1 where something is wrong, and with 2 where orders are on their way still.
 */
import * as Database from "@ecommerce/chassis/Database"
import { auditor } from "@ecommerce/chassis/Names"
import * as Program from "@ecommerce/chassis/Program"
import * as ChassisSettings from "@ecommerce/chassis/Settings"
import { StartupError } from "@ecommerce/chassis/StartupError"
import * as CommandLine from "@ecommerce/stack/CommandLine"
import * as Credentials from "@ecommerce/stack/Credentials"
import * as Databases from "@ecommerce/stack/Databases"
import { Logbook } from "@ecommerce/stack/Logbook"
import * as Repository from "@ecommerce/stack/Repository"
import * as Settings from "@ecommerce/stack/Settings"
import * as StackDatabase from "@ecommerce/stack/StackDatabase"
import { Console, Effect, Option, Path, type Redacted } from "effect"
import { Command, Flag } from "effect/cli"

import * as Audit from "./Audit.ts"
import * as Books from "./Books.ts"
import { isClean, render, type Report } from "./Report.ts"

const flags = {
  json: Flag.Boolean("json").pipe(Flag.withDescription("As JSON, for programs"), Flag.withDefault(false)),
  wait: Flag.Int("wait").pipe(
    Flag.withDescription("For how many seconds to wait until nothing is on its way any more"),
    Flag.withDefault(0)
  )
}

/** The databases of the running stack, or of one that is down and is started for as long as this takes. */
const openBooks = Effect.gen(function* () {
  const path = yield* Path.Path
  const dataDirectory = path.resolve(yield* Repository.root, yield* Settings.dataDirectory.read)
  const credentials = yield* Credentials.load(dataDirectory)
  const database = yield* Effect.provide(
    StackDatabase.open(dataDirectory, credentials),
    Logbook.layer(path.join(dataDirectory, "logs"))
  )
  // Its own, and nobody has brought it up to date yet; or it is from before there was an auditor.
  if (database.state !== "yours") yield* StackDatabase.prepare(database, credentials)
  const given = yield* Settings.whereSet(Settings.databasePassword(auditor))
  const password = Option.getOrElse(given, () => credentials.passwordOf(auditor))
  const ownUrls = new Map<string, Redacted.Redacted<string>>()
  for (const service of Databases.all) {
    const own = yield* Settings.whereSet(ChassisSettings.serviceDatabaseUrl(service))
    if (Option.isSome(own)) ownUrls.set(service, own.value)
  }
  return yield* Books.open((service) => Databases.urlOf(ownUrls.get(service) ?? database.url, auditor, password))
})

const isQuiet = ({ moving }: Report) => moving.length === 0

const audit = Effect.fn("audit")(
  function* ({ json, wait }: { readonly json: boolean; readonly wait: number }) {
    const books = yield* openBooks
    let report = yield* Audit.run(books)
    for (let second = 0; second < wait && !isQuiet(report); second++) {
      yield* Effect.sleep("1 second")
      report = yield* Audit.run(books)
    }
    yield* Console.log(json ? JSON.stringify({ clean: isClean(report), ...report }, null, 2) : render(report))
    if (!isClean(report)) return yield* new Program.AlreadyTold()
    if (!isQuiet(report)) return yield* new Program.AlreadyTold({ exitCode: 2 })
  },
  Effect.catchTag(
    "SqlError",
    (error) => new StartupError({ message: `The books cannot be read: ${Database.describe(error)}` })
  )
)

const command = Command.make("npm run audit --", flags, audit).pipe(
  Command.withDescription("Whether what all services have stored fits together.")
)

CommandLine.run(command)
