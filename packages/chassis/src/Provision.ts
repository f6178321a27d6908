/**
 * A service's place in a PostgreSQL server: a schema that is its own, and a login role that sees nothing else. Beside the
 * services there is the auditor, who may look into the schemas of all of them and change nothing.
 *
 * The time limits belong to the role, so that no program and no person logged in as it can be without them.
 * `statement_timeout` stays below `transaction_timeout`: the former ends one statement, the latter the whole session,
 * and with it the neighbours that share its connection.
 */
import { PgClient } from "@effect/sql-pg"
import { Effect, Option, Redacted, Schedule } from "effect"
import { SqlError } from "effect/sql"

import * as Database from "./Database.ts"
import { auditor, roleOf, schemaOf } from "./Names.ts"

export interface Tenant {
  readonly service: string
  /** None leaves it as it is. */
  readonly password: Option.Option<Redacted.Redacted<string>>
}

const roleSettings = (service: string) => ({
  search_path: schemaOf(service),
  lock_timeout: "3s",
  statement_timeout: "5s",
  transaction_timeout: "15s",
  idle_in_transaction_session_timeout: "10s",
  // A plan is kept from when its tables were young and a sequential scan was cheapest. With sets of 100 that ran at
  // 1,480 orders/s on fresh tables and at 260/s after 36 s, until ANALYZE came by; a reserve of 500 on 300,000 rows took
  // 8 s and failed, and 0.12 s with this. What is joined with a set names its keys by = ANY too, so that an index
  // serves it whichever way the planner joins.
  enable_seqscan: "off"
})

/**
 * Read-only by its rights; the setting only says so before a right is missed. It reads whole tables, for which an index would
 * be a detour, and longer than a service may: a transaction that only reads has no id, and so holds up no feed.
 */
const auditorSettings = {
  search_path: "pg_catalog",
  default_transaction_read_only: "on",
  lock_timeout: "3s",
  statement_timeout: "2min",
  idle_in_transaction_session_timeout: "10s"
}

/** Makes schema and role where they are missing, and brings password, limits and rights up to date. */
export const provision = Effect.fn("Provision.provision")(function* (tenant: Tenant) {
  const sql = yield* PgClient.PgClient
  const role = sql(roleOf(tenant.service))
  const schema = sql(schemaOf(tenant.service))
  yield* oneAtATime(
    Effect.gen(function* () {
      yield* bringUpToDate(roleOf(tenant.service), tenant.password, roleSettings(tenant.service))
      yield* sql`REVOKE ALL ON SCHEMA public FROM PUBLIC`
      yield* sql`CREATE SCHEMA IF NOT EXISTS ${schema}`
      yield* sql`GRANT USAGE ON SCHEMA ${schema} TO ${role}`
      yield* sql`ALTER DEFAULT PRIVILEGES IN SCHEMA ${schema} GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO ${role}`
      yield* sql`ALTER DEFAULT PRIVILEGES IN SCHEMA ${schema} GRANT USAGE, SELECT ON SEQUENCES TO ${role}`
    })
  )
})

/** Lets the auditor look at what this service has stored and will store, wherever the service has its schema. */
export const admitAuditor = Effect.fn("Provision.admitAuditor")(function* ({ password, service }: Tenant) {
  const sql = yield* PgClient.PgClient
  const role = sql(roleOf(auditor))
  const schema = sql(schemaOf(service))
  yield* oneAtATime(
    Effect.gen(function* () {
      yield* bringUpToDate(roleOf(auditor), password, auditorSettings)
      yield* sql`GRANT USAGE ON SCHEMA ${schema} TO ${role}`
      yield* sql`GRANT SELECT ON ALL TABLES IN SCHEMA ${schema} TO ${role}`
      yield* sql`ALTER DEFAULT PRIVILEGES IN SCHEMA ${schema} GRANT SELECT ON TABLES TO ${role}`
    })
  )
})

/** Makes a role that may log in to this database, which is closed to everybody else. */
const bringUpToDate = Effect.fnUntraced(function* (
  role: string,
  password: Option.Option<Redacted.Redacted<string>>,
  settings: Readonly<Record<string, string>>
) {
  const sql = yield* PgClient.PgClient
  const known = yield* sql`SELECT FROM pg_roles WHERE rolname = ${role}`
  if (known.length === 0) yield* run("CREATE ROLE %I", role)
  yield* run("ALTER ROLE %I LOGIN", role)
  if (Option.isSome(password)) yield* run("ALTER ROLE %I PASSWORD %L", role, Redacted.value(password.value))
  yield* Effect.forEach(Object.entries(settings), ([name, value]) =>
    run("ALTER ROLE %I SET %I = %L", role, name, value)
  )
  yield* run("REVOKE ALL ON DATABASE %I FROM PUBLIC", ...(yield* currentDatabase))
  yield* run("GRANT CONNECT ON DATABASE %I TO %I", ...(yield* currentDatabase), role)
})

/** Utility statements take no parameters: PostgreSQL itself puts the values into their text, quoted. */
const run = Effect.fnUntraced(function* (template: string, ...values: ReadonlyArray<string>) {
  const sql = yield* PgClient.PgClient
  const texts = yield* sql<{ text: string }>`SELECT format(${template}, VARIADIC ${values}::text[]) AS text`
  yield* Effect.forEach(texts, ({ text }) => sql.unsafe(text).unprepared)
})

const oneAtATime = Effect.fnUntraced(function* <E, R>(work: Effect.Effect<void, E | SqlError.SqlError, R>) {
  const sql = yield* PgClient.PgClient
  const lock = sql`SELECT pg_advisory_xact_lock(hashtext('ecommerce provisioning'))`
  yield* sql
    .withTransaction(Effect.andThen(lock, work))
    .pipe(
      Effect.retry({ while: isBesideAnother, times: 20, schedule: Schedule.jittered(Schedule.spaced("50 millis")) })
    )
})

/** Roles belong to the server, locks to a database: whoever provisions another database may change the same role. */
const isBesideAnother = (error: unknown) =>
  SqlError.isSqlError(error) &&
  /tuple concurrently updated|already exists|duplicate key/u.test(Database.describe(error))

const currentDatabase = Effect.gen(function* () {
  const sql = yield* PgClient.PgClient
  const rows = yield* sql<{ name: string }>`SELECT current_database() AS name`
  return rows.map((row) => row.name)
})
