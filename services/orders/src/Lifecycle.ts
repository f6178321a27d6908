/**
 * The life of orders: create, confirm, cancel, each for a set of orders in one transaction.
 *
 * All three begin with the orders' own rows, inserted or locked in the order of their ids, in one statement that changes
 * what may be changed and answers only that. Rows that stayed as they were have been asked before: they are read
 * afterwards, under the same lock, and their answer is the one they had. What may become what is decided by the database
 * alone (`may_become` in its first migration).
 *
 * A cancel remembers itself also where there is no order, and so does the refusal to confirm one that is not there:
 * what arrives late finds its answer.
 */
import * as Database from "@ecommerce/chassis/Database"
import { KeyConflict, type Received } from "@ecommerce/commands/Command"
import { type Run, tracesOf } from "@ecommerce/commands/CommandServer"
import { OrderId } from "@ecommerce/contracts/Ids"
import * as Events from "@ecommerce/contracts/Orders/Events"
import {
  AlreadyCancelled,
  type CancelOrder,
  type ConfirmOrder,
  type CreateOrder,
  type OrderCancelled,
  type OrderConfirmed,
  type OrderCreated,
  totalOf,
  UnknownOrder
} from "@ecommerce/contracts/Orders/Lifecycle"
import { OrderStatus } from "@ecommerce/contracts/Orders/Orders"
import * as Outbox from "@ecommerce/outbox/Outbox"
import { integers, longs, rowsOf, texts, uuids } from "@ecommerce/sets/Sets"
import { PgClient } from "@effect/sql-pg"
import { Context, Effect, Layer, Result, Schema } from "effect"

type Asked = ReadonlyArray<Received<{ readonly orderId: OrderId }>>

export class Lifecycle extends Context.Service<
  Lifecycle,
  {
    readonly create: Run<CreateOrder, OrderCreated, AlreadyCancelled>
    readonly confirm: Run<ConfirmOrder, OrderConfirmed, AlreadyCancelled | UnknownOrder>
    readonly cancel: Run<CancelOrder, OrderCancelled, never>
  }
