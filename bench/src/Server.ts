/**
 * The bench's PostgreSQL: the embedded one as `npm start` runs it, durable, in a folder that goes with the bench.
 *
 * Everything that is compared runs on this one server, one after the other, each in an empty database of its own.
 */
import * as Database from "@ecommerce/chassis/Database"
import * as Credentials from "@ecommerce/stack/Credentials"
import * as Databases from "@ecommerce/stack/Databases"
import { EmbeddedPostgres } from "@ecommerce/stack/EmbeddedPostgres"
import type { PgClient } from "@effect/sql-pg"
import { Context, Effect, FileSystem, Layer, Option, Path, Redacted, Ref } from "effect"
import { Reactivity } from "effect/reactivity"

export interface BenchDatabase {
  readonly name: string
  /** The superuser's. */
  readonly url: Redacted.Redacted<string>
  readonly administrator: PgClient.PgClient
}

export class Server extends Context.Service<
  Server,
  {
    readonly credentials: Credentials.Credentials
    readonly postmaster: Effect.Effect<number>
    /** Where its socket is, for whoever is shut off from the network. */
    readonly socketDirectory: string
    readonly port: number
    readonly url: (database: string) => Redacted.Redacted<string>
    readonly nextName: Effect.Effect<string>
  }
>()("@ecommerce/bench/Server") {
  static readonly layer = Layer.effect(
    Server,
    Effect.gen(function* () {
      const fileSystem = yield* FileSystem.FileSystem
      const path = yield* Path.Path
      const directory = yield* fileSystem.makeTempDirectoryScoped({ prefix: "ecommerce-bench-" })
      const socketDirectory = path.join(directory, "socket")
      // PostgreSQL may run as another account than we do.
      yield* fileSystem.chmod(directory, 0o755)
      yield* fileSystem.makeDirectory(socketDirectory)
      yield* fileSystem.chmod(socketDirectory, 0o777)
      const credentials = yield* Credentials.ephemeral
      const server = yield* EmbeddedPostgres.make({
        dataDirectory: path.join(directory, "postgres"),
        port: 0,
        password: credentials.superuserPassword,
        durable: true,
        settings: {
          max_connections: "300",
          unix_socket_directories: socketDirectory,
          shared_preload_libraries: "pg_stat_statements",
          "pg_stat_statements.track": "none",
          "pg_stat_statements.track_planning": "on"
        }
      })
      const names = yield* Ref.make(0)
      return Server.of({
        credentials,
        postmaster: server.pid,
        socketDirectory,
        port: server.port,
        url: server.url,
        nextName: Effect.map(
          Ref.updateAndGet(names, (number) => number + 1),
          (number) => `bench_${number}`
        )
      })
    })
  )
}

const connect = (url: Redacted.Redacted<string>, maxConnections: number) =>
  Database.make({ url, applicationName: "bench", maxConnections }).pipe(Effect.provide(Reactivity.layer))

/** An empty database for as long as the scope is open. */
export const makeDatabase = Effect.fn("Server.makeDatabase")(function* (options: {
  /** The tables of all services. */
  readonly hasTables: boolean
  /** Statements are counted, which costs a little. */
  readonly counts: boolean
}) {
  const { credentials, nextName, socketDirectory, url: tcp } = yield* Server
  const urlOf = (name: string) =>
    Redacted.make(`${Redacted.value(tcp(name))}?host=${encodeURIComponent(socketDirectory)}`)
  const name = yield* nextName
  const onServer = (run: (sql: PgClient.PgClient) => Effect.Effect<unknown, unknown>) =>
    Effect.scoped(Effect.flatMap(connect(urlOf("postgres"), 1), run))
  yield* Effect.acquireRelease(Databases.createDatabase(urlOf("postgres"), name), () =>
    Effect.ignore(onServer((sql) => sql`DROP DATABASE ${sql(name)} WITH (FORCE)`.unprepared))
  )
  const url = urlOf(name)
  if (options.hasTables) {
    yield* Databases.prepare({
      url,
      services: Databases.all,
      passwordOf: (service) => Option.some(credentials.passwordOf(service))
    })
  }
  const administrator = yield* connect(url, 2)
  yield* administrator`CREATE EXTENSION pg_stat_statements`.unprepared
  if (options.counts) {
    yield* administrator`ALTER DATABASE ${administrator(name)} SET pg_stat_statements.track = 'top'`.unprepared
  }
  const made: BenchDatabase = { name, url, administrator }
  return made
})
