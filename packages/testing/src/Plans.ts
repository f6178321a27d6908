/**
 * Whether statements stay fast as tables grow: how many rows an operation reads, on plans that are kept from when the
 * tables were young.
 */
import * as Database from "@ecommerce/chassis/Database"
import { schemaOf } from "@ecommerce/chassis/Names"
import { Long, rowsOf } from "@ecommerce/sets/Sets"
import { PgClient } from "@effect/sql-pg"
import { Effect, Layer, Schema } from "effect"

import { TestDatabase } from "./TestDatabase.ts"

/** One connection, so that a plan that it keeps is met again by every later statement. */
const oneConnection = (service: string) =>
  Layer.unwrap(
    Effect.map(TestDatabase, ({ urlOf }) =>
      Database.layerFrom({ url: urlOf(service), applicationName: "plans", maxConnections: 1 })
    )
  )

/** Statistics come when the test asks for them, never in between. */
const noAutovacuum = Layer.effectDiscard(
  Effect.gen(function* () {
    const { administrator } = yield* TestDatabase
    yield* administrator`ALTER SYSTEM SET autovacuum = off`.unprepared
    yield* administrator`SELECT pg_reload_conf()`
  })
)

/** The service's database on a server of its own, as a test of plans needs it. */
export const database = (service: string) =>
  oneConnection(service).pipe(Layer.provideMerge(noAutovacuum), Layer.provideMerge(TestDatabase.layerOwnServer))

const readRows = rowsOf(Schema.Struct({ table: Schema.String, read: Long }))

/** How many rows were read so far, by table, whether one after the other or by an index. */
const rowsRead = Effect.fn("rowsRead")(function* (service: string) {
  const sql = yield* PgClient.PgClient
  const { administrator } = yield* TestDatabase
  yield* sql`SELECT pg_stat_force_next_flush()`
  const rows = yield* readRows(administrator`
    SELECT relname AS table, (seq_tup_read + coalesce((
      SELECT sum(idx_tup_read) FROM pg_stat_user_indexes AS indexes WHERE indexes.relid = tables.relid
    ), 0))::bigint AS read FROM pg_stat_user_tables AS tables WHERE schemaname = ${schemaOf(service)}`)
  return new Map(rows.map(({ read, table }) => [table, read]))
})

/** Says where an operation reads more rows of one table than this: nowhere, if all is well. */
export const overread = (service: string, mostRows: number) =>
  Effect.fn("overread")(function* <A, E, R>(name: string, operation: Effect.Effect<A, E, R>) {
    const before = yield* rowsRead(service)
    yield* operation
    const after = yield* rowsRead(service)
    return [...after]
      .map(([table, read]) => ({ table, read: read - (before.get(table) ?? 0) }))
      .filter(({ read }) => read > mostRows)
      .map(({ read, table }) => `${name} read ${read} rows of ${table}`)
  })

const runRows = rowsOf(Schema.Struct({ runs: Long }))

/** How often a plan that was kept has been used, on this connection. */
export const runsOfKeptPlans = Effect.gen(function* () {
  const sql = yield* PgClient.PgClient
  const [row] = yield* runRows(sql`SELECT coalesce(sum(generic_plans), 0)::bigint AS runs FROM pg_prepared_statements`)
  return row?.runs ?? 0
})

const preparedRows = rowsOf(Schema.Struct({ name: Schema.String, parameters: Schema.Int }))
const planRows = rowsOf(Schema.Struct({ line: Schema.String }))

/** How a statement that begins like this runs on this connection from now on, whatever it is given. */
export const keptPlan = Effect.fn("keptPlan")(function* (beginning: string) {
  const sql = yield* PgClient.PgClient
  const [prepared] = yield* preparedRows(sql`
    SELECT name, cardinality(parameter_types) AS parameters FROM pg_prepared_statements
    WHERE starts_with(btrim(statement, E' \\n'), ${beginning})`)
  const nothing = Array.from({ length: prepared?.parameters ?? 0 }, () => "NULL").join(", ")
  return yield* sql.withTransaction(
    Effect.gen(function* () {
      yield* sql`SET LOCAL plan_cache_mode = force_generic_plan`.unprepared
      const lines = yield* planRows(
        Effect.map(sql.unsafe(`EXPLAIN EXECUTE "${prepared?.name}"(${nothing})`).unprepared, (rows) =>
          rows.map((row) => ({ line: Object.values(row).join() }))
        )
      )
      return lines.map(({ line }) => line).join("\n")
    })
  )
})

