/**
 * What is intended with an order's money: written down before the processor is asked, in one transaction for a set.
 *
 * The order's own row comes first, inserted or locked in the order of the ids: everything that is decided about a payment
 * is decided under that lock. An intention is filled in once and never taken back.
 */
import * as Database from "@ecommerce/chassis/Database"
import type { Received } from "@ecommerce/commands/Command"
import { tracesOf } from "@ecommerce/commands/CommandServer"
import type { OrderId } from "@ecommerce/contracts/Ids"
import {
  type AuthorizePayment,
  type CancelPayment,
  CaptureId,
  type CapturePayment,
  type CaptureRefusal
} from "@ecommerce/contracts/Payment/Commands"
import { captureRefused } from "@ecommerce/contracts/Payment/Events"
import * as Outbox from "@ecommerce/outbox/Outbox"
import { longs, texts, uuids } from "@ecommerce/sets/Sets"
import { PgClient } from "@effect/sql-pg"
import { Context, Effect, Layer, Schema } from "effect"
import { SecureRandom } from "effect/crypto"
import type { SqlError } from "effect/sql"

import { Books, type PaymentState } from "./Books.ts"

/** How the payments stand afterwards. */
type Written = Effect.Effect<ReadonlyMap<OrderId, PaymentState>, SqlError.SqlError>

export class Intentions extends Context.Service<
  Intentions,
  {
    readonly authorize: (orders: ReadonlyArray<Received<AuthorizePayment>>) => Written
    /** Where there is nothing to take, the refusal is written down instead. */
    readonly capture: (orders: ReadonlyArray<Received<CapturePayment>>) => Written
    /** Also for an order without a payment: none begins afterwards. */
    readonly cancel: (orders: ReadonlyArray<Received<CancelPayment>>) => Written
  }
