import type { LedgerStatus } from "@ecommerce/contracts/Edge/Ledger"
import { OrderId, ProductId, UserId } from "@ecommerce/contracts/Ids"
import { one } from "@ecommerce/sets/Sets"
import { TestDatabase } from "@ecommerce/testing/TestDatabase"
import * as TestService from "@ecommerce/testing/TestService"
import { PgClient } from "@effect/sql-pg"
import { assert, layer } from "@effect/vitest"
import { DateTime, Effect, Exit, Layer } from "effect"

import { Ledger } from "../src/Ledger.ts"

const ledger = Ledger.layer.pipe(
  Layer.provideMerge(TestService.database("edge-api")),
  Layer.provideMerge(TestDatabase.layer)
)

/** Orders whose money is held. */
const newOrders = Effect.fn("newOrders")(function* (count: number) {
  const sql = yield* PgClient.PgClient
  const { change, enter } = yield* Ledger
  const orderIds = Array.from({ length: count }, () => OrderId.make(crypto.randomUUID()))
  yield* sql.withTransaction(
    Effect.gen(function* () {
      yield* enter(
        orderIds.map((orderId) => ({
          orderId,
          userId: UserId.make(crypto.randomUUID()),
          email: "ada@example.com",
          lines: [{ productId: ProductId.make(crypto.randomUUID()), quantity: 1, unitPriceCents: 5 }],
          currency: "USD"
        }))
      )
      yield* change(orderIds.map((orderId) => ({ orderId, status: "AUTHORIZED", reason: null })))
    })
  )
  return orderIds
})

const newOrder = Effect.flatMap(newOrders(1), ([orderId]) =>
  orderId === undefined ? Effect.die(new Error("There is no order")) : Effect.succeed(orderId)
)

const reason = { code: "insufficient_stock", detail: null }
/** Long after they were authorized: no state is earlier than the one before it. */
const noon = DateTime.makeUnsafe("2126-11-25T12:00:00Z")

/** What others saw of these orders, a second apart. */
const follow = Effect.fn("follow")(function* (seen: ReadonlyArray<readonly [OrderId, LedgerStatus]>) {
  const sql = yield* PgClient.PgClient
  const ledger = yield* Ledger
  return yield* sql.withTransaction(
    ledger.follow(
      seen.map(([orderId, status], seconds) => ({
        orderId,
        status,
        reason: status === "FAILED" || status === "COMPENSATING" ? reason : null,
        at: DateTime.add(noon, { seconds })
      }))
    )
  )
})

const statesOf = (orderId: OrderId) =>
  Effect.flatMap(Ledger, ({ find }) => Effect.map(one(find([orderId])), ({ states }) => states.slice(2)))

const way = ["ORDER_CREATED", "INVENTORY_RESERVED", "PAYMENT_CAPTURED", "COMPLETED"] as const

layer(ledger, { excludeTestServices: true })("a ledger that follows sagas", (it) => {
  it.effect("keeps every state of many orders that come at once, each with its time, in order", () =>
    Effect.gen(function* () {
      const orderIds = yield* newOrders(200)
      const seen = way.flatMap((status) => orderIds.map((orderId) => [orderId, status] as const))
      const changed = yield* follow(seen)
      assert.strictEqual(changed.length, 200)
      assert.deepStrictEqual(new Set(changed.map(({ version }) => version)), new Set([6]))
      for (const [place, orderId] of [...orderIds.entries()].slice(0, 20)) {
        const states = yield* statesOf(orderId)
        assert.deepStrictEqual(
          states.map(({ status, version }) => [version, status]),
          [
            [3, "ORDER_CREATED"],
            [4, "INVENTORY_RESERVED"],
            [5, "PAYMENT_CAPTURED"],
            [6, "COMPLETED"]
          ]
        )
        assert.deepStrictEqual(
          states.map(({ at }) => DateTime.toEpochMillis(at) - DateTime.toEpochMillis(noon)),
          [0, 1, 2, 3].map((nth) => (nth * 200 + place) * 1000)
        )
      }
    })
  )

  it.effect("leaves out what comes again, late, or for an order that nobody knows", () =>
    Effect.gen(function* () {
      const orderId = yield* newOrder
      const stranger = OrderId.make(crypto.randomUUID())
      yield* follow([
        [orderId, "ORDER_CREATED"],
        [stranger, "ORDER_CREATED"],
        [orderId, "ORDER_CREATED"],
        // Overtaken on its way by what came after it.
        [orderId, "PAYMENT_CAPTURED"],
        [orderId, "INVENTORY_RESERVED"]
      ])
      assert.deepStrictEqual(yield* follow([[orderId, "ORDER_CREATED"]]), [])
      assert.deepStrictEqual(yield* follow([]), [])
      const changed = yield* follow([
        [orderId, "INVENTORY_RESERVED"],
        [orderId, "COMPLETED"]
      ])
      assert.deepStrictEqual(changed, [{ orderId, version: 5 }])
      assert.deepStrictEqual(
        (yield* statesOf(orderId)).map(({ status }) => status),
        ["ORDER_CREATED", "PAYMENT_CAPTURED", "COMPLETED"]
      )
    })
  )

  it.effect("tells why an order failed, and that a completed one was taken back", () =>
    Effect.gen(function* () {
      const [failed, cancelled] = [yield* newOrder, yield* newOrder]
      yield* follow([
        [failed, "COMPENSATING"],
        [failed, "FAILED"],
        [failed, "COMPLETED"],
        ...way.map((status) => [cancelled, status] as const),
        [cancelled, "COMPENSATING"],
        [cancelled, "CANCELLED"]
      ])
      const states = yield* statesOf(failed)
      assert.deepStrictEqual(
        states.map((state) => [state.status, state.reason?.code]),
        [
          ["COMPENSATING", "insufficient_stock"],
          ["FAILED", "insufficient_stock"]
        ]
      )
      assert.deepStrictEqual(
        (yield* statesOf(cancelled)).slice(-3).map(({ status }) => status),
        ["COMPLETED", "COMPENSATING", "CANCELLED"]
      )
    })
  )

  it.effect("and its database let no state follow one that it may not follow, whoever writes it", () =>
    Effect.gen(function* () {
      const { administrator: sql } = yield* TestDatabase
      const orderId = yield* newOrder
      yield* follow([[orderId, "COMPLETED"]])
      const move = (version: number, previous: string | null, status: string) =>
        Effect.exit(
          sql.withTransaction(
            Effect.andThen(
              sql`UPDATE edge_api.order_ledger SET status = ${status}, version = ${version} WHERE order_id = ${orderId}`,
              sql`
                INSERT INTO edge_api.order_states (order_id, version, previous_status, status, reason)
                VALUES (${orderId}, ${version}, ${previous}, ${status}, '{}')`
            )
          )
        )
      // Back; from where it is not; with a gap; from nothing.
      for (const [version, previous, status] of [
        [4, "COMPLETED", "ORDER_CREATED"],
        [4, "PAYMENT_CAPTURED", "COMPENSATING"],
        [5, "COMPLETED", "COMPENSATING"],
        [4, null, "COMPENSATING"]
      ] as const) {
        assert.isTrue(Exit.isFailure(yield* move(version, previous, status)), `${previous} ${status} ${version}`)
      }
      assert.isTrue(Exit.isSuccess(yield* move(4, "COMPLETED", "COMPENSATING")))
    })
  )
})
