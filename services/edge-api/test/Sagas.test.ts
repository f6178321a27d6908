import { OrderId } from "@ecommerce/contracts/Ids"
import { rowsOf } from "@ecommerce/sets/Sets"
import { until } from "@ecommerce/testing/ServiceProcess"
import { TestDatabase } from "@ecommerce/testing/TestDatabase"
import { assert, layer } from "@effect/vitest"
import { Effect, Fiber, Schema } from "effect"
import { HttpClientRequest } from "effect/http"

import { accounts, get, layer as counter, newProduct, place, replica, say } from "./fixtures/Counter.ts"
import {
  authorizedOrder,
  authorizedOrders,
  consumer,
  goingWell,
  historyOf,
  noStock,
  sagaOf,
  takingBack,
  tell,
  untilUsed,
  wayOf
} from "./fixtures/Sagas.ts"
import { knownOrders, listen, nextOrder } from "./fixtures/Streams.ts"

const timeRows = rowsOf(Schema.Struct({ at: Schema.Date }))

const theGoodEnd = ["ORDER_CREATED", "INVENTORY_RESERVED", "PAYMENT_CAPTURED", "COMPLETED"]
const cancelled = { code: "cancelled", detail: null }

layer(counter(), { excludeTestServices: true })("an edge that follows the orchestrator", (it) => {
  it.effect("tells each state of an order that goes well, with the time at which that happened", () =>
    Effect.gen(function* () {
      const id = yield* authorizedOrder
      for (const event of goingWell(id)) {
        yield* tell(event)
        yield* Effect.sleep("30 millis")
      }
      yield* until(Effect.map(wayOf(id), (way) => way.at(-1) === "COMPLETED"))
      const order = yield* get(id)
      assert.deepStrictEqual(
        order.states.slice(2).map(({ status }) => status),
        theGoodEnd
      )
      assert.deepStrictEqual(
        order.states.map(({ version }) => version),
        [1, 2, 3, 4, 5, 6]
      )
      const { administrator: sql } = yield* TestDatabase
      const times = yield* timeRows(sql`
        SELECT created_at AS at FROM orchestrator.outbox
        WHERE data ->> 'orderId' = ${id} AND type <> 'saga.started' ORDER BY version`)
      assert.deepStrictEqual(
        order.states.slice(2).map(({ at }) => at.epochMilliseconds),
        times.map(({ at }) => at.getTime())
      )
    })
  )

  it.effect("tells why an order fails, from the moment at which it turns back", () =>
    Effect.gen(function* () {
      const id = yield* authorizedOrder
      const saga = sagaOf(id)
      yield* tell(saga.started(), saga.advanced(2, "create-order"), saga.compensating(3))
      yield* until(Effect.map(wayOf(id), ({ length }) => length === 2))
      assert.containSubset((yield* say(HttpClientRequest.get(`/orders/${id}`))).body, {
        status: "COMPENSATING",
        reason: noStock
      })
      yield* tell(saga.failed(4))
      yield* until(Effect.map(wayOf(id), ({ length }) => length === 3))
      const { body } = yield* say(HttpClientRequest.get(`/orders/${id}`))
      assert.containSubset(body, { status: "FAILED", reason: noStock })
    })
  )

  it.effect("tells of an order that its customer cancelled, on its way and after its completion", () =>
    Effect.gen(function* () {
      const [early, late] = yield* Effect.all([authorizedOrder, authorizedOrder])
      const saga = sagaOf(early)
      yield* tell(saga.started(), saga.compensating(2, cancelled), saga.cancelled(3, cancelled))
      yield* tell(...goingWell(late))
      yield* tell(...takingBack(late))
      yield* untilUsed
      const [ofEarly, ofLate] = [yield* historyOf(early), yield* historyOf(late)]
      assert.deepStrictEqual(
        [...ofEarly.slice(2), ...ofLate.slice(5)].map(({ reason, status }) => [status, reason]),
        [
          ["COMPENSATING", cancelled],
          ["CANCELLED", cancelled],
          ["COMPLETED", null],
          ["COMPENSATING", cancelled],
          ["CANCELLED", cancelled]
        ]
      )
    })
  )

  it.effect("puts the states of one batch in their order, in whatever order they were told", () =>
    Effect.gen(function* () {
      const [id, other] = yield* Effect.all([authorizedOrder, authorizedOrder])
      yield* tell(...[...goingWell(id), ...takingBack(id)].toReversed(), ...goingWell(other).toReversed())
      yield* untilUsed
      assert.deepStrictEqual(yield* wayOf(id), [...theGoodEnd, "COMPENSATING", "CANCELLED"])
      assert.deepStrictEqual(yield* wayOf(other), theGoodEnd)
    })
  )

  it.effect("leaves out what comes late, so that an order never goes back", () =>
    Effect.gen(function* () {
      const [id, other] = yield* Effect.all([authorizedOrder, authorizedOrder])
      const [, created, reserved, captured, completed] = goingWell(id)
      const saga = sagaOf(other)
      yield* tell(reserved, saga.failed(9))
      yield* untilUsed
      yield* tell(created, completed, saga.compensating(8), saga.advanced(2, "create-order"))
      yield* untilUsed
      yield* tell(captured)
      yield* untilUsed
      assert.deepStrictEqual(yield* wayOf(id), ["INVENTORY_RESERVED", "COMPLETED"])
      assert.deepStrictEqual(yield* wayOf(other), ["FAILED"])
      assert.deepStrictEqual(
        (yield* historyOf(id)).map(({ version }) => version),
        [1, 2, 3, 4]
      )
    })
  )

  it.effect("tells nothing twice, however often it is told", () =>
    Effect.gen(function* () {
      const id = yield* authorizedOrder
      const events = [...goingWell(id), ...takingBack(id)]
      yield* tell(...events, ...events)
      yield* untilUsed
      const once = yield* historyOf(id)
      yield* tell(...events)
      yield* untilUsed
      assert.deepStrictEqual(yield* historyOf(id), once)
      assert.lengthOf(once, 8)
    })
  )

  it.effect("passes over what it does not know: other orders, other steps, and sagas that are stuck", () =>
    Effect.gen(function* () {
      const id = yield* authorizedOrder
      const saga = sagaOf(id)
      const stranger = OrderId.make(crypto.randomUUID())
      yield* tell(
        ...goingWell(stranger),
        saga.stuck(2),
        saga.advanced(3, "wrap-as-gift"),
        saga.advanced(4, "constructor"),
        saga.advanced(5, "create-order"),
        sagaOf(id, "cancel-order").failed(9)
      )
      yield* untilUsed
      assert.deepStrictEqual(yield* wayOf(id), ["ORDER_CREATED"])
      assert.lengthOf(yield* historyOf(stranger), 0)
      assert.strictEqual((yield* consumer).letters, 0)
    })
  )

  it.effect("never tells one state earlier than the one before it, whatever the clocks say", () =>
    Effect.gen(function* () {
      const [id = OrderId.make("")] = yield* authorizedOrders(1, "1 hour")
      yield* tell(...goingWell(id))
      yield* untilUsed
      const times = (yield* historyOf(id)).map(({ at }) => at.epochMilliseconds)
      assert.lengthOf(times, 6)
      assert.deepStrictEqual(new Set(times.slice(1)), new Set([times[1]]))
    })
  )

  it.effect("brings two hundred orders through five states each at once, with another edge beside it", () =>
    Effect.gen(function* () {
      yield* replica()
      const ids = yield* authorizedOrders(200)
      yield* tell(...ids.flatMap((id) => [...goingWell(id).slice(1), takingBack(id)[0]]))
      yield* untilUsed
      const histories = Map.groupBy(yield* historyOf(...ids), ({ orderId }) => orderId)
      const expected = ["AWAITING_AUTHORIZATION", "AUTHORIZED", ...theGoodEnd, "COMPENSATING"].join(" ")
      assert.strictEqual(histories.size, 200)
      assert.deepStrictEqual(
        new Set([...histories.values()].map((states) => states.map(({ status }) => status).join(" "))),
        new Set([expected])
      )
      assert.deepStrictEqual(
        new Set((yield* accounts).filter(({ orderId }) => ids.includes(orderId)).map(({ status }) => status)),
        new Set(["COMPENSATING"])
      )
    })
  )

  it.effect("tells those who follow, and those who wait, up to the end", () =>
    Effect.gen(function* () {
      const before = yield* knownOrders
      const items = [{ product_id: yield* newProduct(), quantity: 1 }]
      const waiting = yield* Effect.forkChild(place("waits", { items }, { prefer: "wait=30" }))
      const id = OrderId.make(yield* nextOrder(before, "AUTHORIZED"))
      const { heard, hears, listening } = yield* listen(id)
      yield* hears(2)
      yield* tell(...goingWell(id))
      const said = yield* Fiber.join(waiting)
      assert.strictEqual(said.status, 200)
      assert.containSubset(said.body, { order_ledger_id: id, status: "COMPLETED" })
      yield* hears(6)
      yield* tell(...takingBack(id))
      yield* Fiber.join(listening)
      const told = heard.filter(({ event }) => event === "state").map(({ id: version }) => version)
      assert.deepStrictEqual(told, ["1", "2", "3", "4", "5", "6", "7", "8"])
    })
  )
})
