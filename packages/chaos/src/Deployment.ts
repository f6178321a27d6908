/**
 * The stack as it stands in production, on one machine: PostgreSQL, every service as a process of its own, two edges and two or
 * three orchestrators; and a proxy wherever one asks another.
 */
import type { Finding } from "@ecommerce/audit/Report"
import * as Database from "@ecommerce/chassis/Database"
import * as ChassisSettings from "@ecommerce/chassis/Settings"
import { StartupError } from "@ecommerce/chassis/StartupError"
import { edge } from "@ecommerce/contracts/Edge"
import { inventory } from "@ecommerce/contracts/Inventory"
import { orchestrator } from "@ecommerce/contracts/Orchestrator"
import { payment } from "@ecommerce/contracts/Payment"
import type { Place } from "@ecommerce/protocol/Place"
import type * as Credentials from "@ecommerce/stack/Credentials"
import * as Databases from "@ecommerce/stack/Databases"
import { EmbeddedPostgres } from "@ecommerce/stack/EmbeddedPostgres"
import { claimPort } from "@ecommerce/stack/Port"
import * as Repository from "@ecommerce/stack/Repository"
import { Supervisor } from "@ecommerce/stack/Supervisor"
import { topology } from "@ecommerce/stack/topology"
import type { PgClient } from "@effect/sql-pg"
import { Context, Effect, Layer, Option, Path, Redacted, Ref, Schedule } from "effect"
import { HttpClient } from "effect/http"
import { Reactivity } from "effect/reactivity"

import * as Deaths from "./Deaths.ts"
import * as Link from "./Link.ts"
import type { Cast } from "./Plan.ts"
import { settings } from "./RunSettings.ts"

/** A process: one of the replicas of a service. */
export interface Member {
  readonly name: string
  readonly place: Place
  readonly port: number
}

export interface Options {
  /** For what PostgreSQL stores. */
  readonly directory: string
  readonly orchestrators: number
  readonly credentials: Credentials.Credentials
  /** Of PostgreSQL's log; the supervisor hears those of the services. */
  readonly log: (line: string) => Effect.Effect<void>
}

/** Whom a service asks, besides the database. */
const asks: Readonly<Record<string, ReadonlyArray<Place>>> = {
  [edge.name]: [inventory, payment, orchestrator],
  [orchestrator.name]: topology.filter((place) => place !== orchestrator)
}

/** A participant says one of these to a run that comes after its undo. */
const tombstones = ["AlreadyReleased", "AlreadyCancelled", "PaymentCancelled"]

const host = "127.0.0.1"
const database = "ecommerce"

export class Deployment extends Context.Service<
  Deployment,
  {
    readonly cast: Cast
    readonly links: ReadonlyArray<Link.Link>
    /** Past the proxies. */
    readonly urlOf: (member: string) => string
    /** Where customers reach the edges. */
    readonly edgeUrls: ReadonlyArray<string>
    readonly server: EmbeddedPostgres["Service"]
    readonly credentials: Credentials.Credentials
    /** For doing harm, and for looking; past the proxies. */
    readonly administrator: PgClient.PgClient
    readonly administratorUrl: Redacted.Redacted<string>
    readonly signal: (member: string, signal: "SIGKILL" | "SIGTERM" | "SIGSTOP" | "SIGCONT") => Effect.Effect<void>
    /** Whether members have ended whom nobody has told to. */
    readonly deaths: Effect.Effect<Finding>
    /** How often a member has been started again. */
    readonly lives: (member: string) => Effect.Effect<number>
    /** Until it is ready, in a later life than this one. */
    readonly awaitLifeAfter: (member: string, life: number) => Effect.Effect<void>
    /** Never succeeds: fails when something cannot be started at all. */
    readonly failure: Effect.Effect<never, StartupError>
  }
