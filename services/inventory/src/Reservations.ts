/**
 * Reservations: stock that is held for orders. Reserve and release are each other's do and undo.
 *
 * Both take a set of orders in one transaction. Both first insert and lock the orders' own rows, in the order of their
 * ids, and only then the products, in the order of theirs: a reserve and a release of one order meet on its row, and
 * orders that share products wait in one line.
 *
 * A definite no is remembered like a success, and a release remembers itself even when nothing was reserved: what
 * arrives late or twice finds its answer, and never takes stock that nobody would give back.
 */
import * as Database from "@ecommerce/chassis/Database"
import { KeyConflict, type Received } from "@ecommerce/commands/Command"
import { type Run, tracesOf } from "@ecommerce/commands/CommandServer"
import { OrderId, ProductId } from "@ecommerce/contracts/Ids"
import * as Events from "@ecommerce/contracts/Inventory/Events"
import {
  AlreadyReleased,
  RefusedItem,
  type ReleaseStock,
  Reservation,
  type ReservationLine,
  ReservationNotFound,
  type ReserveStock,
  StockRefused,
  type StockReleased,
  type StockReserved
} from "@ecommerce/contracts/Inventory/Reservations"
import * as Outbox from "@ecommerce/outbox/Outbox"
import { jsons, Long, longs, type Outcomes, rowsOf, texts, uuids } from "@ecommerce/sets/Sets"
import { PgClient } from "@effect/sql-pg"
import { Context, Effect, Layer, Metric, Result, Schema } from "effect"

import { allocate, demandOf } from "./Allocation.ts"
import { type Change, StockLedger } from "./StockLedger.ts"

export class Reservations extends Context.Service<
  Reservations,
  {
    readonly reserve: Run<ReserveStock, StockReserved, StockRefused | AlreadyReleased>
    readonly release: Run<ReleaseStock, StockReleased, never>
    readonly find: (orderIds: ReadonlyArray<OrderId>) => Effect.Effect<Outcomes<Reservation, ReservationNotFound>>
  }
