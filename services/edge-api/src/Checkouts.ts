/**
 * The requests that orders came with: the key under which each happens once, its answer, and who is at work on it.
 *
 * Whoever works on a request holds its lease, and says so with every write by its epoch: one that comes back after the
 * lease went to somebody else changes nothing. The answer, the order's new state and the event commit together.
 */
import * as Database from "@ecommerce/chassis/Database"
import * as Settings from "@ecommerce/chassis/Settings"
import { OrderId, UserId } from "@ecommerce/contracts/Ids"
import { CardToken } from "@ecommerce/contracts/Payment/Commands"
import * as Outbox from "@ecommerce/outbox/Outbox"
import { integers, rowsOf, texts, uuids } from "@ecommerce/sets/Sets"
import { PgClient } from "@effect/sql-pg"
import { Array as Arr, Config, Context, Duration, Effect, Layer, Redacted, Schema } from "effect"
import type { SqlError } from "effect/sql"

import { type Decision, type Draft, eventOf, type Kept, type OpenOrder, Stage } from "./Checkouts/Requests.ts"
import { type At, Ledger, type NewEntry } from "./Ledger.ts"

type Sql<A> = Effect.Effect<A, SqlError.SqlError>

const currency = Settings.setting({
  key: "CURRENCY",
  about: "The currency of the catalogue's prices, in which orders are paid.",
  expected: "three capital letters, such as USD",
  fallback: "USD",
  config: (key) => Config.schema(Currency, key)
})

export const leaseFor = Settings.duration(
  "CHECKOUT_LEASE",
  "15 seconds",
  "How long whoever works on an order has it to itself. Longer than an authorization takes at the longest."
)

export class Checkouts extends Context.Service<
  Checkouts,
  {
    /** Enters orders into the ledger, each with its key's row; in the order of the drafts. None where the key is there already. */
    readonly open: (drafts: ReadonlyArray<Draft>) => Sql<ReadonlyArray<OpenOrder | undefined>>
    readonly look: (keys: ReadonlyArray<string>) => Sql<ReadonlyMap<string, Kept>>
    /** Goes to work on these, as far as nobody else is and nobody gives them up. */
    readonly take: (orderIds: ReadonlyArray<OrderId>) => Sql<ReadonlyArray<OpenOrder>>
    /** Goes to work on some that are at this stage and on which nobody has worked for so long. */
    readonly takeDue: (stage: Stage, idleFor: Duration.Duration) => Sql<ReadonlyArray<OpenOrder>>
    /** Answers the orders that are still in our epoch. */
    readonly answer: (decisions: ReadonlyArray<Decision>) => Sql<ReadonlyArray<At>>
    /** Leaves these to their clients, as far as they are in our epoch; answers which. */
    readonly mark: (orders: ReadonlyArray<OpenOrder>) => Sql<ReadonlySet<OrderId>>
    /** Forgets answers that are older than this; answers how many, and at most a portion. */
    readonly forget: (age: Duration.Duration) => Sql<number>
  }
