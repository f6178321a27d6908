/**
 * That a customer does not want an order any more: kept with the order, and told to the orchestrator, which decides what can be
 * done about it. Said once, however often it is asked.
 */
import * as Database from "@ecommerce/chassis/Database"
import { type CancelAnswer, OrderNotAuthorizedYet } from "@ecommerce/contracts/Edge/Cancellation"
import { orderCancelRequested } from "@ecommerce/contracts/Edge/Events"
import { isFinal, LedgerOrderNotFound, LedgerStatus } from "@ecommerce/contracts/Edge/Ledger"
import { OrderId } from "@ecommerce/contracts/Ids"
import * as Outbox from "@ecommerce/outbox/Outbox"
import * as Traceparent from "@ecommerce/protocol/Traceparent"
import { type Outcomes, rowsOf, uuids } from "@ecommerce/sets/Sets"
import * as Trace from "@ecommerce/telemetry/Trace"
import { PgClient } from "@effect/sql-pg"
import { Context, Effect, Layer, Option, Result, Schema } from "effect"

export class Cancellations extends Context.Service<
  Cancellations,
  {
    readonly request: (
      orderIds: ReadonlyArray<OrderId>
    ) => Effect.Effect<Outcomes<CancelAnswer, LedgerOrderNotFound | OrderNotAuthorizedYet>>
  }
>()("@ecommerce/edge-api/Cancellations") {
  static readonly layer = Layer.effect(
    Cancellations,
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      const inTransaction = Database.inTransaction(sql)

      const tracesOf = (orderIds: ReadonlyArray<OrderId>) =>
        Effect.map(
          traceRows(sql`SELECT order_id, traceparent FROM checkouts WHERE order_id = ANY(${uuids(orderIds)})`),
          (rows) => rows.map(({ orderId, traceparent }) => [orderId, traceparent] as const)
        )

      const request = Effect.fn("Cancellations.request")(function* (orderIds: ReadonlyArray<OrderId>) {
        // Looked at before anything is locked. Readers of the feed hear first of what has the lower transaction number, and this
        // one has none yet: it will be above that of whichever authorized these orders, so that nobody hears of a cancellation first.
        const seen = yield* statusRows(sql`
          SELECT order_id, status FROM order_ledger WHERE order_id = ANY(${uuids(orderIds)})`)
        const open = seen.filter(({ status }) => canBeCancelled(status)).map(({ orderId }) => orderId)
        // An order's saga may bring it to its end at this moment; then there is nothing to cancel any more.
        const locked = yield* orderRows(sql`
          SELECT order_id, status, version FROM order_ledger WHERE order_id = ANY(${uuids(open)})
          ORDER BY order_id FOR NO KEY UPDATE`)
        const wanted = locked.filter(({ status }) => canBeCancelled(status))
        const asked = yield* idRows(sql`
          INSERT INTO cancellations (order_id)
          SELECT order_id FROM unnest(${uuids(wanted.map(({ orderId }) => orderId))}) AS input (order_id) ORDER BY order_id
          ON CONFLICT (order_id) DO NOTHING RETURNING order_id`)
        const isNew = new Set(asked.map(({ orderId }) => orderId))
        const traceparent = Option.getOrNull(yield* Traceparent.current)
        for (const [orderId, trace] of yield* tracesOf([...isNew])) {
          yield* Trace.about({ "order.id": orderId })
          yield* Trace.concerning("cancel requested", Option.toArray(Traceparent.spanOf(trace)), {
            "order.id": orderId
          })
        }
        yield* Outbox.append(
          wanted
            .filter(({ orderId }) => isNew.has(orderId))
            // The only event that edge tells of an order behind its authorization: no other has this version.
            .map(({ orderId, version }) =>
              orderCancelRequested.of({ subject: orderId, version: version + 1, traceparent, data: { orderId } })
            )
        )
        const statusOf = new Map([...seen, ...locked].map(({ orderId, status }) => [orderId, status]))
        return orderIds.map((orderId) => {
          const status = statusOf.get(orderId)
          if (status === undefined) return Result.fail(new LedgerOrderNotFound({ order_ledger_id: orderId }))
          if (status === "AWAITING_AUTHORIZATION") {
            return Result.fail(new OrderNotAuthorizedYet({ order_ledger_id: orderId }))
          }
          return Result.succeed({ order_ledger_id: orderId, status, message: messageOf(status) })
        })
      })

      return Cancellations.of({ request: (orderIds) => Database.dies(inTransaction(request(orderIds))) })
    })
  )
}

const canBeCancelled = (status: LedgerStatus) => status !== "AWAITING_AUTHORIZATION" && !isFinal(status)

const messageOf = (status: LedgerStatus) => {
  if (status === "CANCELLED") return "The order is cancelled"
  return isFinal(status) ? "The order has failed, there is nothing to cancel" : "Cancellation received, processing"
}

const StatusRow = Schema.Struct({ orderId: OrderId, status: LedgerStatus })
const statusRows = rowsOf(StatusRow)
const orderRows = rowsOf(Schema.Struct({ ...StatusRow.fields, version: Schema.Int }))
const traceRows = rowsOf(Schema.Struct({ orderId: OrderId, traceparent: Schema.NullOr(Schema.String) }))
const idRows = rowsOf(Schema.Struct({ orderId: OrderId }))
