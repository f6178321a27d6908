/**
 * Writing into a service's outbox.
 *
 * `append` runs in the caller's transaction, so that an event is there exactly if what it tells of has happened. The
 * table comes with `migrations/outbox.sql`, which each service's migrations include.
 */
import { jsons, longs, rowsOf, texts } from "@ecommerce/sets/Sets"
import { PgClient } from "@effect/sql-pg"
import { Context, Effect, Metric, Schema } from "effect"

import type { NewEvent } from "./Event.ts"

/** A transaction that is under way, and what it has appended, if anything. */
export interface Transaction {
  xid: bigint | undefined
  readonly types: Set<string>
}

/** Set by whoever begins transactions and wants to know which of them have something to tell. */
export const CurrentTransaction = Context.Reference<Transaction | undefined>("@ecommerce/outbox/CurrentTransaction", {
  defaultValue: () => undefined
})

/** Appends the events in their order. */
export const append = Effect.fn("Outbox.append")(function* (events: ReadonlyArray<NewEvent>) {
  if (events.length === 0) return
  const sql = yield* PgClient.PgClient
  const transaction = yield* CurrentTransaction
  yield* sql.afterCommit(count(events))
  const [row] = yield* xidRows(sql`
    WITH appended AS (INSERT INTO outbox (generation, type, subject, version, data, traceparent)
    SELECT (SELECT outbox_begin()), type, subject, version, data, traceparent
    FROM unnest(
      ${texts(events.map((event) => event.type))},
      ${texts(events.map((event) => event.subject))},
      ${longs(events.map((event) => event.version))},
      ${jsons(events.map((event) => event.data))},
      ${texts(events.map((event) => event.traceparent))}
    ) WITH ORDINALITY AS input (type, subject, version, data, traceparent, place)
    ORDER BY place RETURNING xid)
    SELECT xid::text AS xid FROM appended LIMIT 1`)
  if (row === undefined || transaction === undefined) return
  transaction.xid = BigInt(row.xid)
  for (const { type } of events) transaction.types.add(type)
})

const appended = Metric.counter("outbox_events_total", {
  description: "Events that were committed, by type: what has happened here.",
  incremental: true
})

const count = (events: ReadonlyArray<NewEvent>) =>
  Effect.forEach(
    Map.groupBy(events, ({ type }) => type),
    ([type, some]) => Metric.update(Metric.withAttributes(appended, { type }), some.length),
    { discard: true }
  )

const xidRows = rowsOf(Schema.Struct({ xid: Schema.String }))
