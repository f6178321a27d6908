/**
 * What the work between two readings has cost: in the database, and of the processor and the memory, process by process.
 */
import { roleOf } from "@ecommerce/chassis/Names"
import { Long, rowsOf } from "@ecommerce/sets/Sets"
import { topology } from "@ecommerce/stack/topology"
import { Effect, Schema } from "effect"

import type { BenchStack } from "./BenchStack.ts"
import * as Processes from "./Processes.ts"
import { type BenchDatabase, Server } from "./Server.ts"

const Counters = rowsOf(Schema.Struct({ transactions: Long, walBytes: Long, statements: Long }))
const Backends = rowsOf(Schema.Struct({ pid: Schema.Int, role: Schema.NullOr(Schema.String) }))

export interface Reading {
  /** So many transactions have written something: each has taken a number. */
  readonly transactions: number
  readonly walBytes: number
  /** Only where the database counts them. */
  readonly statements: number
  readonly cpuMillis: ReadonlyMap<string, number>
}

const add = (sums: Map<string, number>, name: string, value: number) => sums.set(name, (sums.get(name) ?? 0) + value)

const roles = new Map(topology.map(({ name }) => [roleOf(name), name]))

/** PostgreSQL's own time is told by whom it works for; what is left is its writers', and that of sessions that have ended. */
const postgresCpu = Effect.fnUntraced(function* ({ administrator }: BenchDatabase) {
  const { postmaster } = yield* Server
  const all = yield* Processes.familyCpuMillis(yield* postmaster)
  const sums = new Map<string, number>()
  let known = 0
  for (const { pid, role } of yield* Backends(
    administrator`SELECT pid, usename::text AS role FROM pg_stat_activity WHERE backend_type = 'client backend'`
  )) {
    const millis = yield* Processes.cpuMillis(pid)
    known += millis
    const service = roles.get(role ?? "")
    // Our own looking.
    if (service !== undefined) add(sums, `postgres for ${service}`, millis)
  }
  return sums.set("postgres itself", all - known)
})

export const read = Effect.fn("Costs.read")(function* (database: BenchDatabase, stack: BenchStack) {
  const cpuMillis = yield* postgresCpu(database)
  for (const [name, pid] of yield* stack.processes) cpuMillis.set(name, yield* Processes.cpuMillis(pid))
  const [counters] = yield* Counters(database.administrator`
    SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS transactions,
      (pg_current_wal_insert_lsn() - '0/0')::bigint AS wal_bytes,
      (SELECT coalesce(sum(calls), 0)::bigint FROM pg_stat_statements
        WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())) AS statements`)
  const reading: Reading = {
    transactions: counters?.transactions ?? 0,
    walBytes: counters?.walBytes ?? 0,
    statements: counters?.statements ?? 0,
    cpuMillis
  }
  return reading
})

export interface Costs {
  readonly transactions: number
  readonly walKilobytes: number
  readonly statements: number
  /** Without the load's own. */
  readonly cpuMillis: number
  readonly cpuMillisBy: ReadonlyMap<string, number>
}

/** For one order of so many. */
export const between = (before: Reading, after: Reading, orders: number): Costs => {
  const cpuMillisBy = new Map(
    [...after.cpuMillis].map(([name, millis]) => [name, (millis - (before.cpuMillis.get(name) ?? 0)) / orders])
  )
  let cpuMillis = 0
  for (const [name, millis] of cpuMillisBy) if (name !== "load") cpuMillis += millis
  return {
    transactions: (after.transactions - before.transactions) / orders,
    walKilobytes: (after.walBytes - before.walBytes) / 1000 / orders,
    statements: (after.statements - before.statements) / orders,
    cpuMillis,
    cpuMillisBy
  }
}

/** In MiB, by process. */
export const memory = Effect.fn("Costs.memory")(function* (stack: BenchStack) {
  const { postmaster } = yield* Server
  const found = new Map<string, number>()
  for (const [name, pid] of yield* stack.processes) {
    if (name !== "load") found.set(name, yield* Processes.memoryMebibytes(pid))
  }
  return found.set("postgres", yield* Processes.familyMemoryMebibytes(yield* postmaster))
})
