/**
 * Reading a service's outbox in order, by others and for as long as they like.
 *
 * A row is given away only when nothing can be committed before it any more, so that no reader passes a row that comes
 * late. How far each consumer has come is remembered, for its lag and for what may be deleted.
 */
import { PgClient } from "@effect/sql-pg"
import { Clock, Context, type DateTime, Duration, Effect, Layer } from "effect"
import { HttpApiSchema } from "effect/http-api"
import type { SqlError } from "effect/sql"

import { Announcements, type Word } from "./Announcements.ts"
import { idOf, type Position, start } from "./Cursor.ts"
import { type Batch, completeHeader, CursorGone, cursorHeader, type FeedQuery } from "./FeedEndpoint.ts"
import * as FeedReaders from "./FeedReaders.ts"
import { countRows, encodeCursor, eventOf, eventRows, holderRows, positionRows, standingRows } from "./FeedRows.ts"

export interface Options {
  /** The service's name, of which its events tell. */
  readonly source: string
  /** Put around what waits for events. */
  readonly aside: <A, E, R>(waiting: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /** Returns when nothing is to be waited for any more. */
  readonly stopping: Effect.Effect<void>
}

/** A transaction that keeps every feed of the server from moving on. */
export interface Holder {
  readonly pid: number | null
  readonly who: string
  /** Unknown where whoever migrated may not see it. */
  readonly since: DateTime.Utc | null
}

type Sql<A> = Effect.Effect<A, SqlError.SqlError>

export class Feed extends Context.Service<
  Feed,
  {
    readonly read: (query: FeedQuery) => Effect.Effect<Batch, CursorGone>
    readonly lags: Sql<ReadonlyArray<FeedReaders.Lag>>
    readonly holder: Sql<Holder | undefined>
    /** Opens a new generation where the database is another one than before. */
    readonly begin: Sql<void>
    /** Writes down how far the consumers have come. */
    readonly acknowledge: Sql<void>
    /** Deletes a portion of what every consumer has read and what is older than this; answers how many. */
    readonly trim: (age: Duration.Duration) => Sql<number>
  }
>()("@ecommerce/outbox/Feed") {
  static readonly layer = ({ aside, source, stopping }: Options) =>
    Layer.effect(
      Feed,
      Effect.gen(function* () {
        const sql = yield* PgClient.PgClient
        const announcements = yield* Announcements
        const readers = yield* FeedReaders.make
        /** A place behind which there was nothing a moment ago, and the last word before that was seen. */
        let quiet: { readonly place: string; readonly word: Word; readonly until: number } | undefined

        const begin = Effect.asVoid(sql`SELECT outbox_begin()`)

        const rowsAfter = ({ generation, seq, xid }: Position, most: number) =>
          eventRows(sql`
            SELECT generation, xid::text AS xid, seq::text AS seq, type, subject, version, data, traceparent, created_at
            FROM outbox_after(${String(generation)}::text::bigint, ${xid}::text::xid8, ${seq}::text::bigint, ${most})`)

        /**
         * Whether what came after a place is not kept, or the place is none that this server can have given (it was another
         * one, with a longer history); whether there is anything behind the last that was read; and where nothing is, the
         * place from which all is still to come, in the generation that is written now.
         */
        const standingOf = Effect.fnUntraced(function* (after: Position | undefined, end: Position) {
          const from = after ?? start
          const [row] = yield* standingRows(sql`
            SELECT ${after !== undefined} AND (
                (trimmed_generation, trimmed_xid, trimmed_seq)
                  > (${String(from.generation)}::text::bigint, ${from.xid}::text::xid8, ${from.seq}::text::bigint)
                OR (${String(from.generation)}::text::bigint, ${from.xid}::text::xid8)
                  >= (outbox_origin.generation, pg_snapshot_xmax(pg_current_snapshot()))
              ) AS is_gone,
              outbox_unread_since(
                ${String(end.generation)}::text::bigint, ${end.xid}::text::xid8, ${end.seq}::text::bigint
              ) IS NULL AS is_complete,
              ahead.generation, ahead.xid::text AS xid, ahead.seq::text AS seq
            FROM outbox_origin CROSS JOIN LATERAL (
              VALUES
                (${String(end.generation)}::text::bigint, ${end.xid}::text::xid8, ${end.seq}::text::bigint),
                (trimmed_generation, trimmed_xid, trimmed_seq),
                (outbox_origin.generation, '0'::xid8, 0)
              ORDER BY 1 DESC, 2 DESC, 3 DESC LIMIT 1
            ) AS ahead (generation, xid, seq)`)
          return row ?? { isGone: false, isComplete: false, ...end }
        })

        /** Until something is committed, but not longer than this. */
        const pause = (heard: Word, types: ReadonlySet<string> | undefined, millis: number) =>
          Effect.raceAllFirst([
            Effect.as(announcements.after(heard, types), "word" as const),
            Effect.as(Effect.sleep(millis), "time" as const),
            Effect.as(stopping, "stop" as const)
          ])

        const look = Effect.fnUntraced(function* (after: Position | undefined, most: number) {
          const rows = yield* rowsAfter(after ?? start, most)
          const end = rows.at(-1) ?? after ?? start
          // Asked afterwards: what was cut off meanwhile has been missed, too, and what was committed is not in it.
          const { isComplete, isGone, ...ahead } = yield* standingOf(after, end)
          return { rows, isComplete, isGone, behind: isComplete ? ahead : end }
        })

        /** What is behind the cursor, looked for from a place up to which nothing is wanted. */
        const readNow = Effect.fnUntraced(function* (query: FeedQuery, from: Position | undefined) {
          const { after, consumer, limit: most = 500 } = query
          const seen = yield* look(from, most)
          // Since a restore or a promotion nothing may have been written: then nobody has begun the new generation yet, and a
          // place in the old history may be ahead of this server's numbers, although nothing was missed.
          const { behind, isComplete, isGone, rows } = seen.isGone
            ? yield* Effect.andThen(begin, look(from, most))
            : seen
          if (isGone) return yield* new CursorGone()
          yield* readers.register(consumer, after ?? start)
          const headers = {
            [completeHeader]: isComplete ? ("true" as const) : ("false" as const),
            [cursorHeader]: encodeCursor(behind)
          }
          const types = typesIn(query)
          const wanted = types === undefined ? rows : rows.filter(({ type }) => types.has(type))
          const batch = HttpApiSchema.withHeaders({ body: wanted.map((row) => eventOf(source, row)), headers })
          const passed = wanted.length === 0 ? rows.at(-1) : undefined
          return { batch, behind, isComplete, passed, isFull: rows.length === most }
        })

        /**
         * Where nothing at all is behind the cursor, a word tells when to look again. Where something is committed and has to
         * wait for an older transaction, nobody says when that ends: then it is looked for soon, and less and less often. Whoever
         * wants none of what has come hears soon how far it has passed, so that it counts as read.
         */
        const readSoon = (
          query: FeedQuery,
          until: number,
          from = query.after,
          waited = 0
        ): Effect.Effect<Batch, CursorGone | SqlError.SqlError> =>
          Effect.gen(function* () {
            const heard = yield* announcements.last
            const { batch, behind, isComplete, isFull, passed } = yield* readNow(query, from)
            const now = yield* Clock.currentTimeMillis
            if (isComplete) quiet = { place: idOf(behind), word: heard, until: now + lookEvery }
            if (batch.body.length > 0 || now >= until) return batch
            const end = passed === undefined ? until : Math.min(until, now + tellPassedAfter)
            if (passed !== undefined && isFull) return yield* readSoon(query, end, passed)
            const types = typesIn(query)
            const millis = isComplete ? lookEvery : Math.min(longestLook, 1 + waited / 2)
            // Of what waits for an older transaction there has been word already; of some types more may come.
            const word = isComplete || types !== undefined ? heard : none
            const happened = yield* aside(pause(word, types, Math.min(end - now, millis)))
            if (happened === "stop") return batch
            return yield* readSoon(query, end, passed ?? from, isComplete || happened === "word" ? 0 : waited + millis)
          })

        /** Who has just had all that there is need not look before there is word of more. */
        const waitForWord = Effect.fnUntraced(function* (query: FeedQuery, until: number) {
          const now = yield* Clock.currentTimeMillis
          const { after, consumer } = query
          if (quiet === undefined || after === undefined || idOf(after) !== quiet.place) return
          const end = Math.min(until, quiet.until)
          if (now >= end || quiet.word !== (yield* announcements.last)) return
          yield* readers.register(consumer, after)
          yield* aside(pause(quiet.word, typesIn(query), end - now))
        })

        const readFeed = Effect.fn("Feed.read")(function* (query: FeedQuery) {
          const until = (yield* Clock.currentTimeMillis) + (query.wait ?? 0) * 1000
          const found = Effect.andThen(waitForWord(query, until), readSoon(query, until))
          return yield* Effect.catchTag(found, "SqlError", Effect.die)
        })

        const holder = Effect.map(holderRows(sql`SELECT pid, who, since FROM outbox_holder()`), ([row]) => row)

        const trimSome = Effect.fn("Feed.trim")(function* (age: Duration.Duration) {
          // One process at a time; and whoever asks for a cursor sees what is cut off as soon as it is.
          yield* sql`SELECT FROM outbox_origin FOR UPDATE`
          const [last] = yield* positionRows(sql`
            SELECT generation, xid::text AS xid, seq::text AS seq FROM outbox_after(0, '0', 0, ${portion}) AS head
            WHERE created_at < clock_timestamp() - make_interval(secs => ${Duration.toSeconds(age)}::double precision)
              AND NOT EXISTS (
                SELECT FROM outbox_consumers AS known
                WHERE (known.generation, known.xid, known.seq) < (head.generation, head.xid, head.seq))
            ORDER BY head.generation DESC, head.xid DESC, head.seq DESC LIMIT 1`)
          if (last === undefined) return 0
          const { generation, seq, xid } = last
          const [gone] = yield* countRows(sql`
            WITH gone AS (
              DELETE FROM outbox
              WHERE (generation, xid, seq) <= (${String(generation)}::text::bigint, ${xid}::text::xid8, ${seq}::text::bigint) RETURNING 1
            ) SELECT count(*) AS count FROM gone`)
          yield* sql`
            UPDATE outbox_origin
            SET trimmed_generation = ${String(generation)}::text::bigint, trimmed_xid = ${xid}::text::xid8, trimmed_seq = ${seq}::text::bigint`
          return gone?.count ?? 0
        })

        return Feed.of({
          read: readFeed,
          lags: readers.lags,
          holder,
          begin,
          acknowledge: readers.acknowledge,
          trim: (age) => sql.withTransaction(trimSome(age))
        })
      })
    )
}

const typesIn = ({ types }: FeedQuery): ReadonlySet<string> | undefined =>
  types === undefined ? undefined : new Set(types.split(","))

/** Behind every word that may have been lost. */
const lookEvery = 1000
const portion = 5000

/** A transaction in the way is gone in a moment, or it takes its time. */
const longestLook = 50

const tellPassedAfter = 1000

/** A word after which none comes. */
const none: Word = Number.POSITIVE_INFINITY
