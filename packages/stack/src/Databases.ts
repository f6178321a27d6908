/**
 * Gives every service of the topology its place in a PostgreSQL server, with its tables as this checkout has them.
 */
import * as Database from "@ecommerce/chassis/Database"
import * as Migrations from "@ecommerce/chassis/Migrations"
import { auditor, roleOf, schemaOf } from "@ecommerce/chassis/Names"
import { admitAuditor, provision } from "@ecommerce/chassis/Provision"
import { StartupError } from "@ecommerce/chassis/StartupError"
import { PgClient } from "@effect/sql-pg"
import { Effect, type Option, Redacted } from "effect"
import { SqlError } from "effect/sql"

import { topology } from "./topology.ts"

export interface Options {
  /** The user of this URL must be allowed to create roles and schemas. */
  readonly url: Redacted.Redacted<string>
  /** None leaves a role's password as it is. Asked for the auditor's too. */
  readonly passwordOf: (service: string) => Option.Option<Redacted.Redacted<string>>
  readonly services: ReadonlyArray<string>
}

export const all: ReadonlyArray<string> = topology.map(({ name }) => name)

/** Makes schemas and roles, and applies what is missing of the migrations. Answers what it applied. */
export const prepare = Effect.fn("Databases.prepare")(function* ({ passwordOf, services, url }: Options) {
  const folder = yield* Migrations.directory
  return yield* Effect.forEach(services, (service) =>
    Effect.gen(function* () {
      const migrations = yield* Migrations.read(folder, service)
      yield* provision({ service, password: passwordOf(service) })
      yield* admitAuditor({ service, password: passwordOf(auditor) })
      return { service, applied: yield* Migrations.apply(migrations) }
    })
  ).pipe(administering(url))
})

/** Whether somebody answers at this URL and lets us in. */
export const answers = (url: Redacted.Redacted<string>) =>
  Effect.flatMap(PgClient.PgClient, (sql) => sql`SELECT 1`).pipe(administering(url), Effect.isSuccess)

/** Drops what the services of the topology have stored on this server. */
export const clear = (url: Redacted.Redacted<string>) =>
  Effect.gen(function* () {
    const sql = yield* PgClient.PgClient
    yield* Effect.forEach(all, (service) => sql`DROP SCHEMA IF EXISTS ${sql(schemaOf(service))} CASCADE`)
  }).pipe(administering(url))

export const createDatabase = (url: Redacted.Redacted<string>, name: string) =>
  Effect.gen(function* () {
    const sql = yield* PgClient.PgClient
    const known = yield* sql`SELECT FROM pg_database WHERE datname = ${name}`
    if (known.length === 0) yield* sql`CREATE DATABASE ${sql(name)}`.unprepared
  }).pipe(administering(url))

/** The URL with which a service, or the auditor, logs in: the same server and database, its own role. */
export const urlOf = (
  administrator: Redacted.Redacted<string>,
  service: string,
  password: Redacted.Redacted<string>
) => {
  const url = new URL(Redacted.value(administrator))
  url.username = roleOf(service)
  url.password = encodeURIComponent(Redacted.value(password))
  return Redacted.make(url.href)
}

const administering =
  (url: Redacted.Redacted<string>) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>) =>
    effect.pipe(
      Effect.provide(Database.layerFrom({ url, applicationName: "ecommerce-migrate", maxConnections: 1 })),
      Effect.catchIf(isSqlError, (error) => new StartupError({ message: sentence(url, error) }))
    )

const isSqlError = <E>(error: E): error is Extract<E, SqlError.SqlError> => SqlError.isSqlError(error)

const sentence = (administrator: Redacted.Redacted<string>, error: SqlError.SqlError) => {
  const { host, pathname } = new URL(Redacted.value(administrator))
  return `The database ${host}${pathname} could not be prepared: ${Database.describe(error)}.`
}