/**
 * What a test itself does beside the operations that are measured reads rows too. It says so at once: its session would tell
 * up to ten seconds later, in the middle of a measurement.
 */
export const beside = <A, E, R>(work: Effect.Effect<A, E, R>) =>
  Effect.flatMap(TestDatabase, ({ administrator }) =>
    administrator.withTransaction(Effect.tap(work, administrator`SELECT pg_stat_force_next_flush()`))
  )

const analyze = Effect.flatMap(TestDatabase, ({ administrator }) => beside(administrator`ANALYZE`.unprepared))

/** How a service's tables grow, and what is done with them. */
export interface Growth<E, R> {
  readonly service: string
  readonly tables: ReadonlyArray<string>
  /** Puts the first few rows there. */
  readonly begin: Effect.Effect<unknown, E, R>
  /** Every operation once; says where it reads too much. Another turn meets other rows. */
  readonly operations: (turn: number) => Effect.Effect<ReadonlyArray<string>, E, R>
  /** `orders (…) SELECT …`: what is inserted for each `n` of a series, foreign keys and triggers left aside. */
  readonly rows: ReadonlyArray<string>
  readonly count: number
  /** How many runs of kept plans it takes to learn anything. */
  readonly leastKept: number
}

/**
 * What is read too much by plans that were made on an empty table, or on the statistics of a handful of rows (the nastier
 * ones: whoever believes that one page holds all there is reads it as a whole), and are kept while the table grows.
 */
export const overreadWhileGrowing = Effect.fn("overreadWhileGrowing")(function* <E, R>(
  { begin, count, leastKept, operations, rows, service, tables }: Growth<E, R>,
  prepare: "SELECT" | "ANALYZE"
) {
  const sql = yield* PgClient.PgClient
  const { administrator } = yield* TestDatabase
  const schema = schemaOf(service)
  yield* administrator.unsafe(`TRUNCATE ${tables.map((table) => `${schema}.${table}`).join(", ")}`).unprepared
  yield* sql`DISCARD PLANS`.unprepared
  yield* begin
  if (prepare === "ANALYZE") yield* analyze
  // After five runs with plans of their own, PostgreSQL keeps one plan for all later ones.
  const young = yield* Effect.forEach([1, 2, 3, 4, 5, 6, 7], operations)
  const before = yield* runsOfKeptPlans
  const last = yield* operations(8)
  const kept = (yield* runsOfKeptPlans) - before
  yield* beside(
    Effect.gen(function* () {
      yield* administrator`SET LOCAL session_replication_role = replica`.unprepared
      for (const insert of rows) {
        yield* administrator.unsafe(`INSERT INTO ${schema}.${insert} FROM generate_series(1, ${count}) AS n`).unprepared
      }
    })
  )
  const grown = yield* operations(9)
  yield* analyze
  const analyzed = yield* Effect.forEach([10, 11, 12], operations)
  return {
    young: [...young.flat(), ...last],
    grown,
    analyzed: analyzed.flat(),
    tooFewKept: kept < leastKept ? kept : undefined
  }
})

/** What plans are made on: nothing, or the statistics of a handful of rows. */
export const beginnings = [
  ["nothing at all", "SELECT"],
  ["the statistics of a handful of rows", "ANALYZE"]
] as const

/** Nothing is read too much, and that is worth knowing. */
export const allWell = { young: [], grown: [], analyzed: [], tooFewKept: undefined }

/** An id for a number, as SQL. */
export const idOf = (number: string) => `('00000000-0000-7000-8000-' || lpad(to_hex(${number}), 12, '0'))::uuid`

/** The same id. */
export const numbered = (number: number) => `00000000-0000-7000-8000-${number.toString(16).padStart(12, "0")}`
