/**
 * The database of the running stack: the user's own server, one that another `npm start` has up, or an embedded one.
 */
import * as ChassisSettings from "@ecommerce/chassis/Settings"
import { StartupError } from "@ecommerce/chassis/StartupError"
import { Effect, Option, Path, Redacted, Schedule } from "effect"

import type { Credentials } from "./Credentials.ts"
import * as Databases from "./Databases.ts"
import { EmbeddedPostgres } from "./EmbeddedPostgres.ts"
import { Logbook } from "./Logbook.ts"
import * as Settings from "./Settings.ts"

export interface StackDatabase {
  /** With a user that may create roles and schemas. */
  readonly url: Redacted.Redacted<string>
  readonly state: "yours" | "shared" | "ready"
  /** Never succeeds: fails when the database is gone for good. */
  readonly failure: Effect.Effect<never, StartupError>
}

const host = "127.0.0.1"
const database = "ecommerce"

export const open = Effect.fn("StackDatabase.open")(function* (dataDirectory: string, credentials: Credentials) {
  const given = yield* Settings.whereSet(ChassisSettings.databaseUrl)
  if (Option.isSome(given)) {
    const yours: StackDatabase = { url: given.value, state: "yours", failure: Effect.never }
    return yours
  }
  const port = yield* Settings.postgresPort.read
  const running = urlOf(port, credentials)
  // Our password opens it, so it is our data that another `npm start` or `npm run dev:…` has up already.
  return (yield* Databases.answers(running)) ? share(running) : yield* startEmbedded(port, dataDirectory, credentials)
})

/** Roles, schemas and tables as this checkout wants them. */
export const prepare = (database: StackDatabase, credentials: Credentials) =>
  Databases.prepare({
    url: database.url,
    services: Databases.all,
    passwordOf: (service) => Option.some(credentials.passwordOf(service))
  })

const share = (url: Redacted.Redacted<string>): StackDatabase => ({
  url,
  state: "shared",
  failure: Databases.answers(url).pipe(
    Effect.flatMap((isThere) => (isThere ? Effect.void : gone)),
    Effect.retry({ times: 5, schedule: Schedule.spaced("2 seconds") }),
    Effect.andThen(Effect.sleep("5 seconds")),
    Effect.forever
  )
})

const gone = new StartupError({ message: "The database is gone: the other npm start that ran it has ended." })

const startEmbedded = Effect.fn("StackDatabase.startEmbedded")(function* (
  port: number,
  dataDirectory: string,
  credentials: Credentials
) {
  const path = yield* Path.Path
  const logbook = yield* Logbook
  const server = yield* EmbeddedPostgres.make({
    dataDirectory: path.join(dataDirectory, "postgres"),
    port,
    password: credentials.superuserPassword,
    durable: true,
    settings: { max_connections: "200" },
    log: (line) => logbook.write("postgres", [line])
  })
  yield* Databases.createDatabase(server.url("postgres"), database)
  const embedded: StackDatabase = { url: server.localUrl(database), state: "ready", failure: server.failure }
  return embedded
})

const urlOf = (port: number, { superuserPassword }: Credentials) =>
  Redacted.make(`postgres://postgres:${Redacted.value(superuserPassword)}@${host}:${port}/${database}`)
