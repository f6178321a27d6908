/**
 * One look at the whole stack while it works: memory, connections, tables, and the orders that are under way.
 */
import { roleOf } from "@ecommerce/chassis/Names"
import { Long, rowsOf, uuids } from "@ecommerce/sets/Sets"
import { topology } from "@ecommerce/stack/topology"
import { Effect, Schema } from "effect"

import type { BenchStack } from "./BenchStack.ts"
import * as Costs from "./Costs.ts"
import type { Arrived } from "./load/Plan.ts"
import type { BenchDatabase } from "./Server.ts"

const Backends = rowsOf(Schema.Struct({ service: Schema.String, count: Long }))
const Table = Schema.Struct({ name: Schema.String, live: Long, dead: Long, inserted: Long, bytes: Long })
const Tables = rowsOf(Table)
const Count = rowsOf(Schema.Struct({ count: Long }))
const Fate = Schema.Struct({ unknown: Long, open: Long, completed: Long, otherwise: Long })
const Fates = rowsOf(Fate)

export type Table = typeof Table.Type
export type Fate = typeof Fate.Type

export interface Sample {
  /** Seconds since the first one. */
  readonly at: number
  /** In MiB, by process. */
  readonly memory: ReadonlyMap<string, number>
  /** Of that, in MiB, what services still hold when their garbage is collected. Nothing where it was not asked for. */
  readonly held: ReadonlyMap<string, number>
  readonly backends: ReadonlyMap<string, number>
  readonly tables: ReadonlyArray<Table>
  /** Orders that have not come to their end. */
  readonly open: number
  readonly arrived: Arrived
}

const services = new Map(topology.map(({ name }) => [roleOf(name), name]))

const backendsOf = ({ administrator }: BenchDatabase) =>
  Effect.map(
    Backends(administrator`
      SELECT usename::text AS service, count(*) AS count FROM pg_stat_activity
      WHERE backend_type = 'client backend' AND datname = current_database() GROUP BY usename`),
    (rows) =>
      new Map(
        rows.flatMap(({ count, service: role }) => {
          const service = services.get(role)
          return service === undefined ? [] : [[service, count] as const]
        })
      )
  )

const tablesOf = ({ administrator }: BenchDatabase) =>
  Tables(administrator`
    SELECT schemaname || '.' || relname AS name, n_live_tup AS live, n_dead_tup AS dead, n_tup_ins AS inserted,
      pg_total_relation_size(relid) AS bytes
    FROM pg_stat_user_tables ORDER BY 1`)

export const openOrders = ({ administrator }: BenchDatabase) =>
  Effect.map(
    Count(administrator`
      SELECT count(*) AS count FROM edge_api.order_ledger
      WHERE status NOT IN ('COMPLETED', 'FAILED', 'CANCELLED', 'AUTHORIZATION_FAILED')`),
    ([row]) => row?.count ?? Number.NaN
  )

/** What has become of the orders that were accepted, by their own ids. */
export const fateOf = ({ administrator }: BenchDatabase, ids: ReadonlyArray<string>) =>
  Effect.map(
    Fates(administrator`
      SELECT count(*) FILTER (WHERE status IS NULL) AS unknown,
        count(*) FILTER (WHERE status NOT IN ('COMPLETED', 'FAILED', 'CANCELLED', 'AUTHORIZATION_FAILED')) AS open,
        count(*) FILTER (WHERE status = 'COMPLETED') AS completed,
        count(*) FILTER (WHERE status IN ('FAILED', 'CANCELLED', 'AUTHORIZATION_FAILED')) AS otherwise
      FROM unnest(${uuids(ids)}) AS accepted (order_id) LEFT JOIN edge_api.order_ledger USING (order_id)`),
    ([row]) => row ?? { unknown: Number.NaN, open: Number.NaN, completed: Number.NaN, otherwise: Number.NaN }
  )

export const take = Effect.fn("Sample.take")(function* (
  database: BenchDatabase,
  stack: BenchStack,
  at: number,
  isCollected: boolean
) {
  const arrived = yield* stack.arrived
  const sample: Sample = {
    at,
    memory: yield* Costs.memory(stack),
    held: isCollected ? yield* stack.held : new Map(),
    backends: yield* backendsOf(database),
    tables: yield* tablesOf(database),
    open: yield* openOrders(database),
    arrived
  }
  return sample
})
