/**
 * The running stack: the database, then every service as a process of its own, and a watch over them all.
 */
import * as ChassisSettings from "@ecommerce/chassis/Settings"
import { StartupError } from "@ecommerce/chassis/StartupError"
import { Effect, Option, Path, Redacted } from "effect"
import { HttpClient } from "effect/http"

import * as Credentials from "./Credentials.ts"
import * as Databases from "./Databases.ts"
import { EmbeddedPostgres } from "./EmbeddedPostgres.ts"
import { claimPort } from "./EmbeddedPostgres/Port.ts"
import { Logbook } from "./Logbook.ts"
import * as Repository from "./Repository.ts"
import * as Settings from "./Settings.ts"
import { Supervisor } from "./Supervisor.ts"
import type { StackService } from "./topology.ts"
import type { Row } from "./Welcome.ts"

export interface Options {
  readonly services: ReadonlyArray<StackService>
  readonly dataDirectory: string
  /** Begin with an empty database. */
  readonly fresh: boolean
  /** Start a service again when its code changes. */
  readonly watch: boolean
}

/** Starts everything and answers where it is. It runs until the scope closes. */
export const start = Effect.fn("Stack.start")(function* (options: Options) {
  const credentials = yield* Credentials.load(options.dataDirectory)
  yield* refuseTakenPorts(options.services)

  const database = yield* startDatabase(options, credentials)
  if (options.fresh) yield* Databases.clear(database.url)
  yield* Databases.prepare({
    url: database.url,
    services: Databases.all,
    passwordOf: (service) => Option.some(credentials.passwordOf(service))
  })

  const supervisor = yield* Supervisor
  const rows = yield* Effect.forEach(options.services, (service) =>
    startService(service, options, credentials, database.url)
  )
  return { rows: [...rows, database.row], failure: Effect.raceFirst(supervisor.failure, database.failure) }
})

const startDatabase = Effect.fn("Stack.startDatabase")(function* (
  options: Options,
  credentials: Credentials.Credentials
) {
  const given = yield* Settings.whereSet(ChassisSettings.databaseUrl)
  if (Option.isSome(given)) return { url: given.value, failure: Effect.never, row: databaseRow(given.value, "yours") }

  const port = yield* Settings.postgresPort.read
  const running = embeddedUrl(port, credentials)
  // Our password opens it, so it is our data that another `npm start` or `npm run dev:…` has up already.
  if (yield* Databases.answers(running)) {
    return { url: running, failure: Effect.never, row: databaseRow(running, "shared") }
  }

  const path = yield* Path.Path
  const logbook = yield* Logbook
  const server = yield* EmbeddedPostgres.make({
    dataDirectory: path.join(options.dataDirectory, "postgres"),
    port,
    password: credentials.superuserPassword,
    durable: true,
    settings: { max_connections: "200" },
    log: (line) => logbook.write("postgres", line)
  })
  yield* Databases.createDatabase(server.url("postgres"), database)
  const url = server.url(database)
  return { url, failure: server.failure, row: databaseRow(url, "ready") }
})

const database = "ecommerce"

const embeddedUrl = (port: number, { superuserPassword }: Credentials.Credentials) =>
  Redacted.make(`postgres://postgres:${Redacted.value(superuserPassword)}@127.0.0.1:${port}/${database}`)

const databaseRow = (url: Redacted.Redacted<string>, state: string): Row => {
  const { host, pathname } = new URL(Redacted.value(url))
  return { service: "postgres", url: `${host}${pathname}`, docs: "", state }
}

const startService = Effect.fn("Stack.startService")(function* (
  { place }: StackService,
  options: Options,
  credentials: Credentials.Credentials,
  administrator: Redacted.Redacted<string>
) {
  const supervisor = yield* Supervisor
  const path = yield* Path.Path
  const client = yield* HttpClient.HttpClient
  const program = path.join(yield* Repository.root, "services", place.name, "src", "main.ts")
  const url = yield* urlOf(place)
  const token = yield* Settings.whereSet(ChassisSettings.serviceTokens)
  const environment = {
    DATABASE_URL: Redacted.value(Databases.urlOf(administrator, place.name, credentials.passwordOf(place.name))),
    ...(Option.isNone(token) ? { SERVICE_TOKEN: Redacted.value(credentials.serviceToken) } : {}),
    ...(process.stdout.isTTY ? { LOG_FORMAT: "pretty" } : {})
  }
  const isReady = client
    .get(`${url}/health/ready`)
    .pipe(
      Effect.timeout("2 seconds"),
      Effect.match({ onFailure: () => false, onSuccess: (answer) => answer.status === 200 })
    )
  yield* supervisor.start({
    name: place.name,
    command: process.execPath,
    args: options.watch ? ["--watch", "--watch-preserve-output", program] : [program],
    env: environment,
    isReady
  })
  return { service: place.name, url, docs: `${url}/docs`, state: "ready" } satisfies Row
})

export const urlOf = (place: ChassisSettings.Place) =>
  Effect.map(ChassisSettings.servicePort(place).read, (port) => `http://localhost:${port}`)

/** All at once and before anything starts, so that nobody has to find them out one by one. */
const refuseTakenPorts = Effect.fn("Stack.refuseTakenPorts")(function* (services: ReadonlyArray<StackService>) {
  const host = yield* ChassisSettings.host.read
  const taken = yield* Effect.filter(services, ({ place }) =>
    Effect.flatMap(ChassisSettings.servicePort(place).read, (port) =>
      Effect.match(claimPort(port, host), { onFailure: () => true, onSuccess: () => false })
    )
  )
  if (taken.length === 0) return
  const ports = yield* Effect.forEach(taken, ({ place }) => {
    const setting = ChassisSettings.servicePort(place)
    return Effect.map(setting.read, (port) => `${port} (${setting.key})`)
  })
  return yield* new StartupError({
    message: `Taken by another process: port ${ports.join(", port ")}. Stop it, or set the port to another one.`
  })
})
