/**
 * The five services as `npm start` runs them, each a process of its own over a database of the bench; and the load beside them.
 */
import { randomUUID } from "node:crypto"

import { keyOf } from "@ecommerce/chassis/Settings"
import { StartupError } from "@ecommerce/chassis/StartupError"
import * as Databases from "@ecommerce/stack/Databases"
import { claimPort } from "@ecommerce/stack/Port"
import * as Repository from "@ecommerce/stack/Repository"
import { Supervisor } from "@ecommerce/stack/Supervisor"
import { topology } from "@ecommerce/stack/topology"
import { Effect, Option, Path, Redacted, Schema } from "effect"
import { HttpBody, HttpClient, type HttpClientResponse } from "effect/http"
import { Socket } from "effect/socket"

import * as Heap from "./Heap.ts"
import { Arrived, type Plan, type Stream, Tally } from "./load/Plan.ts"
import type { BenchDatabase } from "./Server.ts"
import { Server } from "./Server.ts"

export interface Options {
  /** Besides those of every bench: a pretend processor that takes no time and never fails, and no limit of rate. */
  readonly settings: Readonly<Record<string, string>>
  readonly orchestrators: number
  /** Everything is exported to the load's process. */
  readonly telemetry: boolean
  /** Where each process leaves a profile of its processor time when it ends. */
  readonly profiles: Option.Option<string>
  /** Services can be asked what they hold. */
  readonly isInspected?: boolean
}

const local = "127.0.0.1"

/** Whatever the user has set for other purposes. */
const common = {
  MOCK_LATENCY_MS: "0",
  MOCK_FAILURE_RATE: "0",
  RATE_LIMIT: "1000000000",
  HOST: local,
  ECOMMERCE_CONFIG_FILE: "none.json",
  OTEL_SDK_DISABLED: "true"
}

export interface BenchStack {
  readonly products: (count: number) => Effect.Effect<ReadonlyArray<string>, StartupError>
  /** Has orders placed, and answers when each has its answer. */
  readonly place: (load: Omit<typeof Plan.Type, "port" | "key">) => Effect.Effect<typeof Tally.Type, StartupError>
  /** Has orders come at their own pace from now on, and answers at once. */
  readonly arrive: (stream: Omit<Stream, "port" | "key">) => Effect.Effect<void, StartupError>
  /** What has become of those since this was last asked. */
  readonly arrived: Effect.Effect<Arrived, StartupError>
  /** By name. */
  readonly processes: Effect.Effect<ReadonlyMap<string, number>>
  /** In MiB, by name, when each service has collected its garbage: they stop for it, one after the other. */
  readonly held: Effect.Effect<ReadonlyMap<string, number>, StartupError>
  /** Names of processes that have died and were started again: what was measured then does not count. */
  readonly casualties: Effect.Effect<ReadonlyArray<string>>
  readonly startOrchestrators: Effect.Effect<void, StartupError>
}

const Created = Schema.Struct({ id: Schema.String })

