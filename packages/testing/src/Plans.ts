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