>()("@ecommerce/edge-api/Checkouts") {
  static readonly layer = Layer.effect(
    Checkouts,
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      const ledger = yield* Ledger
      const inTransaction = Database.inTransaction(sql)
      const paidIn = yield* currency.read
      const leaseEnd = sql`clock_timestamp() + make_interval(secs => ${Duration.toSeconds(yield* leaseFor.read)}::double precision)`

      /** Waits for whoever is about to commit one of the keys, and then leaves that one out. */
      const claim = (drafts: ReadonlyArray<Draft>) =>
        claimRows(sql`
          INSERT INTO checkouts (idempotency_key, digest, token, traceparent, lease_until)
          SELECT key, digest, token, traceparent, ${leaseEnd}
          FROM unnest(
            ${texts(drafts.map(({ key }) => key))},
            ${texts(drafts.map(({ digest }) => digest))},
            ${texts(drafts.map(({ token }) => Redacted.value(token)))},
            ${texts(drafts.map(({ traceparent }) => traceparent))}
          ) AS input (key, digest, token, traceparent)
          ORDER BY key
          ON CONFLICT (idempotency_key) DO NOTHING
          RETURNING idempotency_key AS key, order_id, epoch`)

      const open = Effect.fn("Checkouts.open")(function* (drafts: ReadonlyArray<Draft>) {
        const claimed = new Map((yield* claim(drafts)).map((row) => [row.key, row]))
        const opened = drafts.map(({ email, key, lines, token, traceparent, userId }): OpenOrder | undefined => {
          const row = claimed.get(key)
          if (row === undefined) return undefined
          const { epoch, orderId } = row
          return { orderId, epoch, userId, email, lines, currency: paidIn, token, traceparent }
        })
        const entries: ReadonlyArray<NewEntry> = opened.filter((order) => order !== undefined)
        if (entries.length > 0) yield* ledger.enter(entries)
        return opened
      })

      const look = Effect.fn("Checkouts.look")(function* (keys: ReadonlyArray<string>) {
        const rows = yield* keptRows(sql`
          SELECT idempotency_key AS key, order_id, digest, stage, lease_until > clock_timestamp() AS is_leased, status, body
          FROM checkouts WHERE idempotency_key = ANY(${texts(keys)})`)
        return new Map(rows.map((row) => [row.key, row]))
      })

      /** With all that it takes to go on with them. */
      const withOrders = Effect.fnUntraced(function* (taken: ReadonlyArray<typeof TakenRow.Type>) {
        if (taken.length === 0) return []
        const orderIds = taken.map(({ orderId }) => orderId)
        const lines = yield* ledger.lines(orderIds)
        const orders = yield* orderRows(sql`
          SELECT order_id, user_id, email, currency FROM order_ledger WHERE order_id = ANY(${uuids(orderIds)})`)
        const byId = new Map(orders.map((order) => [order.orderId, order]))
        return taken.flatMap((row): ReadonlyArray<OpenOrder> => {
          const order = byId.get(row.orderId)
          const items = lines.get(row.orderId) ?? []
          return order === undefined || !Arr.isReadonlyArrayNonEmpty(items) ? [] : [{ ...order, ...row, lines: items }]
        })
      })

      const take = Effect.fn("Checkouts.take")(function* (orderIds: ReadonlyArray<OrderId>) {
        const taken = yield* takenRows(sql`
          WITH free AS (
            SELECT order_id FROM checkouts
            WHERE order_id = ANY(${uuids(orderIds)}) AND status IS NULL AND stage <> 'LAPSING'
              AND lease_until <= clock_timestamp()
            ORDER BY order_id FOR NO KEY UPDATE
          )
          UPDATE checkouts SET epoch = epoch + 1, lease_until = ${leaseEnd}
          WHERE order_id = ANY(ARRAY(SELECT order_id FROM free))
          RETURNING order_id, epoch, token, traceparent`)
        return yield* withOrders(taken)
      })

      const takeDue = Effect.fn("Checkouts.takeDue")(function* (stage: Stage, idleFor: Duration.Duration) {
        // What was marked for so long is given up, and whoever comes with its key from now on is too late.
        const next = stage === "MARKED" ? "LAPSING" : stage
        const taken = yield* takenRows(sql`
          WITH due AS (
            SELECT order_id FROM checkouts
            WHERE status IS NULL AND stage = ${stage}
              AND lease_until <= clock_timestamp() - make_interval(secs => ${Duration.toSeconds(idleFor)}::double precision)
            ORDER BY lease_until LIMIT ${mostAtOnce} FOR NO KEY UPDATE SKIP LOCKED
          )
          UPDATE checkouts SET stage = ${next}, epoch = epoch + 1, lease_until = ${leaseEnd}
          WHERE order_id = ANY(ARRAY(SELECT order_id FROM due))
          RETURNING order_id, epoch, token, traceparent`)
        return yield* withOrders(taken)
      })

      /** Those of the orders that are in our epoch still, locked in one order. */
      const ours = (orders: ReadonlyArray<OpenOrder>) => {
        const ids = uuids(orders.map(({ orderId }) => orderId))
        return idRows(sql`
          SELECT order_id FROM checkouts
          JOIN unnest(${ids}, ${integers(orders.map(({ epoch }) => epoch))}) AS input (order_id, epoch)
            USING (order_id, epoch)
          WHERE order_id = ANY(${ids}) AND status IS NULL
          ORDER BY order_id FOR NO KEY UPDATE OF checkouts`)
      }

      const answer = Effect.fn("Checkouts.answer")(function* (decisions: ReadonlyArray<Decision>) {
        const mine = new Set((yield* ours(decisions.map(({ order }) => order))).map(({ orderId }) => orderId))
        const decided = decisions.filter(({ order }) => mine.has(order.orderId))
        if (decided.length === 0) return []
        const ids = uuids(decided.map(({ order }) => order.orderId))
        yield* sql`
          UPDATE checkouts SET status = input.status, body = input.body, token = NULL, lease_until = clock_timestamp()
          FROM unnest(
            ${ids},
            ${integers(decided.map(({ status }) => status))},
            ${texts(decided.map(({ body }) => body))}
          ) AS input (order_id, status, body)
          WHERE checkouts.order_id = input.order_id AND checkouts.order_id = ANY(${ids})`
        const changed = yield* ledger.change(
          decided.map(({ failure, order: { orderId } }) => ({
            orderId,
            status: failure === null ? "AUTHORIZED" : "AUTHORIZATION_FAILED",
            reason: failure
          }))
        )
        const decisionOf = new Map(decided.map((decision) => [decision.order.orderId, decision]))
        yield* Outbox.append(
          changed.flatMap(({ orderId, version }) => {
            const decision = decisionOf.get(orderId)
            return decision === undefined ? [] : [eventOf(decision, version)]
          })
        )
        return changed
      })

      const mark = Effect.fn("Checkouts.mark")(function* (orders: ReadonlyArray<OpenOrder>) {
        const mine = (yield* ours(orders)).map(({ orderId }) => orderId)
        if (mine.length > 0) {
          yield* sql`
            UPDATE checkouts SET stage = 'MARKED', lease_until = clock_timestamp()
            WHERE order_id = ANY(${uuids(mine)})`
        }
        return new Set(mine)
      })

      // An answer's lease ended when it was given. It cannot be older than its id, and ids are made in the order of time.
      const forget = Effect.fn("Checkouts.forget")(function* (age: Duration.Duration) {
        const forgotten = yield* sql`
          DELETE FROM checkouts WHERE order_id = ANY(ARRAY(
            SELECT order_id FROM checkouts
            WHERE order_id < uuidv7(make_interval(secs => ${-Duration.toSeconds(age)}::double precision)) AND status IS NOT NULL
              AND lease_until < clock_timestamp() - make_interval(secs => ${Duration.toSeconds(age)}::double precision)
            ORDER BY order_id LIMIT ${portion} FOR UPDATE SKIP LOCKED))
          RETURNING 1 AS forgotten`
        return forgotten.length
      })

      return Checkouts.of({
        open: (drafts) => inTransaction(open(drafts)),
        look,
        take: (orderIds) => inTransaction(take(orderIds)),
        takeDue: (stage, idleFor) => inTransaction(takeDue(stage, idleFor)),
        answer: (decisions) => inTransaction(answer(decisions)),
        mark: (orders) => inTransaction(mark(orders)),
        forget
      })
    })
  )
}

/** How many a sweep takes at once, and how many answers are forgotten in one transaction. */
const mostAtOnce = 100
const portion = 5000

const Currency = Schema.String.check(Schema.isPattern(/^[A-Z]{3}$/u))

const claimRows = rowsOf(Schema.Struct({ key: Schema.String, orderId: OrderId, epoch: Schema.Int }))

const keptRows = rowsOf(
  Schema.Struct({
    key: Schema.String,
    orderId: OrderId,
    digest: Schema.String,
    stage: Stage,
    isLeased: Schema.Boolean,
    status: Schema.NullOr(Schema.Int),
    body: Schema.NullOr(Schema.String)
  })
)

const TakenRow = Schema.Struct({
  orderId: OrderId,
  epoch: Schema.Int,
  token: CardToken,
  traceparent: Schema.NullOr(Schema.String)
})
const takenRows = rowsOf(TakenRow)

const idRows = rowsOf(Schema.Struct({ orderId: OrderId }))

const orderRows = rowsOf(
  Schema.Struct({ orderId: OrderId, userId: UserId, email: Schema.String, currency: Schema.String })
)
