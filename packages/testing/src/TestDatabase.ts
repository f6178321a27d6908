/**
 * A database of its own for each test file, with every service's tables, and its administrator's client.
 */
import * as Database from "@ecommerce/chassis/Database"
import * as Databases from "@ecommerce/stack/Databases"
import { PgClient } from "@effect/sql-pg"
import { Context, Effect, Layer, Redacted } from "effect"
import { Reactivity } from "effect/reactivity"
import { randomBytes } from "node:crypto"
import { inject } from "vitest"

import { templateDatabase } from "./globalSetup.ts"

export class TestDatabase extends Context.Service<
  TestDatabase,
  {
    readonly name: string
    readonly administratorUrl: Redacted.Redacted<string>
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
    Effect.suspend(() => makeFrom(templateDatabase))
  )

  /** Without any tables, for what makes them. */
  static readonly layerEmpty = Layer.effect(
    TestDatabase,
    Effect.suspend(() => makeFrom("template0"))
  )
}

const makeFrom = Effect.fn("TestDatabase.make")(function* (template: string) {
  const shared = yield* Effect.sync(() => inject("postgres"))
  const name = `test_${randomBytes(6).toString("hex")}`
  const server = yield* connect(shared.administratorUrl)
  yield* Effect.acquireRelease(
    server`CREATE DATABASE ${server(name)} TEMPLATE ${server(template)}`.unprepared,
    () => Effect.orDie(server`DROP DATABASE ${server(name)} WITH (FORCE)`.unprepared)
  )
  const url = new URL(shared.administratorUrl)
  url.pathname = `/${name}`
  const administratorUrl = Redacted.make(url.href)
  return TestDatabase.of({
    name,
    administratorUrl,
    urlOf: (service) => Databases.urlOf(administratorUrl, service, Redacted.make(shared.passwords[service] ?? "")),
    administrator: yield* connect(url.href),
    cutConnections: server<{ pid: number }>`
      SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = ${name} AND usename <> 'postgres'
    `.pipe(
      Effect.map((rows) => rows.length),
      Effect.orDie
    )
  })
}, Effect.orDie)

const connect = (url: string) =>
  Database.make({ url: Redacted.make(url), applicationName: "test", maxConnections: 4 }).pipe(
    Effect.provide(Reactivity.layer)
  )
