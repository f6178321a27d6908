/**
 * The order ledger: what was asked for, and every state that it was in.
 *
 * What may become what is decided by the database alone (`may_become` in its first migration); a change that may not be,
 * or that somebody else has made already, is left out of what a statement answers.
 */
import * as Database from "@ecommerce/chassis/Database"
import {
  type FailureReason,
  type LedgerOrder,
  LedgerOrderNotFound,
  type LedgerPage,
  LedgerStatus,
  type OrderState
} from "@ecommerce/contracts/Edge/Ledger"
import { OrderId, type UserId } from "@ecommerce/contracts/Ids"
import { type PricedLine, totalOf } from "@ecommerce/contracts/Orders/Lifecycle"
import { integers, jsons, longs, type Outcomes, rowsOf, texts, times, uuids } from "@ecommerce/sets/Sets"
import { PgClient } from "@effect/sql-pg"
import { Context, type DateTime, Effect, Layer, Result, Schema } from "effect"
import type { SqlError } from "effect/sql"

import * as Counts from "./Ledger/Counts.ts"
import { entryRows, lineRows, stateRows, summaryOf, summaryRows, viewOf } from "./Ledger/Views.ts"

export interface NewEntry {
  readonly orderId: OrderId
  readonly userId: UserId
  readonly email: string
  readonly lines: ReadonlyArray<PricedLine>
  readonly currency: string
}

/** What an order becomes, and why where it fails. */
export interface Change {
  readonly orderId: OrderId
  readonly status: LedgerStatus
  readonly reason: FailureReason | null
}

/** … and when, where somebody else saw it. */
export interface SeenChange extends Change {
  readonly at: DateTime.Utc
}

/** An order at a version of it. */
export interface At {
  readonly orderId: OrderId
  readonly version: number
}

export interface PageRequest {
  readonly userId: UserId
  readonly before: OrderId | undefined
  readonly limit: number
}

type Sql<A> = Effect.Effect<A, SqlError.SqlError>

export class Ledger extends Context.Service<
  Ledger,
  {
    /** Enters orders that await their authorization; in the caller's transaction. */
    readonly enter: (entries: ReadonlyArray<NewEntry>) => Sql<void>
    /** Each order once; answers those that have changed. In the caller's transaction. */
    readonly change: (changes: ReadonlyArray<Change>) => Sql<ReadonlyArray<At>>
    /**
     * What others saw, in the order in which they did, several of an order perhaps. What may not follow where the order stands
     * has come late, or again, and is left out. In the caller's transaction; answers the orders that have changed.
     */
    readonly follow: (changes: ReadonlyArray<SeenChange>) => Sql<ReadonlyArray<At>>
    readonly find: (orderIds: ReadonlyArray<OrderId>) => Effect.Effect<Outcomes<LedgerOrder, LedgerOrderNotFound>>
    readonly lines: (orderIds: ReadonlyArray<OrderId>) => Sql<ReadonlyMap<OrderId, ReadonlyArray<PricedLine>>>
    /** The newest first. */
    readonly page: (request: PageRequest) => Effect.Effect<LedgerPage>
    /** The states of one order after this version. */
    readonly statesAfter: (at: At) => Effect.Effect<ReadonlyArray<OrderState>>
    readonly versions: (orderIds: ReadonlyArray<OrderId>) => Sql<ReadonlyArray<At>>
  }
