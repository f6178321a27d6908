/**
 * Where a consumer is in its feed, and what it could not use; in the tables of the service that it belongs to.
 */
import { jsons, Long, rowsOf, texts } from "@ecommerce/sets/Sets"
import { PgClient } from "@effect/sql-pg"
import { Clock, Context, Effect, Schema } from "effect"
import type { SqlError } from "effect/sql"

import { CloudEvent } from "./FeedEndpoint.ts"

/** So many events in a row that cannot be used are not the events' fault. */
export const mostDeadInARow = 10

export interface DeadLetter {
  readonly id: number
  readonly event: CloudEvent
}

export const make = Effect.fnUntraced(function* (consumer: string) {
  const sql = yield* PgClient.PgClient

  const enter = sql`INSERT INTO feed_cursors (consumer) VALUES (${consumer}) ON CONFLICT DO NOTHING`

  const look = Effect.map(
    placeRows(sql`
      SELECT cursor, paused_at IS NOT NULL AS is_paused,
        (SELECT count(*) FROM dead_letters WHERE consumer = ${consumer}) AS dead_letters,
        EXISTS (SELECT FROM dead_letters WHERE consumer = ${consumer} AND redrive_asked_at IS NOT NULL) AS has_redrives
      FROM feed_cursors WHERE consumer = ${consumer}`),
    ([place]) => place
  )

  /** False where somebody else has moved it, or has paused the consumer. */
  const move = (from: string | null, to: string, hasUsedSome: boolean) =>
    Effect.map(
      sql`
        UPDATE feed_cursors SET cursor = ${to}, moved_at = clock_timestamp(),
          dead_in_a_row = CASE WHEN ${hasUsedSome} THEN 0 ELSE dead_in_a_row END
        WHERE consumer = ${consumer} AND cursor IS NOT DISTINCT FROM ${from} AND paused_at IS NULL
        RETURNING 1 AS moved`,
      (rows) => rows.length > 0
    )

  /** True where that was one too many in a row. */
  const bury = (event: CloudEvent, error: string) =>
    Effect.map(
      pausedRows(sql`
    WITH buried AS (
      INSERT INTO dead_letters (consumer, event_id, event, error)
      SELECT ${consumer}, ${event.id}, event, ${error} FROM unnest(${jsons([encode(event)])}) AS input (event)
      ON CONFLICT (consumer, event_id) DO NOTHING
    )
    UPDATE feed_cursors SET
      dead_in_a_row = dead_in_a_row + 1,
      paused_at = CASE WHEN dead_in_a_row + 1 >= ${mostDeadInARow} THEN clock_timestamp() END
    WHERE consumer = ${consumer}
    RETURNING paused_at IS NOT NULL AS is_paused`),
      ([row]) => row?.isPaused === true
    )

  /** Unless it has moved on from here, or is paused already. */
  const pauseAt = (from: string | null) =>
    Effect.map(
      sql`
        UPDATE feed_cursors SET paused_at = clock_timestamp()
        WHERE consumer = ${consumer} AND cursor IS NOT DISTINCT FROM ${from} AND paused_at IS NULL RETURNING 1 AS paused`,
      (rows) => rows.length > 0
    )

  const redrives = letterRows(sql`
    SELECT id, event FROM dead_letters WHERE consumer = ${consumer} AND redrive_asked_at IS NOT NULL
    ORDER BY id LIMIT 100`)

  /** Answers those that were there still. */
  const takeOut = (ids: ReadonlyArray<number>) =>
    Effect.map(
      idRows(sql`
        DELETE FROM dead_letters WHERE id = ANY(${texts(ids.map(String))}::bigint[]) RETURNING id`),
      (rows) => new Set(rows.map(({ id }) => id))
    )

  const leave = (id: number, error: string) => sql`
    UPDATE dead_letters SET redrive_asked_at = NULL, error = ${error}, died_at = clock_timestamp() WHERE id = ${id}`

  return { enter, look, move, bury, pauseAt, redrives, takeOut, leave }
})

type Made = Effect.Success<ReturnType<typeof make>>

export interface FeedPlace extends Omit<Made, "enter" | "leave"> {
  readonly enter: Effect.Effect<unknown, SqlError.SqlError>
  readonly leave: (id: number, error: string) => Effect.Effect<unknown, SqlError.SqlError>
}

type Place = Effect.Success<Made["look"]>

/**
 * The same place, looked at once in a while: whoever has just moved it knows where it is. What was believed for too long is found out
 * by the next `move`, which compares, and forgotten by `doubt`.
 */
export const remembered = (place: FeedPlace) => {
  let last: { readonly place: NonNullable<Place>; readonly until: number } | undefined
  const doubt = Effect.sync(() => void (last = undefined))

  const look: FeedPlace["look"] = Effect.gen(function* () {
    const now = yield* Clock.currentTimeMillis
    if (last !== undefined && now < last.until) return last.place
    const here = yield* place.look
    const isOrdinary = here !== undefined && !here.isPaused && !here.hasRedrives
    last = isOrdinary ? { place: here, until: now + believedMillis } : undefined
    return here
  })

  const move: FeedPlace["move"] = (from, to, hasUsedSome) =>
    Effect.tap(place.move(from, to, hasUsedSome), (isOurs) => {
      last = isOurs && last !== undefined ? { ...last, place: { ...last.place, cursor: to } } : undefined
      return Effect.void
    })

  const pauseAt: FeedPlace["pauseAt"] = (from) => Effect.ensuring(place.pauseAt(from), doubt)

  return { ...place, look, move, pauseAt, doubt }
}

/** So long it takes, under load, until an operator's word is heard. */
const believedMillis = 1000

type Places = (consumer: string) => Effect.Effect<FeedPlace, never, PgClient.PgClient>

/** Where places are kept: in the tables of the service, outside of simulations. */
export const Places = Context.Reference<Places>("@ecommerce/outbox/Places", { defaultValue: () => make })

const encode = Schema.encodeSync(Schema.toCodecJson(CloudEvent))

const placeRows = rowsOf(
  Schema.Struct({
    cursor: Schema.NullOr(Schema.String),
    isPaused: Schema.Boolean,
    deadLetters: Long,
    hasRedrives: Schema.Boolean
  })
)
const letterRows = rowsOf(Schema.Struct({ id: Long, event: Schema.toCodecJson(CloudEvent) }))
const pausedRows = rowsOf(Schema.Struct({ isPaused: Schema.Boolean }))
const idRows = rowsOf(Schema.Struct({ id: Long }))
