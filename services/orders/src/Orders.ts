/**
 * A look at orders: one with its lines and its whole history, or a user's, page by page.
 */
import * as Database from "@ecommerce/chassis/Database"
import { OrderId, type UserId } from "@ecommerce/contracts/Ids"
import {
  Order,
  OrderItem,
  OrderNotFound,
  type OrderPage,
  OrderPlace,
  OrderSummary,
  Transition
} from "@ecommerce/contracts/Orders/Orders"
import { Long, type Outcomes, rowsOf, uuids } from "@ecommerce/sets/Sets"
import { PgClient } from "@effect/sql-pg"
import { Context, Effect, Layer, Result, Schema } from "effect"

export interface PageRequest {
  readonly userId: UserId
  readonly before: string | undefined
  readonly limit: number
}

export class Orders extends Context.Service<
  Orders,
  {
    readonly find: (orderIds: ReadonlyArray<OrderId>) => Effect.Effect<Outcomes<Order, OrderNotFound>>
    /** The newest first. */
    readonly page: (request: PageRequest) => Effect.Effect<OrderPage>
  }
>()("@ecommerce/orders/Orders") {
  static readonly layer = Layer.effect(
    Orders,
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient

      const find = Effect.fn("Orders.find")(function* (orderIds: ReadonlyArray<OrderId>) {
        const ids = uuids(orderIds)
        const found = yield* orderRows(sql`
          SELECT order_id AS id, user_id, email, coalesce(total_cents, 0) AS total_cents, created_at
          FROM orders WHERE order_id = ANY(${ids}) AND status IS NOT NULL`)
        const items = yield* itemRows(sql`
          SELECT order_id, product_id, quantity, unit_price_cents, quantity::bigint * unit_price_cents AS line_total_cents
          FROM order_items WHERE order_id = ANY(${ids}) ORDER BY order_id, line`)
        const transitions = yield* transitionRows(sql`
          SELECT order_id, version, previous_status, status, cause, at
          FROM order_transitions WHERE order_id = ANY(${ids}) ORDER BY order_id, version`)
        const orders = new Map(found.map((order) => [order.id, order]))
        const itemsOf = Map.groupBy(items, ({ orderId }) => orderId)
        const historyOf = Map.groupBy(transitions, ({ orderId }) => orderId)
        return orderIds.map((orderId) => {
          const order = orders.get(orderId)
          const history = historyOf.get(orderId) ?? []
          const last = history.at(-1)
          if (order === undefined || last === undefined) return Result.fail(new OrderNotFound({ orderId }))
          // Where it stands is what its history says: the statements above may have seen different moments.
          const { at: updatedAt, status, version } = last
          return Result.succeed({ ...order, status, version, updatedAt, items: itemsOf.get(orderId) ?? [], history })
        })
      }, Database.dies)

      const page = Effect.fn("Orders.page")(function* ({ before, limit, userId }: PageRequest) {
        // One more than asked for tells whether there is a next page.
        const rows = yield* summaryRows(sql`
          SELECT place::text AS cursor, order_id AS id, user_id, status, total_cents, version, created_at, updated_at FROM orders
          WHERE user_id = ${userId} AND place < ${before ?? afterAll}::bigint ORDER BY place DESC LIMIT ${limit + 1}`)
        const orders = rows.slice(0, limit)
        return { orders, nextCursor: rows.length > limit ? (orders.at(-1)?.cursor ?? null) : null }
      }, Database.dies)

      return Orders.of({ find, page })
    })
  )
}

const afterAll = "9223372036854775807"

/** The driver reads timestamps as dates, and bigints as such. */
const stored = { totalCents: Long, createdAt: Schema.DateTimeUtcFromDate, updatedAt: Schema.DateTimeUtcFromDate }
const { email, id, userId } = Order.fields
const orderRows = rowsOf(
  Schema.Struct({ id, userId, email, totalCents: stored.totalCents, createdAt: stored.createdAt })
)
const summaryRows = rowsOf(Schema.Struct({ ...OrderSummary.fields, ...stored, cursor: OrderPlace }))
const itemRows = rowsOf(Schema.Struct({ ...OrderItem.fields, orderId: OrderId, lineTotalCents: Long }))
const transitionRows = rowsOf(Schema.Struct({ ...Transition.fields, orderId: OrderId, at: Schema.DateTimeUtcFromDate }))