>()("@ecommerce/inventory/Reservations") {
  static readonly layer = Layer.effect(
    Reservations,
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      const ledger = yield* StockLedger
      const inTransaction = Database.inTransaction(sql)

      // Inserts or locks: the update of a row that is there changes nothing. `old` is null for a row that is new.
      const claimToReserve = (orders: ReadonlyArray<Received<ReserveStock>>) =>
        claimedRows(sql`
          INSERT INTO reservations (order_id, state, digest)
          SELECT order_id, 'RESERVED', digest
          FROM unnest(${uuids(orders.map(({ key }) => key))}, ${texts(orders.map(({ digest }) => digest))})
            AS input (order_id, digest)
          ORDER BY order_id
          ON CONFLICT (order_id) DO UPDATE SET order_id = excluded.order_id
          RETURNING new.order_id, old.state AS previous_state, new.digest, new.refusal, new.version`)

      const claimToRelease = (orderIds: ReadonlyArray<OrderId>) =>
        claimedRows(sql`
          INSERT INTO reservations (order_id, state)
          SELECT order_id, 'RELEASED' FROM unnest(${uuids(orderIds)}) AS input (order_id)
          ORDER BY order_id
          ON CONFLICT (order_id) DO UPDATE SET
            state = CASE reservations.state WHEN 'RESERVED' THEN 'RELEASED' ELSE reservations.state END,
            version = reservations.version + (reservations.state = 'RESERVED')::integer,
            updated_at = CASE reservations.state WHEN 'RESERVED' THEN now() ELSE reservations.updated_at END
          RETURNING new.order_id, old.state AS previous_state, new.digest, new.refusal, new.version`)

      const markRefused = (refused: ReadonlyArray<{ readonly orderId: OrderId; readonly refusal: unknown }>) => sql`
        UPDATE reservations SET state = 'REFUSED', refusal = input.refusal
        FROM unnest(${uuids(refused.map(({ orderId }) => orderId))}, ${jsons(refused.map(({ refusal }) => refusal))})
          AS input (order_id, refusal)
        WHERE reservations.order_id = input.order_id
          AND reservations.order_id = ANY(${uuids(refused.map(({ orderId }) => orderId))})`

      const insertItems = (lines: ReadonlyArray<ReservationLine & { readonly orderId: OrderId }>) => sql`
        INSERT INTO reservation_items (order_id, product_id, quantity)
        SELECT * FROM unnest(
          ${uuids(lines.map(({ orderId }) => orderId))},
          ${uuids(lines.map(({ productId }) => productId))},
          ${longs(lines.map(({ quantity }) => quantity))}
        )`

      /** What each order holds or held, in the order of the products' ids. */
      const itemsOf = Effect.fn("Reservations.itemsOf")(function* (orderIds: ReadonlyArray<OrderId>) {
        const rows = yield* itemRows(sql`
          SELECT order_id, product_id, quantity FROM reservation_items
          WHERE order_id = ANY(${uuids(orderIds)}) ORDER BY order_id, product_id`)
        const byOrder = Map.groupBy(rows, ({ orderId }) => orderId)
        return (orderId: OrderId): ReadonlyArray<ReservationLine> =>
          (byOrder.get(orderId) ?? []).map(({ productId, quantity }) => ({ productId, quantity }))
      })

      const reserveOnce = Effect.fn("Reservations.reserveOnce")(function* (
        orders: ReadonlyArray<Received<ReserveStock>>
      ) {
        const claimed = new Map((yield* claimToReserve(orders)).map((row) => [row.orderId, row]))
        const fresh = orders
          .map(({ payload }) => payload)
          .filter(({ orderId }) => claimed.get(orderId)?.previousState === null)
        if (fresh.length === 0) return orders.map((order) => rememberedOutcome(order, claimed))
        const locked = yield* ledger.lock(fresh.flatMap(({ items }) => items.map(({ productId }) => productId)))
        const allocated = allocate(fresh, locked)
        const granted = allocated.filter(({ refused }) => refused.length === 0)
        const refused = allocated.filter((allocation) => allocation.refused.length > 0)

        const adjustments = yield* ledger.write(
          granted.flatMap(({ demand, order }) => demand.map((line) => takenBy(order.orderId, line))),
          locked
        )
        if (granted.length > 0) {
          yield* insertItems(
            granted.flatMap(({ demand, order: { orderId } }) => demand.map((line) => ({ ...line, orderId })))
          )
        }
        if (refused.length > 0) {
          yield* markRefused(refused.map(({ order: { orderId }, refused: refusal }) => ({ orderId, refusal })))
          yield* sql.afterCommit(
            Effect.forEach(refused, ({ refused: [first] }) =>
              Metric.update(failuresBecause(first?.reason ?? "unknown"), 1)
            )
          )
        }
        const traces = tracesOf(orders)
        yield* Outbox.append([
          ...granted.map(({ demand: items, order: { orderId } }) =>
            Events.reserved.of({
              subject: orderId,
              traceparent: traces.get(orderId),
              version: 1,
              data: { orderId, items }
            })
          ),
          ...refused.map(({ order: { orderId }, refused: items }) =>
            Events.reservationRefused.of({
              subject: orderId,
              traceparent: traces.get(orderId),
              version: 1,
              data: { orderId, items }
            })
          ),
          ...adjustments.flatMap(({ events }) => events)
        ])

        const decided = new Map(allocated.map((allocation) => [allocation.order.orderId, allocation]))
        return orders.map((order) => {
          const { orderId } = order.payload
          const now = decided.get(orderId)
          if (now === undefined) return rememberedOutcome(order, claimed)
          return now.refused.length === 0
            ? Result.succeed({ orderId, items: now.demand })
            : Result.fail(new StockRefused({ orderId, items: now.refused }))
        })
      })

      const releaseOnce = Effect.fn("Reservations.releaseOnce")(function* (
        orders: ReadonlyArray<Received<ReleaseStock>>
      ) {
        const orderIds = orders.map(({ payload }) => payload.orderId)
        const claimed = yield* claimToRelease(orderIds)
        const held = yield* itemsOf(orderIds)
        const versions = new Map(
          claimed.filter((row) => row.previousState === "RESERVED").map((row) => [row.orderId, row.version])
        )
        const returned = orderIds.flatMap((orderId) =>
          versions.has(orderId) ? held(orderId).map((line) => returnedBy(orderId, line)) : []
        )
        const locked = yield* ledger.lock(returned.map(({ productId }) => productId))
        const adjustments = yield* ledger.write(returned, locked)
        const traces = tracesOf(orders)
        yield* Outbox.append([
          ...[...versions].map(([orderId, version]) =>
            Events.released.of({
              subject: orderId,
              traceparent: traces.get(orderId),
              version,
              data: { orderId, items: held(orderId) }
            })
          ),
          ...adjustments.flatMap(({ events }) => events)
        ])
        return orderIds.map((orderId) => Result.succeed({ orderId, items: held(orderId) }))
      })

      const find = Effect.fn("Reservations.find")(function* (orderIds: ReadonlyArray<OrderId>) {
        const rows = yield* reservationRows(sql`
          SELECT order_id, state, refusal, version, created_at, updated_at FROM reservations
          WHERE order_id = ANY(${uuids(orderIds)})`)
        const items = yield* itemsOf(orderIds)
        const byId = new Map(rows.map((row) => [row.orderId, row]))
        return orderIds.map((orderId) => {
          const row = byId.get(orderId)
          return row === undefined
            ? Result.fail(new ReservationNotFound({ orderId }))
            : Result.succeed({ ...row, items: items(orderId) })
        })
      }, Database.dies)

      return Reservations.of({
        reserve: (orders) => inTransaction(reserveOnce(orders)),
        release: (orders) => inTransaction(releaseOnce(orders)),
        find
      })
    })
  )
}