/** Starts everything but the orchestrators. It runs until the scope closes. */
export const start = Effect.fn("BenchStack.start")(function* (database: BenchDatabase, options: Options) {
  const { credentials } = yield* Server
  const supervisor = yield* Supervisor
  const path = yield* Path.Path
  const root = yield* Repository.root
  const client = yield* HttpClient.HttpClient
  const claim = Effect.orDie(claimPort(0, local))
  const loadPort = yield* claim
  const arrivals = `http://${local}:${loadPort}/arrivals`
  const ports = new Map<string, number>()
  const inspectors = new Map<string, number>()
  for (const { name } of topology) ports.set(name, yield* claim)
  const urlOf = (name: string) => `http://${local}:${ports.get(name)}`

  const answers = (url: string) =>
    client
      .get(url)
      .pipe(
        Effect.timeout("2 seconds"),
        Effect.match({ onFailure: () => false, onSuccess: ({ status }) => status === 200 })
      )

  const post = <A>(url: string, body: HttpBody.HttpBody, answer: Schema.Codec<A, unknown>) =>
    read(url, client.post(url, { body }), answer)

  const read = <A, E extends Error, R>(
    url: string,
    asked: Effect.Effect<HttpClientResponse.HttpClientResponse, E, R>,
    answer: Schema.Codec<A, unknown>
  ) =>
    asked.pipe(
      Effect.flatMap((response) => response.json),
      Effect.flatMap(Schema.decodeUnknownEffect(answer)),
      Effect.mapError((error) => new StartupError({ message: `${url}: ${error.message}` }))
    )

  const profiling = (name: string) =>
    Option.match(options.profiles, {
      onNone: () => [],
      onSome: (directory) => ["--cpu-prof", `--cpu-prof-dir=${directory}`, `--cpu-prof-name=${name}.cpuprofile`]
    })

  const telemetry = options.telemetry
    ? { OTEL_SDK_DISABLED: "false", OTEL_EXPORTER_OTLP_ENDPOINT: `http://${local}:${loadPort}` }
    : {}

  const inspecting = Effect.fnUntraced(function* (name: string) {
    if (options.isInspected !== true) return []
    const port = yield* claim
    inspectors.set(name, port)
    return Heap.inspectedAt(port)
  })

  const startService = Effect.fnUntraced(function* (service: string, name = service, port = ports.get(service) ?? 0) {
    yield* supervisor.start({
      name,
      command: process.execPath,
      args: [...profiling(name), ...(yield* inspecting(name)), path.join(root, "services", service, "src", "main.ts")],
      env: {
        ...common,
        ...Object.fromEntries(topology.map((place) => [keyOf(place.name, "URL"), urlOf(place.name)])),
        ...Object.fromEntries(topology.map((place) => [keyOf(place.name, "DATABASE_URL"), ""])),
        [keyOf(service, "PORT")]: String(port),
        DATABASE_URL: Redacted.value(Databases.urlOf(database.url, service, credentials.passwordOf(service))),
        SERVICE_TOKEN: Redacted.value(credentials.serviceToken),
        ...telemetry,
        ...options.settings
      },
      isReady: answers(`http://${local}:${port}/health/ready`)
    })
  })

  yield* supervisor.start({
    name: "load",
    command: process.execPath,
    args: [...profiling("load"), path.join(root, "bench", "src", "load", "main.ts"), String(loadPort)],
    env: {},
    isReady: answers(`http://${local}:${loadPort}/`)
  })
  yield* Effect.forEach(
    topology.filter(({ name }) => name !== "orchestrator"),
    ({ name }) => startService(name),
    { concurrency: "unbounded" }
  )

  const stack: BenchStack = {
    products: (count) =>
      Effect.forEach(
        Array.from({ length: count }, () => randomUUID()),
        (sku) =>
          post(
            `${urlOf("inventory")}/products`,
            HttpBody.jsonUnsafe({ name: "Measured", sku, priceCents: 1999, initialStock: 1_000_000_000 }),
            Created
          ).pipe(Effect.map(({ id }) => id)),
        { concurrency: 16 }
      ),
    place: (load) => {
      const plan = { ...load, port: ports.get("edge-api") ?? 0, key: randomUUID() }
      return post(`http://${local}:${loadPort}/orders`, HttpBody.jsonUnsafe(plan), Tally)
    },
    arrive: (stream) => {
      const plan: Stream = { ...stream, port: ports.get("edge-api") ?? 0, key: randomUUID() }
      return Effect.asVoid(post(arrivals, HttpBody.jsonUnsafe(plan), Arrived))
    },
    arrived: read(arrivals, client.get(arrivals), Arrived),
    processes: Effect.map(
      supervisor.states,
      (states) => new Map([...states].flatMap(([name, { pid }]) => (Option.isSome(pid) ? [[name, pid.value]] : [])))
    ),
    held: Effect.suspend(() =>
      Effect.forEach(inspectors, ([name, port]) => Effect.map(Heap.heldAt(port), (held) => [name, held] as const))
    ).pipe(
      Effect.map((found) => new Map(found)),
      Effect.provideService(HttpClient.HttpClient, client),
      Effect.provide(Socket.layerWebSocketConstructorGlobal)
    ),
    casualties: Effect.map(supervisor.states, (states) =>
      [...states].flatMap(([name, { restarts }]) => (restarts > 0 ? [name] : []))
    ),
    startOrchestrators: Effect.gen(function* () {
      yield* startService("orchestrator")
      for (let number = 2; number <= options.orchestrators; number++) {
        yield* startService("orchestrator", `orchestrator-${number}`, yield* claim)
      }
    })
  }
  return stack
})