>()("@ecommerce/payment/Intentions") {
  static readonly layer = Layer.effect(
    Intentions,
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      const books = yield* Books

      // A row without an authorization, which a refused capture left, takes one; a cancelled one does not.
      const insertAuthorizations = (orders: ReadonlyArray<Received<AuthorizePayment>>) => sql`
        INSERT INTO payments (order_id, authorization_id, amount_cents, currency, digest, is_open)
        SELECT order_id, authorization_id, amount_cents, currency, digest, true FROM unnest(
          ${uuids(orders.map(({ payload }) => payload.orderId))},
          ${texts(orders.map(() => newId("auth")))},
          ${longs(orders.map(({ payload }) => payload.amountCents))},
          ${texts(orders.map(({ payload }) => payload.currency))},
          ${texts(orders.map(({ digest }) => digest))}
        ) AS input (order_id, authorization_id, amount_cents, currency, digest)
        ORDER BY order_id
        ON CONFLICT (order_id) DO UPDATE SET
          authorization_id = excluded.authorization_id, amount_cents = excluded.amount_cents,
          currency = excluded.currency, digest = excluded.digest, is_open = true
        WHERE payments.authorization_id IS NULL AND payments.cancelled_at IS NULL`

      const insertCancellations = (orderIds: ReadonlyArray<OrderId>) => sql`
        INSERT INTO payments (order_id, cancelled_at, is_open)
        SELECT order_id, clock_timestamp(), false FROM unnest(${uuids(orderIds)}) AS input (order_id) ORDER BY order_id
        ON CONFLICT (order_id) DO UPDATE SET
          cancelled_at = clock_timestamp(),
          is_open = payments.authorization_id IS NOT NULL AND NOT EXISTS (
            SELECT FROM authorizations AS decided
            WHERE decided.authorization_id = payments.authorization_id AND decided.decline_code IS NOT NULL
          )
        WHERE payments.cancelled_at IS NULL`

      /** Locks without writing: the condition holds for no row. */
      const lock = (orderIds: ReadonlyArray<OrderId>) => sql`
        INSERT INTO payments (order_id, is_open)
        SELECT order_id, false FROM unnest(${uuids(orderIds)}) AS input (order_id) ORDER BY order_id
        ON CONFLICT (order_id) DO UPDATE SET order_id = excluded.order_id WHERE false`

      const writeCaptures = (captures: ReadonlyArray<Captured>) => sql`
        UPDATE payments SET
          capture_id = input.capture_id, capture_cents = input.capture_cents, capture_digest = input.capture_digest,
          is_open = true
        FROM unnest(
          ${uuids(captures.map(({ orderId }) => orderId))},
          ${texts(captures.map(({ captureId }) => captureId))},
          ${longs(captures.map(({ captureCents }) => captureCents))},
          ${texts(captures.map(({ captureDigest }) => captureDigest))}
        ) AS input (order_id, capture_id, capture_cents, capture_digest)
        WHERE payments.order_id = input.order_id
          AND payments.order_id = ANY(${uuids(captures.map(({ orderId }) => orderId))})`

      const writeRefusals = Effect.fnUntraced(function* (
        refusals: ReadonlyArray<Refused>,
        traces: ReadonlyMap<string, string | null>
      ) {
        yield* sql`
          INSERT INTO capture_refusals (order_id, reason, amount_cents, digest)
          SELECT * FROM unnest(
            ${uuids(refusals.map(({ payload }) => payload.orderId))},
            ${texts(refusals.map(({ reason }) => reason))},
            ${longs(refusals.map(({ payload }) => payload.amountCents))},
            ${texts(refusals.map(({ digest }) => digest))}
          )`
        yield* sql`
          UPDATE payments SET version = version + 1
          WHERE order_id = ANY(${uuids(refusals.map(({ payload }) => payload.orderId))})`
        yield* Outbox.append(
          refusals.map(({ payload: { amountCents, orderId }, reason, version }) =>
            captureRefused.of({
              subject: orderId,
              version: version + 1,
              traceparent: traces.get(orderId),
              data: { orderId, amountCents, reason }
            })
          )
        )
      })

      const capture = Effect.fn("Intentions.capture")(function* (orders: ReadonlyArray<Received<CapturePayment>>) {
        const orderIds = orders.map(({ payload }) => payload.orderId)
        yield* lock(orderIds)
        const before = yield* books.read(orderIds)
        const open = orders.flatMap((order) => {
          const payment = before.get(order.payload.orderId)
          return payment === undefined || !mayBeCaptured(payment) ? [] : [{ ...order, payment }]
        })
        const refusals = open.flatMap(({ digest, payload, payment }): ReadonlyArray<Refused> => {
          const reason = reasonAgainst(payload, payment)
          return reason === undefined ? [] : [{ payload, digest, reason, version: payment.version }]
        })
        const refused = new Set(refusals.map(({ payload }) => payload.orderId))
        const captures = open.flatMap(
          ({ digest, payload: { amountCents, orderId }, payment }): ReadonlyArray<Captured> =>
            refused.has(orderId) || payment.decidedAt === null
              ? []
              : [
                  {
                    ...payment,
                    captureId: newCaptureId(),
                    captureCents: amountCents,
                    captureDigest: digest,
                    isOpen: true
                  }
                ]
        )
        if (captures.length > 0) yield* writeCaptures(captures)
        if (refusals.length > 0) {
          yield* writeRefusals(refusals, tracesOf(orders))
          return yield* books.read(orderIds)
        }
        // They are locked: how they stand is known without looking.
        return new Map([...before, ...captures.map((payment) => [payment.orderId, payment] as const)])
      })

      const authorize = Effect.fn("Intentions.authorize")(function* (
        orders: ReadonlyArray<Received<AuthorizePayment>>
      ) {
        yield* insertAuthorizations(orders)
        return yield* books.read(orders.map(({ payload }) => payload.orderId))
      })

      const cancel = Effect.fn("Intentions.cancel")(function* (orders: ReadonlyArray<Received<CancelPayment>>) {
        const orderIds = orders.map(({ payload }) => payload.orderId)
        // Whether a payment is open is read from its books: by a statement that begins when whoever settles it has ended.
        yield* lock(orderIds)
        yield* insertCancellations(orderIds)
        return yield* books.read(orderIds)
      })

      const inTransaction = Database.inTransaction(sql)
      return Intentions.of({
        authorize: (orders) => inTransaction(authorize(orders)),
        capture: (orders) => inTransaction(capture(orders)),
        cancel: (orders) => inTransaction(cancel(orders))
      })
    })
  )
}

interface Refused {
  readonly payload: CapturePayment
  readonly digest: string
  readonly reason: typeof CaptureRefusal.Type
  readonly version: number
}

interface Captured extends PaymentState {
  readonly captureId: CaptureId
  readonly captureCents: number
  readonly captureDigest: string
}

const newId = (kind: "auth" | "cap") => `${kind}_${SecureRandom.uuidV7Unsafe().replaceAll("-", "")}`
const newCaptureId = () => decodeCaptureId(newId("cap"))
const decodeCaptureId = Schema.decodeSync(CaptureId)

/** Not when somebody has asked for it before, whatever came of it. */
const mayBeCaptured = ({ cancelledAt, captureId, captureRefusal }: PaymentState) =>
  cancelledAt === null && captureId === null && captureRefusal === null

/** Undefined also while the processor has not decided: that may still go well. */
const reasonAgainst = (
  { amountCents }: CapturePayment,
  payment: PaymentState
): typeof CaptureRefusal.Type | undefined => {
  if (payment.authorizationId === null) return "unknown_payment"
  // The processor may also have let it go by itself.
  if (payment.declineCode !== null || payment.voidedAt !== null) return "not_authorized"
  return payment.decidedAt !== null && amountCents > (payment.amountCents ?? 0) ? "over_authorized" : undefined
}