>()("@ecommerce/orders/Lifecycle") {
  static readonly layer = Layer.effect(
    Lifecycle,
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      const inTransaction = Database.inTransaction(sql)
      const columns = sql.literal("order_id, status, version, digest, confirmation_refused, created_at, updated_at")

      // A row without a status, which a refused confirmation left, becomes the order.
      const insertCreated = (orders: ReadonlyArray<Received<CreateOrder>>) => sql`
        INSERT INTO orders (order_id, user_id, email, total_cents, digest, status, version, created_at, updated_at)
        SELECT order_id, user_id, email, total_cents, digest, 'CREATED', 1, at, at FROM unnest(
          ${uuids(orders.map(({ payload }) => payload.orderId))},
          ${uuids(orders.map(({ payload }) => payload.userId))},
          ${texts(orders.map(({ payload }) => payload.email))},
          ${longs(orders.map(({ payload }) => totalOf(payload.items)))},
          ${texts(orders.map(({ digest }) => digest))}
        ) AS input (order_id, user_id, email, total_cents, digest), clock_timestamp() AS at
        ORDER BY order_id
        ON CONFLICT (order_id) DO UPDATE SET
          user_id = excluded.user_id, email = excluded.email, total_cents = excluded.total_cents,
          digest = excluded.digest, status = 'CREATED', version = 1, place = DEFAULT,
          created_at = excluded.created_at, updated_at = excluded.updated_at
        WHERE orders.status IS NULL
        RETURNING ${columns}, old.status AS previous_status`

      const moveToConfirmed = (orderIds: ReadonlyArray<OrderId>) => sql`
        INSERT INTO orders (order_id, confirmation_refused)
        SELECT order_id, true FROM unnest(${uuids(orderIds)}) AS input (order_id)
        ORDER BY order_id
        ON CONFLICT (order_id) DO UPDATE SET
          status = 'CONFIRMED', version = orders.version + 1, updated_at = clock_timestamp()
        WHERE may_become(orders.status, 'CONFIRMED') AND NOT orders.confirmation_refused
        RETURNING ${columns}, old.status AS previous_status`

      const moveToCancelled = (orderIds: ReadonlyArray<OrderId>) => sql`
        INSERT INTO orders (order_id, status, version)
        SELECT order_id, 'CANCELLED', 1 FROM unnest(${uuids(orderIds)}) AS input (order_id)
        ORDER BY order_id
        ON CONFLICT (order_id) DO UPDATE SET
          status = 'CANCELLED', version = orders.version + 1, updated_at = clock_timestamp()
        WHERE may_become(orders.status, 'CANCELLED')
        RETURNING ${columns}, old.status AS previous_status`

      /** Runs one of the above, keeps the transitions, and reads the rows that were left as they were. */
      const move = Effect.fn("Lifecycle.move")(function* <E>(
        statement: Effect.Effect<unknown, E>,
        orders: Asked,
        causeOf: (orderId: OrderId) => string
      ) {
        const changed = yield* changedRows(statement)
        const transitions = changed.filter(({ status }) => status !== null)
        if (transitions.length > 0) yield* keep(transitions, causeOf)
        const changedIds = new Set(changed.map(({ orderId }) => orderId))
        const others = orders.map(({ payload }) => payload.orderId).filter((orderId) => !changedIds.has(orderId))
        const unchanged = others.length === 0 ? [] : yield* read(others)
        const rows = new Map([...unchanged, ...changed].map((row) => [row.orderId, row]))
        return { transitions, rowOf: rowIn(rows) }
      })

      const keep = (transitions: ReadonlyArray<Changed>, causeOf: (orderId: OrderId) => string) => {
        const orderIds = uuids(transitions.map(({ orderId }) => orderId))
        return sql`
          INSERT INTO order_transitions (order_id, version, previous_status, status, cause, at)
          SELECT order_id, version, input.previous_status, status, input.cause, updated_at
          FROM orders JOIN unnest(
            ${orderIds},
            ${texts(transitions.map(({ previousStatus }) => previousStatus))},
            ${texts(transitions.map(({ orderId }) => causeOf(orderId)))}
          ) AS input (order_id, previous_status, cause) USING (order_id)
          WHERE order_id = ANY(${orderIds})`
      }

      const read = (orderIds: ReadonlyArray<OrderId>) =>
        orderRows(sql`SELECT ${columns} FROM orders WHERE order_id = ANY(${uuids(orderIds)})`)

      const insertItems = (orders: ReadonlyArray<CreateOrder>) => {
        const lines = orders.flatMap(({ items, orderId }) =>
          items.map((item, place) => ({ ...item, orderId, line: place + 1 }))
        )
        return sql`
          INSERT INTO order_items (order_id, line, product_id, quantity, unit_price_cents)
          SELECT * FROM unnest(
            ${uuids(lines.map(({ orderId }) => orderId))},
            ${integers(lines.map(({ line }) => line))},
            ${uuids(lines.map(({ productId }) => productId))},
            ${integers(lines.map(({ quantity }) => quantity))},
            ${integers(lines.map(({ unitPriceCents }) => unitPriceCents))}
          )`
      }

      const create = Effect.fn("Lifecycle.create")(function* (orders: ReadonlyArray<Received<CreateOrder>>) {
        const { rowOf, transitions } = yield* move(insertCreated(orders), orders, () => "create-order")
        const createdIds = new Set(transitions.map(({ orderId }) => orderId))
        const created = orders.filter(({ payload }) => createdIds.has(payload.orderId))
        if (created.length > 0) yield* insertItems(created.map(({ payload }) => payload))
        yield* Outbox.append(
          created.map(({ payload: { items, orderId, userId }, traceparent }) =>
            Events.orderCreated.of({
              subject: orderId,
              version: 1,
              traceparent,
              data: { orderId, userId, items, totalCents: totalOf(items) }
            })
          )
        )
        return orders.map(({ digest, key, payload: { items, orderId } }) => {
          const row = rowOf(orderId)
          if (row.status === "CANCELLED") return Result.fail(new AlreadyCancelled({ orderId }))
          if (row.digest !== digest) return Result.fail(new KeyConflict({ key }))
          return Result.succeed({ orderId, totalCents: totalOf(items), createdAt: row.createdAt })
        })
      })

      const confirm = Effect.fn("Lifecycle.confirm")(function* (orders: ReadonlyArray<Received<ConfirmOrder>>) {
        const orderIds = orders.map(({ payload }) => payload.orderId)
        const { rowOf, transitions } = yield* move(moveToConfirmed(orderIds), orders, () => "confirm-order")
        const traces = tracesOf(orders)
        yield* Outbox.append(
          transitions.map(({ orderId, version }) =>
            Events.orderConfirmed.of({ subject: orderId, version, traceparent: traces.get(orderId), data: { orderId } })
          )
        )
        return orderIds.map((orderId) => {
          const row = rowOf(orderId)
          if (row.confirmationRefused) return Result.fail(new UnknownOrder({ orderId }))
          if (row.status === "CANCELLED") return Result.fail(new AlreadyCancelled({ orderId }))
          return Result.succeed({ orderId, confirmedAt: row.updatedAt })
        })
      })

      const cancel = Effect.fn("Lifecycle.cancel")(function* (orders: ReadonlyArray<Received<CancelOrder>>) {
        const orderIds = orders.map(({ payload }) => payload.orderId)
        const reasons = new Map(orders.map(({ payload }) => [payload.orderId, payload.reason]))
        const reasonOf = (orderId: OrderId) => reasons.get(orderId) ?? "cancel-order"
        const { rowOf, transitions } = yield* move(moveToCancelled(orderIds), orders, reasonOf)
        const traces = tracesOf(orders)
        yield* Outbox.append(
          transitions.flatMap(({ orderId, previousStatus, version }) =>
            // Nobody has heard of an order that was never created.
            previousStatus === null
              ? []
              : [
                  Events.orderCancelled.of({
                    subject: orderId,
                    version,
                    traceparent: traces.get(orderId),
                    data: { orderId, previousStatus, reason: reasonOf(orderId) }
                  })
                ]
          )
        )
        return orderIds.map((orderId) => Result.succeed({ orderId, cancelledAt: rowOf(orderId).updatedAt }))
      })

      return Lifecycle.of({
        create: (orders) => inTransaction(create(orders)),
        confirm: (orders) => inTransaction(confirm(orders)),
        cancel: (orders) => inTransaction(cancel(orders))
      })
    })
  )
}

const OrderRow = Schema.Struct({
  orderId: OrderId,
  status: Schema.NullOr(OrderStatus),
  version: Schema.Int,
  digest: Schema.NullOr(Schema.String),
  confirmationRefused: Schema.Boolean,
  createdAt: Schema.DateTimeUtcFromDate,
  updatedAt: Schema.DateTimeUtcFromDate
})
const ChangedRow = Schema.Struct({ ...OrderRow.fields, previousStatus: Schema.NullOr(OrderStatus) })
type Changed = typeof ChangedRow.Type

const orderRows = rowsOf(OrderRow)
const changedRows = rowsOf(ChangedRow)

const rowIn = (rows: ReadonlyMap<OrderId, typeof OrderRow.Type>) => (orderId: OrderId) => {
  const row = rows.get(orderId)
  if (row === undefined) throw new Error(`The order ${orderId} was neither changed nor found`)
  return row
}
