/**
 * What PostgreSQL was busy with while orders came: which statements took its time, and what its backends waited for.
 */
import { roleOf } from "@ecommerce/chassis/Names"
import { Long, rowsOf, texts } from "@ecommerce/sets/Sets"
import { topology } from "@ecommerce/stack/topology"
import * as Welcome from "@ecommerce/stack/Welcome"
import { Effect, Ref, Schema } from "effect"

import type { BenchDatabase } from "./Server.ts"
import { written } from "./Statistics.ts"

const Statement = Schema.Struct({
  role: Schema.String,
  calls: Long,
  rows: Long,
  /** In its buffers, or read from the disk. */
  blocks: Long,
  millis: Schema.Number,
  planned: Long,
  planMillis: Schema.Number,
  query: Schema.String
})
const Statements = rowsOf(Statement)
export type Statement = typeof Statement.Type

const Waits = rowsOf(Schema.Struct({ event: Schema.String, backends: Long }))

/** Of nothing but what comes now. */
export const reset = ({ administrator }: BenchDatabase) =>
  Effect.asVoid(administrator`SELECT pg_stat_statements_reset()`)

const roles = texts(topology.map(({ name }) => roleOf(name)))

/** Of the services alone, those that took longest first. */
export const statements = ({ administrator }: BenchDatabase) =>
  Statements(administrator`
    SELECT rolname::text AS role, sum(calls)::bigint AS calls, sum(rows)::bigint AS rows,
      sum(shared_blks_hit + shared_blks_read)::bigint AS blocks, sum(total_exec_time) AS millis,
      sum(plans)::bigint AS planned, sum(total_plan_time) AS plan_millis, query
    FROM pg_stat_statements JOIN pg_roles ON pg_roles.oid = userid
    WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database()) AND rolname::text = ANY(${roles})
    GROUP BY rolname, query 
    ORDER BY sum(total_exec_time + total_plan_time) DESC`)

const shown = 120

/** Each for one order of so many. */
export const render = (found: ReadonlyArray<Statement>, orders: number, most: number): string =>
  Welcome.columns(
    ["of", "calls", "rows", "blocks a call", "ms", "planned", "ms planning", "statement"],
    found
      .slice(0, most)
      .map(({ blocks, calls, millis, planMillis, planned, query, role, rows }) => [
        role,
        written(calls / orders),
        written(rows / orders),
        written(blocks / calls),
        written(millis / orders),
        written(planned / orders),
        written(planMillis / orders),
        query.replaceAll(/\s+/gu, " ").trim().slice(0, shown)
      ])
  )

const lookEvery = "20 millis"
/** A backend that works and waits for nothing uses the processor, or wants to. */
const busy = "the processor"

/** How many backends of the services were at what, in the mean, while this went on. */
export const watched = Effect.fn("Profile.watched")(function* <A, E, R>(
  { administrator }: BenchDatabase,
  work: Effect.Effect<A, E, R>
) {
  const sums = yield* Ref.make<ReadonlyMap<string, number>>(new Map())
  const looks = yield* Ref.make(0)
  const look = Effect.gen(function* () {
    const found = yield* Waits(administrator`
      SELECT coalesce(wait_event_type || ' ' || wait_event, ${busy}) AS event, count(*) AS backends
      FROM pg_stat_activity WHERE datname = current_database() AND state = 'active' AND usename::text = ANY(${roles})
      GROUP BY 1`)
    yield* Ref.update(looks, (number) => number + 1)
    yield* Ref.update(sums, (before) => {
      const after = new Map(before)
      for (const { backends, event } of found) after.set(event, (after.get(event) ?? 0) + backends)
      return after
    })
    yield* Effect.sleep(lookEvery)
  })
  const made = yield* Effect.raceFirst(work, Effect.forever(look))
  const times = yield* Ref.get(looks)
  const waits = new Map([...(yield* Ref.get(sums))].map(([event, sum]) => [event, sum / times]))
  return { made, waits }
})
