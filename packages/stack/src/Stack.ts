/**
 * The running stack: the database, then every service as a process of its own, and a watch over them all.
 */
import * as ChassisSettings from "@ecommerce/chassis/Settings"
import { StartupError } from "@ecommerce/chassis/StartupError"
import type { Place } from "@ecommerce/protocol/Place"
import { Effect, FileSystem, Option, Path, Redacted, Ref, Stream } from "effect"
import { HttpClient } from "effect/http"

import * as Credentials from "./Credentials.ts"
import * as Databases from "./Databases.ts"
import { claimPort } from "./Port.ts"
import * as Repository from "./Repository.ts"
import * as Settings from "./Settings.ts"
import * as SpanKeeper from "./SpanKeeper.ts"
import * as StackDatabase from "./StackDatabase.ts"
import { Supervisor } from "./Supervisor.ts"
import type { Row } from "./Welcome.ts"

export interface Options {
  readonly services: ReadonlyArray<Place>
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

  const database = yield* StackDatabase.open(options.dataDirectory, credentials)
  if (options.fresh) yield* empty(database)
  yield* StackDatabase.prepare(database, credentials)

  const supervisor = yield* Supervisor
  const traces = yield* SpanKeeper.start(options.dataDirectory)
  const rows = yield* Effect.forEach(options.services, (place) => startService(place, credentials, database, traces))
  if (options.watch) yield* restartOnChange(options.services)
  return { rows: [...rows, rowOf(database)], failure: Effect.raceFirst(supervisor.failure, database.failure) }
})

/** Only what `npm start` made is thrown away by `npm start`. */
const empty = ({ state, url }: StackDatabase.StackDatabase) =>
  state === "ready"
    ? Databases.clear(url)
    : new StartupError({ message: `--fresh empties only the embedded database, when no other npm start uses it.` })

const rowOf = ({ state, url }: StackDatabase.StackDatabase): Row => {
  const { host, pathname } = new URL(Redacted.value(url))
  return { service: "postgres", url: `${host}${pathname}`, docs: "", state }
}

const startService = Effect.fn("Stack.startService")(function* (
  place: Place,
  credentials: Credentials.Credentials,
  database: StackDatabase.StackDatabase,
  traces: Readonly<Record<string, string>>
) {
  const supervisor = yield* Supervisor
  const path = yield* Path.Path
  const program = path.join(yield* Repository.root, "services", place.name, "src", "main.ts")
  const url = yield* urlOf(place)
  const patience = yield* Settings.startTimeout.read
  const lastAnswer = yield* Ref.make("no answer")
  yield* supervisor
    .start({
      name: place.name,
      command: process.execPath,
      args: [program],
      env: { ...traces, ...(yield* environmentOf(place, credentials, database.url)) },
      isReady: yield* readinessOf(url, lastAnswer)
    })
    .pipe(
      Effect.timeoutOrElse({
        duration: patience,
        orElse: () =>
          Effect.flatMap(
            Ref.get(lastAnswer),
            (said) =>
              new StartupError({
                message: `${place.name} is not ready after SERVICE_START_TIMEOUT; ${url}/health says: ${said}`
              })
          )
      })
    )
  return { service: place.name, url, docs: `${url}/docs`, state: "ready" } satisfies Row
})

/** Not node's own --watch: its watcher would outlive us, and waits for an edit when the service has died by itself. */
const restartOnChange = Effect.fn("Stack.restartOnChange")(function* (services: ReadonlyArray<Place>) {
  const fileSystem = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const supervisor = yield* Supervisor
  const root = yield* Repository.root
  const restartAll = Effect.forEach(services, ({ name }) => supervisor.restart(name), { discard: true })
  const folders = ["packages", ...services.map(({ name }) => `services/${name}/src`)]
  yield* Stream.mergeAll(
    folders.map((folder) => fileSystem.watch(path.join(root, folder), { recursive: true })),
    { concurrency: "unbounded" }
  ).pipe(
    Stream.filter(({ path: file }) => file.endsWith(".ts") && !file.includes("test")),
    Stream.debounce("100 millis"),
    Stream.runForEach(() => restartAll),
    Effect.ignore,
    Effect.forkScoped
  )
})

/** What a service gets of the stack, where the user has not set it. */
export const environmentOf = Effect.fn("Stack.environmentOf")(function* (
  place: Place,
  credentials: Credentials.Credentials,
  administrator: Redacted.Redacted<string>
) {
  const token = yield* Settings.whereSet(ChassisSettings.serviceTokens)
  const format = yield* ChassisSettings.logFormat.read
  return {
    DATABASE_URL: Redacted.value(Databases.urlOf(administrator, place.name, credentials.passwordOf(place.name))),
    ...(Option.isNone(token) ? { SERVICE_TOKEN: Redacted.value(credentials.serviceToken) } : {}),
    // The service writes into a pipe and cannot see the terminal that its lines end up on.
    ...(format === "auto" && process.stdout.isTTY ? { LOG_FORMAT: "pretty" } : {})
  }
})

const readinessOf = Effect.fn("Stack.readinessOf")(function* (url: string, lastAnswer: Ref.Ref<string>) {
  const client = yield* HttpClient.HttpClient
  return client.get(`${url}/health/ready`).pipe(
    Effect.timeout("2 seconds"),
    Effect.tap((answer) => Effect.flatMap(answer.text, (text) => Ref.set(lastAnswer, text))),
    Effect.match({ onFailure: () => false, onSuccess: (answer) => answer.status === 200 })
  )
})

/** Where a person and the supervisor reach a service; one that listens on all addresses is at localhost too. */
export const urlOf = Effect.fn("Stack.urlOf")(function* (place: Place) {
  const port = yield* ChassisSettings.servicePort(place).read
  const host = yield* ChassisSettings.host.read
  return `http://${["127.0.0.1", "0.0.0.0", "::"].includes(host) ? "localhost" : host}:${port}`
})

/** All at once and before anything starts, so that nobody has to find them out one by one. */
const refuseTakenPorts = Effect.fn("Stack.refuseTakenPorts")(function* (services: ReadonlyArray<Place>) {
  const host = yield* ChassisSettings.host.read
  const ports = yield* Effect.forEach(services, (place) => {
    const setting = ChassisSettings.servicePort(place)
    return Effect.map(setting.read, (port) => ({ port, key: setting.key }))
  })
  const unset = ports.find(({ port }) => port === 0)
  if (unset !== undefined) {
    return yield* new StartupError({ message: `npm start has to know the port: set ${unset.key} to one above 0.` })
  }
  const refused = yield* Effect.forEach(ports, ({ key, port }) =>
    Effect.match(claimPort(port, host), { onFailure: (refusal) => [refusal.sentence(key)], onSuccess: () => [] })
  )
  // A wrong HOST is wrong for all of them.
  const sentences = new Set(refused.flat())
  if (sentences.size > 0) return yield* new StartupError({ message: [...sentences].join("\n") })
})
