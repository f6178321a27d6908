/**
 * A database of its own for each test file, with every service's tables, and its administrator's client.
 */
import { randomBytes } from "node:crypto"

import * as Database from "@ecommerce/chassis/Database"
import { roleOf } from "@ecommerce/chassis/Names"
import * as Databases from "@ecommerce/stack/Databases"
import { EmbeddedPostgres } from "@ecommerce/stack/EmbeddedPostgres"
import { NodeServices } from "@effect/platform-node"
import type { PgClient } from "@effect/sql-pg"
import { Context, Effect, Layer, Redacted } from "effect"
import { Reactivity } from "effect/reactivity"
import { inject } from "vitest"

import { type SharedPostgres, startPostgres, templateDatabase } from "./globalSetup.ts"

export class TestDatabase extends Context.Service<
  TestDatabase,
  {
    readonly name: string
    readonly administratorUrl: Redacted.Redacted<string>
    readonly serviceToken: string
    /** With which a service logs in. */
    readonly urlOf: (service: string) => Redacted.Redacted<string>
    /** A superuser's client of this database, for looking at it and for breaking it. */
    readonly administrator: PgClient.PgClient
    /** Ends every connection that services have to this database, in the middle of whatever they do. */
    readonly cutConnections: Effect.Effect<number>
  }
>()("@ecommerce/testing/TestDatabase") {
  /** A copy of the template with all tables, dropped afterwards. */
  static readonly layer = Layer.effect(
    TestDatabase,
    Effect.suspend(() => makeFrom(inject("postgres"), templateDatabase))
  )

  /** Without any tables, for what makes them. */
  static readonly layerEmpty = Layer.effect(
    TestDatabase,
    Effect.suspend(() => makeFrom(inject("postgres"), "template0"))
  )

  /** On a server of its own, for tests that stop it or hold transactions open, which every neighbour would feel. */
  static readonly layerOwnServer = Layer.suspend(() => onOwnServer())

  /** The same, with its data in this folder. */
  static readonly layerOn = (folder: string) => onOwnServer(folder)
}

const onOwnServer = (folder?: string) =>
  Layer.effectContext(
    Effect.gen(function* () {
      const { server, shared } = yield* startPostgres(folder)
      const database = yield* makeFrom(shared, templateDatabase)
      return Context.make(EmbeddedPostgres, server).pipe(Context.add(TestDatabase, database))
    })
  ).pipe(Layer.provide(NodeServices.layer))

/**
 * PostgreSQL notices deadlocks of this service so late that nothing runs them again: a lock order that allows one makes a
 * test fail. Everybody else may wait longer than in production, because the machine may be slow.
 */
export const deadlocksShow = (service: string) =>
  Layer.effectDiscard(
    Effect.gen(function* () {
      const { administrator, name } = yield* TestDatabase
      const limits = {
        deadlock_timeout: "60s",
        lock_timeout: "20s",
        statement_timeout: "25s",
        transaction_timeout: "50s"
      }
      yield* Effect.forEach(
        Object.entries(limits),
        ([setting, value]) =>
          administrator.unsafe(`ALTER ROLE ${roleOf(service)} IN DATABASE ${name} SET ${setting} = '${value}'`)
            .unprepared
      )
    })
  )

const makeFrom = Effect.fn("TestDatabase.make")(function* (shared: SharedPostgres, template: string) {
  const name = `test_${randomBytes(6).toString("hex")}`
  // A client of its own for each statement: a pool whose scope is closing waits for ever for a new connection.
  const onServer = <A, E>(run: (server: PgClient.PgClient) => Effect.Effect<A, E>) =>
    Effect.scoped(Effect.flatMap(connect(shared.administratorUrl), run)).pipe(Effect.orDie)
  yield* Effect.acquireRelease(
    onServer((server) => server`CREATE DATABASE ${server(name)} TEMPLATE ${server(template)}`.unprepared),
    () => onServer((server) => server`DROP DATABASE ${server(name)} WITH (FORCE)`.unprepared)
  )
  // The rights to connect are not copied with the template.
  yield* onServer((server) => server`REVOKE ALL ON DATABASE ${server(name)} FROM PUBLIC`.unprepared)
  yield* onServer((server) =>
    Effect.forEach(
      Object.keys(shared.passwords),
      (service) => server`GRANT CONNECT ON DATABASE ${server(name)} TO ${server(roleOf(service))}`.unprepared
    )
  )
  const url = new URL(shared.administratorUrl)
  url.pathname = `/${name}`
  const administratorUrl = Redacted.make(url.href)
  return TestDatabase.of({
    name,
    administratorUrl,
    serviceToken: shared.serviceToken,
    urlOf: (service) => Databases.urlOf(administratorUrl, service, Redacted.make(shared.passwords[service] ?? "")),
    administrator: yield* connect(url.href),
    cutConnections: onServer(
      (server) => server`
        SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = ${name} AND usename <> 'postgres'`
    ).pipe(Effect.map((rows) => rows.length))
  })
}, Effect.orDie)

const connect = (url: string) =>
  Database.make({ url: Redacted.make(url), applicationName: "test", maxConnections: 4 }).pipe(
    Effect.provide(Reactivity.layer)
  )
