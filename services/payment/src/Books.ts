/**
 * Payment's own books: what the processor said about each payment, appended once and never changed.
 *
 * `settle` brings them up to what the processor's records say, whoever asked for them: the command that moved the money,
 * its retry, or the sweeper that only looked. So it does not matter which of them comes first, or dies half-way.
 */
import * as Database from "@ecommerce/chassis/Database"
import { OrderId } from "@ecommerce/contracts/Ids"
import {
  AuthorizationId,
  CaptureId,
  CaptureRefusal,
  Currency,
  DeclineCode
} from "@ecommerce/contracts/Payment/Commands"
import * as Outbox from "@ecommerce/outbox/Outbox"
import { isolated } from "@ecommerce/sets/Isolation"
import { booleans, integers, Long, rowsOf, texts, TimeOrNull, uuids } from "@ecommerce/sets/Sets"
import { PgClient } from "@effect/sql-pg"
import { Context, Effect, Layer, Schema } from "effect"
import type { SqlError } from "effect/sql"

import { type Entry, missingEntries } from "./Books/Entries.ts"
import { insertsOf } from "./Books/Inserts.ts"
import { countFailures, eventsOf } from "./Books/Telling.ts"
import type { ProcessorRecord } from "./Processor.ts"

/** `reversed`: the processor had never heard of it when it was cancelled, and will not authorize it any more. */
export const Decline = Schema.Union([DeclineCode, Schema.Literal("reversed")])

const Cents = Schema.NullOr(Long)

/** What is intended with an order's money, and what came of it. */
export const PaymentState = Schema.Struct({
  orderId: OrderId,
  authorizationId: Schema.NullOr(AuthorizationId),
  amountCents: Cents,
  currency: Schema.NullOr(Currency),
  digest: Schema.NullOr(Schema.String),
  captureId: Schema.NullOr(CaptureId),
  captureCents: Cents,
  captureDigest: Schema.NullOr(Schema.String),
  cancelledAt: TimeOrNull,
  isOpen: Schema.Boolean,
  version: Schema.Int,
  createdAt: Schema.DateTimeUtcFromDate,
  decidedAt: TimeOrNull,
  declineCode: Schema.NullOr(Decline),
  capturedCents: Cents,
  capturedAt: TimeOrNull,
  captureRefusal: Schema.NullOr(CaptureRefusal),
  captureRefusalDigest: Schema.NullOr(Schema.String),
  captureRefusedCents: Cents,
  captureRefusedAt: TimeOrNull,
  voidedAt: TimeOrNull,
  refundedCents: Cents,
  refundedAt: TimeOrNull
})
export type PaymentState = typeof PaymentState.Type

const ofPayment = (key: string) => (book: string) =>
  `
  LEFT JOIN LATERAL (SELECT * FROM ${book} AS own WHERE own.${key} = payments.${key} LIMIT 1) AS ${book} ON true`

/** What is settled of one record. */
interface Pages {
  readonly postings: ReadonlyArray<Posting>
  readonly payments: ReadonlyArray<PaymentState>
}

const stateRows = rowsOf(PaymentState)
const orderRows = rowsOf(Schema.Struct({ orderId: OrderId }))

interface Mark {
  readonly orderId: OrderId
  readonly version: number
  readonly isOpen: boolean
}

/** Whether something is intended of which nobody knows what came of it. */
const isStillOpen = (payment: PaymentState) => {
  const { cancelledAt, captureId, captureRefusal, capturedAt, decidedAt, declineCode, refundedAt, voidedAt } = payment
  if (decidedAt === null) return true
  if (declineCode !== null || voidedAt !== null || refundedAt !== null) return false
  return cancelledAt !== null || (captureId !== null && capturedAt === null && captureRefusal === null)
}

/** One thing that happened to a payment; `version` is the payment's, raised by it. */
export interface Posting {
  readonly payment: PaymentState
  readonly entry: Entry
  readonly version: number
}

/** What was posted, and how the payments of which the processor has told stand now. */
export interface Settled {
  readonly postings: ReadonlyArray<Posting>
  readonly payments: ReadonlyMap<OrderId, PaymentState>
}

type Sql<A> = Effect.Effect<A, SqlError.SqlError>

export class Books extends Context.Service<
  Books,
  {
    /** In the caller's transaction, where there is one. */
    readonly read: (orderIds: ReadonlyArray<OrderId>) => Sql<ReadonlyMap<OrderId, PaymentState>>
    readonly find: (authorizationIds: ReadonlyArray<AuthorizationId>) => Sql<ReadonlyArray<PaymentState>>
    /**
     * In a transaction of its own; a record that the books cannot hold is left out, and the others are posted. The traces are
     * those under which the orders' commands were asked.
     */
    readonly settle: (
      records: ReadonlyArray<ProcessorRecord>,
      traces: ReadonlyMap<string, string | null>
    ) => Sql<Settled>
  }
