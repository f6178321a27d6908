/**
 * What an operator sees and does with a service's feeds: who reads from it, what it reads itself, what could not be used.
 */
import { Long, rowsOf } from "@ecommerce/sets/Sets"
import { PgClient } from "@effect/sql-pg"
import { Effect, Schema } from "effect"

/** Somebody who reads this service's feed. */
const Reader = Schema.Struct({
  name: Schema.String,
  /** The age of the oldest event that it has not read, in seconds. */
  secondsBehind: Schema.Number,
  /** Counted up to {@link mostCounted}. */
  eventsBehind: Long,
  seenSecondsAgo: Schema.Number
})
export type Reader = typeof Reader.Type

/** A consumer that this service has. */
const Subscription = Schema.Struct({
  name: Schema.String,
  isPaused: Schema.Boolean,
  deadLetters: Long,
  movedSecondsAgo: Schema.Number
})
export type Subscription = typeof Subscription.Type

export const Letter = Schema.Struct({
  consumer: Schema.String,
  eventId: Schema.String,
  type: Schema.String,
  subject: Schema.String,
  error: Schema.String,
  diedSecondsAgo: Schema.Number
})
export type Letter = typeof Letter.Type

export const mostCounted = 10_000

export const make = Effect.gen(function* () {
  const sql = yield* PgClient.PgClient

  const readers = readerRows(sql`
    SELECT name,
      coalesce(extract(epoch FROM clock_timestamp() - outbox_unread_since(generation, xid, seq)), 0)::float8 AS seconds_behind,
      behind.events AS events_behind, extract(epoch FROM clock_timestamp() - seen_at)::float8 AS seen_seconds_ago
    FROM outbox_consumers AS known
    CROSS JOIN LATERAL (
      SELECT count(*) AS events FROM (
        SELECT FROM outbox WHERE (outbox.generation, outbox.xid, outbox.seq) > (known.generation, known.xid, known.seq)
        LIMIT ${mostCounted}
      ) AS unread
    ) AS behind
    ORDER BY name`)

  const hasConsumers = Effect.map(sql`SELECT WHERE to_regclass('feed_cursors') IS NOT NULL`, (rows) => rows.length > 0)

  const whereConsumers = <A, E>(look: Effect.Effect<ReadonlyArray<A>, E>) =>
    Effect.flatMap(hasConsumers, (some) => (some ? look : Effect.succeed([])))

  const subscriptions = whereConsumers(
    subscriptionRows(sql`
      SELECT consumer AS name, paused_at IS NOT NULL AS is_paused,
        (SELECT count(*) FROM dead_letters WHERE dead_letters.consumer = feed_cursors.consumer) AS dead_letters,
        extract(epoch FROM clock_timestamp() - moved_at)::float8 AS moved_seconds_ago
      FROM feed_cursors ORDER BY consumer`)
  )

  const letters = whereConsumers(
    letterRows(sql`
      SELECT consumer, event_id, event->>'type' AS type, event->>'subject' AS subject, error,
        extract(epoch FROM clock_timestamp() - died_at)::float8 AS died_seconds_ago
      FROM dead_letters ORDER BY id LIMIT 100`)
  )

  const changed = (statement: Effect.Effect<ReadonlyArray<unknown>, unknown>) =>
    Effect.map(whereConsumers(statement), (rows) => rows.length)

  return {
    readers,
    subscriptions,
    letters,
    /** The consumer itself uses them again, in its next round. Answers how many. */
    redrive: (consumer: string) =>
      changed(sql`
        UPDATE dead_letters SET redrive_asked_at = clock_timestamp() WHERE consumer = ${consumer} RETURNING 1 AS one`),
    /** They will not be used any more. */
    discard: (consumer: string) =>
      changed(sql`DELETE FROM dead_letters WHERE consumer = ${consumer} RETURNING 1 AS one`),
    pause: (consumer: string) =>
      changed(sql`
        UPDATE feed_cursors SET paused_at = clock_timestamp() WHERE consumer = ${consumer} RETURNING 1 AS one`),
    resume: (consumer: string) =>
      changed(sql`
        UPDATE feed_cursors SET paused_at = NULL, dead_in_a_row = 0 WHERE consumer = ${consumer} RETURNING 1 AS one`),
    /** From the oldest event that is kept: for one that has missed some. */
    resumeAnew: (consumer: string) =>
      changed(sql`
        UPDATE feed_cursors SET paused_at = NULL, dead_in_a_row = 0, cursor = NULL WHERE consumer = ${consumer}
        RETURNING 1 AS one`),
    /** Nothing is kept for this reader any more. One that is not gone comes back with its next request. */
    remove: (reader: string) =>
      Effect.map(sql`DELETE FROM outbox_consumers WHERE name = ${reader} RETURNING 1 AS one`, (rows) => rows.length)
  }
})

const readerRows = rowsOf(Reader)
const subscriptionRows = rowsOf(Subscription)
const letterRows = rowsOf(Letter)