>()("@ecommerce/chaos/Deployment") {
  static readonly layer = ({ credentials, directory, log, orchestrators }: Options) =>
    Layer.effect(
      Deployment,
      Effect.gen(function* () {
        const path = yield* Path.Path
        const supervisor = yield* Supervisor
        const root = yield* Repository.root

        const server = yield* EmbeddedPostgres.make({
          dataDirectory: path.join(directory, "postgres"),
          port: 0,
          password: credentials.superuserPassword,
          // It is killed: what was committed has to be there afterwards.
          durable: true,
          settings: { max_connections: "300" },
          restartRule: { maxDeaths: Number.MAX_SAFE_INTEGER, window: "60 seconds" },
          log
        })
        yield* Databases.createDatabase(server.url("postgres"), database)
        const administratorUrl = server.url(database)
        yield* Databases.prepare({
          url: administratorUrl,
          services: Databases.all,
          passwordOf: (service) => Option.some(credentials.passwordOf(service))
        })
        const administrator = yield* Effect.provide(
          Database.make({ url: administratorUrl, applicationName: "chaos", maxConnections: 2 }),
          Reactivity.layer
        )

        const replicas = new Map([
          [edge.name, 2],
          [orchestrator.name, orchestrators]
        ])
        const names = topology.flatMap((place) => {
          const count = replicas.get(place.name)
          return count === undefined
            ? [{ name: place.name, place }]
            : Array.from({ length: count }, (_, index) => ({ name: `${place.name}-${index + 1}`, place }))
        })
        const ports = yield* freePorts(names.length)
        const members = names.map((member, index): Member => ({ ...member, port: ports[index] ?? 0 }))
        const membersOf = (place: Place) => members.filter((member) => member.place.name === place.name)

        const link = (name: string, target: number) => Link.make({ name, target, listenFor: tombstones })
        const customers = yield* Effect.forEach(membersOf(edge), ({ name, port }) => link(`customers → ${name}`, port))

        /** Starts a member, and answers the links by which it reaches others. */
        const start = Effect.fnUntraced(function* (member: Member) {
          const { name, place, port } = member
          const number = membersOf(place).indexOf(member)
          const toDatabase = yield* link(`${name} → database`, server.port)
          const url = new URL(
            Redacted.value(Databases.urlOf(administratorUrl, place.name, credentials.passwordOf(place.name)))
          )
          url.port = String(toDatabase.port)
          const toOthers = yield* Effect.forEach(asks[place.name] ?? [], (other) => {
            // Of several each has its own, as far as there are.
            const asked = membersOf(other)
            const target = asked[number % asked.length]
            return Effect.map(link(`${name} → ${target?.name}`, target?.port ?? 0), (to) => ({ other, to }))
          })
          yield* Effect.forkScoped(
            supervisor.start({
              name,
              command: process.execPath,
              args: [path.join(root, "services", place.name, "src", "main.ts")],
              env: {
                ...settings,
                ECOMMERCE_CONFIG_FILE: path.join(directory, "none.json"),
                DATABASE_URL: url.href,
                [ChassisSettings.keyOf(place.name, "DATABASE_URL")]: "",
                SERVICE_TOKEN: Redacted.value(credentials.serviceToken),
                [ChassisSettings.keyOf(place.name, "PORT")]: String(port),
                ...Object.fromEntries(
                  toOthers.map(({ other, to }) => [
                    ChassisSettings.keyOf(other.name, "URL"),
                    `http://${host}:${to.port}`
                  ])
                )
              },
              isReady: yield* readiness(port)
            })
          )
          return [toDatabase, ...toOthers.map(({ to }) => to)]
        })
        const links = [...customers, ...(yield* Effect.forEach(members, start)).flat()]

        const ordered = yield* Ref.make<ReadonlyArray<Deaths.Life>>([])
        const failure = Effect.raceFirst(supervisor.failure, server.failure)
        const stateOf = (member: string) => Effect.map(supervisor.states, (states) => states.get(member))
        const lives = (member: string) => Effect.map(stateOf(member), (state) => state?.restarts ?? -1)
        const awaitLifeAfter = Effect.fn("Deployment.awaitLifeAfter")(function* (member: string, life: number) {
          yield* stateOf(member).pipe(
            Effect.repeat({
              until: (state) => state?.status === "ready" && state.restarts > life,
              schedule: Schedule.spaced("50 millis")
            }),
            Effect.timeoutOrElse({
              duration: "100 seconds",
              orElse: () => new StartupError({ message: `${member} does not become ready` })
            }),
            Effect.raceFirst(failure),
            Effect.orDie
          )
        })
        yield* Effect.forEach(members, ({ name }) => awaitLifeAfter(name, -1))

        const namesOf = (place: Place) => membersOf(place).map(({ name }) => name)
        return Deployment.of({
          cast: {
            edges: namesOf(edge),
            orchestrators: namesOf(orchestrator),
            others: topology.filter((place) => place !== edge && place !== orchestrator).flatMap(namesOf),
            links: links.map(({ name }) => name)
          },
          links,
          urlOf: (name) => `http://${host}:${members.find((member) => member.name === name)?.port}`,
          edgeUrls: customers.map(({ port }) => `http://${host}:${port}`),
          server,
          credentials,
          administrator,
          administratorUrl,
          signal: Effect.fnUntraced(function* (member, signal) {
            const state = yield* stateOf(member)
            const pid = Option.getOrUndefined(state?.pid ?? Option.none())
            if (state === undefined || pid === undefined) return
            // One that died a moment ago has what it was to get; but not from here.
            const isSent = yield* Effect.isSuccess(Effect.try(() => process.kill(pid, signal)))
            if (isSent && (signal === "SIGKILL" || signal === "SIGTERM")) {
              yield* Ref.update(ordered, (lives) => [...lives, { name: member, restarts: state.restarts }])
            }
          }),
          deaths: Effect.map(Effect.all([supervisor.states, Ref.get(ordered)]), ([states, lives]) =>
            Deaths.judge(
              Array.from(states, ([name, { restarts }]) => ({ name, restarts })),
              lives
            )
          ),
          lives,
          awaitLifeAfter,
          failure
        })
      })
    )
}

/** For what asks the database, which is one of those that may be away at the moment. */
export const patiently = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  effect.pipe(Effect.retry(Schedule.spaced("200 millis")), Effect.timeout("60 seconds"), Effect.orDie)

const readiness = Effect.fnUntraced(function* (port: number) {
  const client = yield* HttpClient.HttpClient
  return client
    .get(`http://${host}:${port}/health/ready`)
    .pipe(
      Effect.timeout("2 seconds"),
      Effect.match({ onFailure: () => false, onSuccess: ({ status }) => status === 200 })
    )
})

/** So many different ones. */
const freePorts = Effect.fnUntraced(function* (count: number) {
  const ports = new Set<number>()
  while (ports.size < count) ports.add(yield* claimPort(0, host))
  return [...ports]
}, Effect.orDie)