const Refusal = Schema.NullOr(Schema.Array(RefusedItem))
const failures = Metric.counter("inventory_reservation_failures_total", {
  description: "Reservations that were refused, by the reason of their first line that could not be had.",
  incremental: true
})
const failuresBecause = (reason: string) => Metric.withAttributes(failures, { reason })

const State = Schema.Literals(["RESERVED", "REFUSED", "RELEASED"])

const Claimed = Schema.Struct({
  orderId: OrderId,
  previousState: Schema.NullOr(State),
  digest: Schema.NullOr(Schema.String),
  refusal: Refusal,
  version: Schema.Int
})
const claimedRows = rowsOf(Claimed)
const itemRows = rowsOf(Schema.Struct({ orderId: OrderId, productId: ProductId, quantity: Long }))
const { items: _, ...reservationFields } = Reservation.fields
const reservationRows = rowsOf(
  Schema.Struct({
    ...reservationFields,
    createdAt: Schema.DateTimeUtcFromDate,
    updatedAt: Schema.DateTimeUtcFromDate
  })
)

/** What became of an order's reservation before, said again. */
const rememberedOutcome = (
  { digest, key, payload }: Received<ReserveStock>,
  rows: ReadonlyMap<OrderId, typeof Claimed.Type>
) => {
  const { orderId } = payload
  const claimed = rows.get(orderId)
  if (claimed === undefined) throw new Error(`The order ${orderId} was not claimed`)
  if (claimed.previousState === "RELEASED") return Result.fail(new AlreadyReleased({ orderId }))
  if (claimed.digest !== digest) return Result.fail(new KeyConflict({ key }))
  return claimed.refusal === null
    ? Result.succeed({ orderId, items: demandOf(payload) })
    : Result.fail(new StockRefused({ orderId, items: claimed.refusal }))
}

const takenBy = (orderId: OrderId, { productId, quantity }: ReservationLine): Change => ({
  productId,
  kind: "reserve",
  quantity: -quantity,
  reason: "reserved for an order",
  referenceId: orderId,
  notes: null
})

const returnedBy = (orderId: OrderId, { productId, quantity }: ReservationLine): Change => ({
  productId,
  kind: "release",
  quantity,
  reason: "released by an order",
  referenceId: orderId,
  notes: null
})
