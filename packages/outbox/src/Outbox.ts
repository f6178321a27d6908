/**
 * Writing into a service's outbox.
 *
 * `append` runs in the caller's transaction, so that an event is there exactly if what it tells of has happened. The
 * table comes with `migrations/outbox.sql`, which each service's migrations include.
 */
import { jsons, longs, texts } from "@ecommerce/sets/Sets"
import { PgClient } from "@effect/sql-pg"
import { Effect } from "effect"

import type { NewEvent } from "./Event.ts"

/** Appends the events in their order. */
export const append = Effect.fn("Outbox.append")(function* (events: ReadonlyArray<NewEvent>) {
  if (events.length === 0) return
  const sql = yield* PgClient.PgClient
  yield* sql`
    INSERT INTO outbox (type, subject, version, data, traceparent)
    SELECT type, subject, version, data, traceparent
    FROM unnest(
      ${texts(events.map((event) => event.type))},
      ${texts(events.map((event) => event.subject))},
      ${longs(events.map((event) => event.version))},
      ${jsons(events.map((event) => event.data))},
      ${texts(events.map((event) => event.traceparent))}
    ) WITH ORDINALITY AS input (type, subject, version, data, traceparent, place)
    ORDER BY place`
})