>()("@ecommerce/payment/Books") {
  static readonly layer = Layer.effect(
    Books,
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient

      // Each book is looked up by its key for each payment: LIMIT keeps PostgreSQL from joining as a whole, with plans
      // from when the books were small (100 captures then read 1.2 million of 200,000 rows).
      const state = sql.literal(`
        payments.order_id, payments.authorization_id, payments.amount_cents, currency, payments.digest,
        payments.capture_id, capture_cents, capture_digest, cancelled_at, is_open, version, payments.created_at,
        decided_at, decline_code, captures.amount_cents AS captured_cents, captured_at,
        capture_refusals.reason AS capture_refusal, capture_refusals.digest AS capture_refusal_digest,
        capture_refusals.amount_cents AS capture_refused_cents, capture_refusals.refused_at AS capture_refused_at, voided_at, refunds.amount_cents AS refunded_cents, refunded_at
        FROM payments
        ${["authorizations", "captures", "voids", "refunds"].map(ofPayment("authorization_id")).join("")}
        ${ofPayment("order_id")("capture_refusals")}`)

      const read = Effect.fn("Books.read")(function* (orderIds: ReadonlyArray<OrderId>) {
        const rows = yield* stateRows(sql`SELECT ${state} WHERE payments.order_id = ANY(${uuids(orderIds)})`)
        return new Map(rows.map((row) => [row.orderId, row]))
      })

      const find = (authorizationIds: ReadonlyArray<AuthorizationId>) =>
        stateRows(sql`SELECT ${state} WHERE payments.authorization_id = ANY(${texts(authorizationIds)})`)

      const lock = (authorizationIds: ReadonlyArray<AuthorizationId>) =>
        orderRows(sql`
          SELECT order_id FROM payments WHERE authorization_id = ANY(${texts(authorizationIds)})
          ORDER BY order_id FOR NO KEY UPDATE`)

      const mark = (payments: ReadonlyArray<Mark>) => sql`
        UPDATE payments SET version = input.version, is_open = input.is_open
        FROM unnest(
          ${uuids(payments.map(({ orderId }) => orderId))},
          ${integers(payments.map(({ version }) => version))},
          ${booleans(payments.map(({ isOpen }) => isOpen))}
        ) AS input (order_id, version, is_open)
        WHERE payments.order_id = input.order_id
          AND payments.order_id = ANY(${uuids(payments.map(({ orderId }) => orderId))})`

      const insertInto = insertsOf(sql)

      const settleOnce = Effect.fn("Books.settleOnce")(function* (
        records: ReadonlyArray<ProcessorRecord>,
        traces: ReadonlyMap<string, string | null>
      ) {
        const said = new Map(records.map((record) => [record.reference, record]))
        const locked = yield* lock([...said.keys()])
        const payments = [...(yield* read(locked.map(({ orderId }) => orderId))).values()]
        const postings = payments.flatMap((payment): ReadonlyArray<Posting> => {
          const record = payment.authorizationId === null ? undefined : said.get(payment.authorizationId)
          const entries = record === undefined ? [] : missingEntries(payment, record)
          return entries.map((entry, place) => ({ payment, entry, version: payment.version + place + 1 }))
        })
        yield* insertInto.authorizations(postings)
        yield* insertInto.captures(postings)
        yield* insertInto.captureRefusals(postings)
        yield* insertInto.voids(postings)
        yield* insertInto.refunds(postings)
        const after = yield* read(payments.map(({ orderId }) => orderId))
        const raised = new Map(postings.map(({ payment: { orderId }, version }) => [orderId, version]))
        const marks = payments.flatMap((before): ReadonlyArray<Mark> => {
          const { orderId } = before
          const version = raised.get(orderId) ?? before.version
          const isOpen = isStillOpen(after.get(orderId) ?? before)
          return version === before.version && isOpen === before.isOpen ? [] : [{ orderId, version, isOpen }]
        })
        if (marks.length > 0) yield* mark(marks)
        yield* Outbox.append(eventsOf(postings, traces))
        yield* sql.afterCommit(countFailures(postings))
        const posted = Map.groupBy(postings, ({ payment }) => payment.authorizationId)
        const states = Map.groupBy(after.values(), ({ authorizationId }) => authorizationId)
        return records.map(({ reference }) => ({
          postings: posted.get(reference) ?? [],
          payments: states.get(reference) ?? []
        }))
      })

      return Books.of({
        read,
        find,
        settle: (records, traces) =>
          Effect.map(
            isolated<ProcessorRecord, Pages, never>({
              run: (some) => Database.inTransaction(sql)(settleOnce(some, traces)),
              keyOf: ({ reference }) => reference,
              contentOf: (record) => JSON.stringify(record),
              onBadItem: () => ({ postings: [], payments: [] })
            })(records),
            (pages) => ({
              postings: pages.flatMap(({ postings }) => postings),
              payments: new Map(pages.flatMap(({ payments }) => payments.map((payment) => [payment.orderId, payment])))
            })
          )
      })
    })
  )
}