>()("@ecommerce/edge-api/Ledger") {
  static readonly layer = Layer.effect(
    Ledger,
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient

      const age = sql.literal(
        "extract(epoch FROM clock_timestamp() - order_ledger.created_at)::double precision AS age_seconds"
      )

      const enter = Effect.fn("Ledger.enter")(function* (entries: ReadonlyArray<NewEntry>) {
        const ids = uuids(entries.map(({ orderId }) => orderId))
        yield* sql`
          INSERT INTO order_ledger (order_id, user_id, email, total_cents, currency, status)
          SELECT order_id, user_id, email, total_cents, currency, 'AWAITING_AUTHORIZATION' FROM unnest(
            ${ids},
            ${uuids(entries.map(({ userId }) => userId))},
            ${texts(entries.map(({ email }) => email))},
            ${longs(entries.map(({ lines }) => totalOf(lines)))},
            ${texts(entries.map(({ currency }) => currency))}
          ) AS input (order_id, user_id, email, total_cents, currency)`
        const lines = entries.flatMap((entry) =>
          entry.lines.map((line, place) => ({ ...line, orderId: entry.orderId, line: place + 1 }))
        )
        yield* sql`
          INSERT INTO order_lines (order_id, line, product_id, quantity, unit_price_cents)
          SELECT * FROM unnest(
            ${uuids(lines.map(({ orderId }) => orderId))},
            ${integers(lines.map(({ line }) => line))},
            ${uuids(lines.map(({ productId }) => productId))},
            ${integers(lines.map(({ quantity }) => quantity))},
            ${integers(lines.map(({ unitPriceCents }) => unitPriceCents))}
          )`
        yield* sql`
          INSERT INTO order_states (order_id, version, status)
          SELECT order_id, 1, 'AWAITING_AUTHORIZATION' FROM unnest(${ids}) AS input (order_id)`
      })

      const change = Effect.fn("Ledger.change")(function* (changes: ReadonlyArray<Change>) {
        const ids = uuids(changes.map(({ orderId }) => orderId))
        const changed = yield* changedRows(sql`
          WITH locked AS (
            SELECT order_id FROM order_ledger WHERE order_id = ANY(${ids}) ORDER BY order_id FOR NO KEY UPDATE
          )
          UPDATE order_ledger SET status = input.status, version = order_ledger.version + 1
          FROM unnest(${ids}, ${texts(changes.map(({ status }) => status))}) AS input (order_id, status)
          WHERE order_ledger.order_id = input.order_id AND order_ledger.order_id = ANY(ARRAY(SELECT order_id FROM locked))
            AND may_become(order_ledger.status, input.status)
          RETURNING order_ledger.order_id, new.version, old.status AS previous_status, ${age}`)
        const byId = new Map(changes.map((one) => [one.orderId, one]))
        const states = changed.flatMap(({ orderId, ...row }) => {
          const one = byId.get(orderId)
          return one === undefined ? [] : [{ ...one, ...row, at: null }]
        })
        yield* keep(states)
        yield* sql.afterCommit(Counts.count(states))
        return changed
      })

      /**
       * Each with the state that it follows: the table holds the chain to what may follow what. Another server's clock may be
       * behind ours, but no customer sees a state that is earlier than the one before it.
       */
      const keep = (states: ReadonlyArray<Kept>) =>
        states.length === 0
          ? Effect.void
          : sql`
              INSERT INTO order_states (order_id, version, previous_status, status, reason, at)
              SELECT order_id, version, previous_status, status, reason, max(greatest(
                coalesce(at, clock_timestamp()),
                (SELECT before.at FROM order_states AS before
                  WHERE before.order_id = input.order_id AND before.version = input.version - 1)
              )) OVER (PARTITION BY order_id ORDER BY version)
              FROM unnest(
                ${uuids(states.map(({ orderId }) => orderId))},
                ${integers(states.map(({ version }) => version))},
                ${texts(states.map(({ previousStatus }) => previousStatus))},
                ${texts(states.map(({ status }) => status))},
                ${jsons(states.map(({ reason }) => reason))},
                ${times(states.map(({ at }) => at))}
              ) AS input (order_id, version, previous_status, status, reason, at)`

      const follow = Effect.fn("Ledger.follow")(function* (changes: ReadonlyArray<SeenChange>) {
        const ids = uuids(changes.map(({ orderId }) => orderId))
        const standing = yield* standingRows(sql`
          WITH wanted AS (
            SELECT order_id, array_agg(status ORDER BY place) AS statuses
            FROM unnest(${ids}, ${texts(changes.map(({ status }) => status))}) WITH ORDINALITY AS input (order_id, status, place)
            GROUP BY order_id
          )
          SELECT order_id, version, status, legal_path(status, statuses) AS path, ${age}
          FROM order_ledger JOIN wanted USING (order_id)
          WHERE order_id = ANY(${ids}) ORDER BY order_id FOR NO KEY UPDATE OF order_ledger`)
        const wishes = Map.groupBy(changes, ({ orderId }) => orderId)
        const chains = standing.map(({ ageSeconds, orderId, path, status, version }) => {
          const legal = path.flatMap((place) => wishes.get(orderId)?.slice(place - 1, place) ?? [])
          return legal.map((change, n) => ({
            ...change,
            ageSeconds,
            version: version + n + 1,
            previousStatus: legal[n - 1]?.status ?? status
          }))
        })
        const last = chains.flatMap((chain) => chain.slice(-1))
        if (last.length === 0) return []
        const changed = uuids(last.map(({ orderId }) => orderId))
        yield* sql`
          UPDATE order_ledger SET status = input.status, version = input.version
          FROM unnest(${changed}, ${texts(last.map(({ status }) => status))}, ${integers(last.map(({ version }) => version))})
            AS input (order_id, status, version)
          WHERE order_ledger.order_id = input.order_id AND order_ledger.order_id = ANY(${changed})`
        yield* keep(chains.flat())
        yield* sql.afterCommit(Counts.count(chains.flat()))
        return last.map(({ orderId, version }) => ({ orderId, version }))
      })

      const itemsOf = (orderIds: ReadonlyArray<OrderId>) =>
        Effect.map(
          lineRows(sql`
            SELECT order_id, product_id, quantity, unit_price_cents FROM order_lines
            WHERE order_id = ANY(${uuids(orderIds)}) ORDER BY order_id, line`),
          (rows) => Map.groupBy(rows, ({ orderId }) => orderId)
        )

      const find = Effect.fn("Ledger.find")(function* (orderIds: ReadonlyArray<OrderId>) {
        const ids = uuids(orderIds)
        const found = yield* entryRows(sql`
          SELECT order_id, user_id, total_cents, currency, created_at FROM order_ledger WHERE order_id = ANY(${ids})`)
        const lines = yield* itemsOf(orderIds)
        const states = yield* stateRows(sql`
          SELECT order_id, version, status, reason, at FROM order_states
          WHERE order_id = ANY(${ids}) ORDER BY order_id, version`)
        const entries = new Map(found.map((entry) => [entry.orderId, entry]))
        const statesOf = Map.groupBy(states, ({ orderId }) => orderId)
        return orderIds.map((orderId) => {
          const entry = entries.get(orderId)
          const history = statesOf.get(orderId) ?? []
          const last = history.at(-1)
          if (entry === undefined || last === undefined) {
            return Result.fail(new LedgerOrderNotFound({ order_ledger_id: orderId }))
          }
          return Result.succeed(viewOf(entry, lines.get(orderId) ?? [], history, last))
        })
      }, Database.dies)

      const page = Effect.fn("Ledger.page")(function* ({ before, limit, userId }: PageRequest) {
        // One more than asked for tells whether there is a next page.
        const rows = yield* summaryRows(sql`
          SELECT order_id AS order_ledger_id, status, total_cents, currency, created_at FROM order_ledger
          WHERE user_id = ${userId} AND order_id < ${before ?? afterAll} ORDER BY order_id DESC LIMIT ${limit + 1}`)
        const orders = rows.slice(0, limit).map(summaryOf)
        return { orders, next_cursor: rows.length > limit ? (orders.at(-1)?.order_ledger_id ?? null) : null }
      }, Database.dies)

      const statesAfter = Effect.fn("Ledger.statesAfter")(function* ({ orderId, version }: At) {
        return yield* stateRows(sql`
          SELECT order_id, version, status, reason, at FROM order_states
          WHERE order_id = ${orderId} AND version > ${version} ORDER BY version`)
      }, Database.dies)

      const versions = (orderIds: ReadonlyArray<OrderId>) =>
        atRows(sql`SELECT order_id, version FROM order_ledger WHERE order_id = ANY(${uuids(orderIds)})`)

      return Ledger.of({ enter, change, follow, find, lines: itemsOf, page, statesAfter, versions })
    })
  )
}

const afterAll = "ffffffff-ffff-ffff-ffff-ffffffffffff"

const atRows = rowsOf(Schema.Struct({ orderId: OrderId, version: Schema.Int }))

const StandingRow = Schema.Struct({ orderId: OrderId, version: Schema.Int, ageSeconds: Schema.Number })

const changedRows = rowsOf(Schema.Struct({ ...StandingRow.fields, previousStatus: LedgerStatus }))

const standingRows = rowsOf(
  Schema.Struct({ ...StandingRow.fields, status: LedgerStatus, path: Schema.Array(Schema.Int) })
)

/** A state on its way into the table; without a time it is of this moment. */
interface Kept extends Change {
  readonly version: number
  readonly previousStatus: LedgerStatus
  readonly at: DateTime.Utc | null
}
