/** Who reads a service's feed, and how far each has come. */
import { texts } from "@ecommerce/sets/Sets"
import { PgClient } from "@effect/sql-pg"
import { Effect } from "effect"

import { idOf, type Position } from "./Cursor.ts"
import { lagRows, placeRows } from "./FeedRows.ts"

/** How far a consumer is behind. */
export interface Lag {
  readonly consumer: string
  /** The age of the oldest event that it has not read; 0 where it has read all. */
  readonly seconds: number
  /** Since it has asked for the last time. */
  readonly seenSecondsAgo: number
}

export const make = Effect.gen(function* () {
  const sql = yield* PgClient.PgClient
  /** Who has asked since places were last written, and after which place. */
  const asked = new Map<string, Position>()
  const known = new Set<string>()

  /** Whoever asks is known from then on, and has come as far as it says: one that goes back, too, is to miss nothing. */
  const register = Effect.fnUntraced(function* (consumer: string, after: Position) {
    asked.set(consumer, after)
    if (known.has(consumer)) return
    yield* write([[consumer, after]])
    known.add(consumer)
  })

  const rowsOfPlaces = (places: ReadonlyArray<readonly [string, Position]>) => sql`
    SELECT name, generation::bigint, xid::xid8, seq::bigint FROM unnest(
      ${texts(places.map(([consumer]) => consumer))},
      ${texts(places.map(([, { generation }]) => String(generation)))},
      ${texts(places.map(([, { xid }]) => xid))},
      ${texts(places.map(([, { seq }]) => seq))}
    ) AS input (name, generation, xid, seq)
    ORDER BY name`

  const write = (places: ReadonlyArray<readonly [string, Position]>) => sql`
    INSERT INTO outbox_consumers (name, generation, xid, seq) ${rowsOfPlaces(places)}
    ON CONFLICT (name) DO UPDATE SET
      generation = excluded.generation, xid = excluded.xid, seq = excluded.seq, seen_at = clock_timestamp()`

  /** Of those that are there. */
  const overwrite = (places: ReadonlyArray<readonly [string, Position]>) => sql`
    UPDATE outbox_consumers SET
      generation = place.generation, xid = place.xid, seq = place.seq, seen_at = clock_timestamp()
    FROM (${rowsOfPlaces(places)}) AS place
    WHERE outbox_consumers.name = place.name AND outbox_consumers.name = ANY(${texts(places.map(([consumer]) => consumer))})`

  const acknowledge = Effect.gen(function* () {
    const active = [...asked]
    if (active.length === 0) return
    asked.clear()
    const names = texts(active.map(([consumer]) => consumer))
    const written = yield* placeRows(sql`
      SELECT name, generation, xid::text AS xid, seq::text AS seq FROM outbox_consumers WHERE name = ANY(${names})`)
    const places = new Map(written.map((row) => [row.name, idOf(row)]))
    // One that was removed is known again when it asks again: what it asked before must not bring it back.
    for (const [consumer] of active) if (!places.has(consumer)) known.delete(consumer)
    const news = active.filter(([consumer, after]) => places.has(consumer) && places.get(consumer) !== idOf(after))
    if (news.length > 0) yield* overwrite(news)
    // Those who have nothing to read are seen, too.
    yield* sql`
      UPDATE outbox_consumers SET seen_at = clock_timestamp()
      WHERE name = ANY(${names}) AND seen_at < clock_timestamp() - interval '1 minute'`
  })

  const lags = lagRows(sql`
    SELECT name AS consumer,
      coalesce(extract(epoch FROM clock_timestamp() - outbox_unread_since(generation, xid, seq)), 0)::float8 AS seconds,
      extract(epoch FROM clock_timestamp() - seen_at)::float8 AS seen_seconds_ago
    FROM outbox_consumers ORDER BY name`)

  return { register, acknowledge, lags }
})
