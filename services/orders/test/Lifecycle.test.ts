import { CreateOrder } from "@ecommerce/contracts/Orders/Lifecycle"
import { one } from "@ecommerce/sets/Sets"
import { assert, layer } from "@effect/vitest"
import { DateTime, Effect, Result, Schema } from "effect"

import { Orders } from "../src/Orders.ts"
import {
  askedUnder,
  cancel,
  confirm,
  contradictionsIn,
  create,
  eventsAbout,
  layer as desk,
  livesOf,
  newOrder,
  newProductId,
  told,
  transitionsOf
} from "./fixtures/Desk.ts"

const traceparent = (digit: string) => `00-${digit.repeat(32)}-${digit.repeat(16)}-01`

const linesAt = (unitPriceCents: number, quantity: number, count: number): CreateOrder["items"] => {
  const line = { productId: newProductId(), quantity, unitPriceCents }
  return [line, ...Array.from({ length: count - 1 }, () => line)]
}

layer(desk)("the life of an order", (it) => {
  it.effect("is kept step by step: from what to what, when, and why", () =>
    Effect.gen(function* () {
      const order = newOrder()
      const created = yield* one(create(order))
      const confirmed = yield* one(confirm(order))
      const cancelled = yield* one(cancel({ ...order, reason: "the card was stolen" }))

      const found = yield* one((yield* Orders).find([order.orderId]))
      assert.containSubset(found, {
        id: order.orderId,
        userId: order.userId,
        email: order.email,
        status: "CANCELLED",
        items: order.items.map((item) => ({ ...item, lineTotalCents: item.quantity * item.unitPriceCents })),
        totalCents: 50,
        version: 3,
        createdAt: created.createdAt,
        updatedAt: cancelled.cancelledAt
      })
      assert.deepStrictEqual(
        found.history.map(({ cause, previousStatus, status, version }) => [version, previousStatus, status, cause]),
        [
          [1, null, "CREATED", "create-order"],
          [2, "CREATED", "CONFIRMED", "confirm-order"],
          [3, "CONFIRMED", "CANCELLED", "the card was stolen"]
        ]
      )
      assert.deepStrictEqual(
        found.history.slice(1).map(({ at }) => at),
        [confirmed.confirmedAt, cancelled.cancelledAt]
      )
      assert.isBelow(Math.abs(Date.now() - DateTime.toEpochMillis(created.createdAt)), 60_000)
      assert.deepStrictEqual(yield* contradictionsIn(order), [])
    })
  )

  it.effect("is told step by step, without the e-mail address, each step under the trace that caused it", () =>
    Effect.gen(function* () {
      const { email: _email, ...order } = newOrder()
      const { orderId } = order
      yield* askedUnder(traceparent("a")).create({ ...order, email: "secret@example.com" })
      yield* askedUnder(traceparent("b")).confirm(order)
      yield* askedUnder(traceparent("c")).cancel({ orderId, reason: "the card was stolen" })
      const reason = "the card was stolen"
      assert.deepStrictEqual(
        yield* eventsAbout(order),
        [
          { type: "order.created", version: 1, data: { ...order, totalCents: 50 }, traceparent: traceparent("a") },
          { type: "order.confirmed", version: 2, data: { orderId }, traceparent: traceparent("b") },
          {
            type: "order.cancelled",
            version: 3,
            data: { orderId, previousStatus: "CONFIRMED", reason },
            traceparent: traceparent("c")
          }
        ].map((event) => ({ ...event, subject: orderId }))
      )
    })
  )

  it.effect("is told without a trace where there was none", () =>
    Effect.gen(function* () {
      const order = newOrder()
      yield* create(order)
      yield* cancel(order)
      assert.deepStrictEqual(
        (yield* eventsAbout(order)).map(({ data, traceparent }) => [data, traceparent]),
        [
          [{ orderId: order.orderId, userId: order.userId, items: order.items, totalCents: 50 }, null],
          [{ orderId: order.orderId, previousStatus: "CREATED", reason: "changed their mind" }, null]
        ]
      )
    })
  )

  it.effect("goes on for each order of a set by itself, whatever becomes of the others", () =>
    Effect.gen(function* () {
      const [fresh, confirmed, cancelled, unknown] = [newOrder(), newOrder(), newOrder(), newOrder()]
      yield* create(fresh, confirmed, cancelled)
      yield* confirm(confirmed)
      yield* cancel(cancelled)
      const outcomes = yield* confirm(unknown, cancelled, confirmed, fresh)
      assert.deepStrictEqual(told(outcomes), ["UnknownOrder", "AlreadyCancelled", "ok", "ok"])
      assert.deepStrictEqual(told(yield* create(unknown, cancelled, confirmed, newOrder())), [
        "ok",
        "AlreadyCancelled",
        "ok",
        "ok"
      ])
      yield* cancel(fresh, confirmed)
      assert.deepStrictEqual(yield* livesOf(fresh, confirmed, cancelled, unknown), [
        "CREATED CONFIRMED CANCELLED",
        "CREATED CONFIRMED CANCELLED",
        "CREATED CANCELLED",
        "CREATED"
      ])
      const previous = (yield* eventsAbout(fresh, confirmed, cancelled)).map(({ data, type }) => ({ data, type }))
      assert.containSubset(
        previous.filter(({ type }) => type === "order.cancelled"),
        [
          { data: { orderId: cancelled.orderId, previousStatus: "CREATED" } },
          { data: { orderId: fresh.orderId, previousStatus: "CONFIRMED" } },
          { data: { orderId: confirmed.orderId, previousStatus: "CONFIRMED" } }
        ]
      )
      assert.deepStrictEqual(yield* contradictionsIn(fresh, confirmed, cancelled, unknown), [])
    })
  )

  it.effect("that was cancelled before it began never begins: the step is kept, and nobody hears of it", () =>
    Effect.gen(function* () {
      const order = newOrder()
      const cancelled = yield* cancel({ ...order, reason: "too late" })
      assert.deepStrictEqual(told(cancelled), ["ok"])
      assert.deepStrictEqual(told(yield* create(order, order)), ["AlreadyCancelled", "AlreadyCancelled"])
      assert.deepStrictEqual(told(yield* confirm(order)), ["AlreadyCancelled"])
      assert.deepStrictEqual(yield* cancel(order), cancelled)
      assert.containSubset(yield* transitionsOf(order), [
        { version: 1, previousStatus: null, status: "CANCELLED", cause: "too late" }
      ])
      assert.deepStrictEqual(yield* livesOf(order), ["CANCELLED"])
      assert.deepStrictEqual(yield* eventsAbout(order), [])
      assert.deepStrictEqual(yield* contradictionsIn(order), [])
    })
  )

  it.effect("that nobody began is not confirmed, nor later, when it was created, nor when it is cancelled", () =>
    Effect.gen(function* () {
      const order = newOrder()
      const refused = yield* confirm(order)
      assert.deepStrictEqual(told(refused), ["UnknownOrder"])
      assert.deepStrictEqual(yield* livesOf(order), [""])
      assert.deepStrictEqual(told(yield* (yield* Orders).find([order.orderId])), ["OrderNotFound"])

      assert.deepStrictEqual(told(yield* create(order)), ["ok"])
      assert.deepStrictEqual(yield* confirm(order, order), [...refused, ...refused])
      assert.deepStrictEqual(yield* livesOf(order), ["CREATED"])

      assert.deepStrictEqual(told(yield* cancel(order)), ["ok"])
      assert.deepStrictEqual(yield* confirm(order), refused)
      assert.deepStrictEqual(yield* livesOf(order), ["CREATED CANCELLED"])
      assert.deepStrictEqual(
        (yield* eventsAbout(order)).map(({ type, version }) => [type, version]),
        [
          ["order.created", 1],
          ["order.cancelled", 2]
        ]
      )
      assert.deepStrictEqual(yield* contradictionsIn(order), [])
    })
  )

  it.effect("that nobody began can be cancelled after its confirmation was refused, and is not created then", () =>
    Effect.gen(function* () {
      const order = newOrder()
      const refused = yield* confirm(order)
      assert.deepStrictEqual(told(yield* cancel(order)), ["ok"])
      assert.deepStrictEqual(told(yield* create(order)), ["AlreadyCancelled"])
      assert.deepStrictEqual(yield* confirm(order), refused)
      assert.deepStrictEqual(yield* livesOf(order), ["CANCELLED"])
      assert.deepStrictEqual(yield* eventsAbout(order), [])
    })
  )

  it.effect("has one beginning: whoever creates it again has the first answer, also after its confirmation", () =>
    Effect.gen(function* () {
      const order = newOrder()
      const first = yield* create(order)
      yield* confirm(order)
      assert.deepStrictEqual(yield* create(order), first)
      assert.deepStrictEqual(told(yield* create({ ...order, email: "eve@example.com" }, order)), ["KeyConflict", "ok"])
      assert.deepStrictEqual(yield* livesOf(order), ["CREATED CONFIRMED"])
      assert.strictEqual((yield* eventsAbout(order)).length, 2)
      assert.containSubset(yield* one((yield* Orders).find([order.orderId])), { email: order.email })
    })
  )

  it.effect("has one end: a second cancel has the same answer, and the first reason is kept", () =>
    Effect.gen(function* () {
      const order = newOrder()
      yield* create(order)
      const first = yield* cancel({ ...order, reason: "the first" })
      assert.deepStrictEqual(yield* cancel({ ...order, reason: "the second" }), first)
      const again = yield* cancel({ ...order, reason: "the third" }, { ...order, reason: "the fourth" })
      assert.deepStrictEqual(again, [...first, ...first])
      assert.deepStrictEqual(
        (yield* transitionsOf(order)).map(({ cause }) => cause),
        ["create-order", "the first"]
      )
      assert.containSubset((yield* eventsAbout(order)).at(-1), { data: { reason: "the first" } })
    })
  )

  it.effect("that is over stays over: every later confirm is refused alike", () =>
    Effect.gen(function* () {
      const order = newOrder()
      yield* create(order)
      yield* confirm(order)
      yield* cancel(order)
      const refused = yield* confirm(order)
      assert.deepStrictEqual(told(refused), ["AlreadyCancelled"])
      assert.containSubset(refused, [{ failure: { orderId: order.orderId } }])
      assert.deepStrictEqual(yield* confirm(order), refused)
      assert.deepStrictEqual(yield* confirm(order, order), [...refused, ...refused])
      assert.deepStrictEqual(told(yield* create(order)), ["AlreadyCancelled"])
      assert.deepStrictEqual(yield* livesOf(order), ["CREATED CONFIRMED CANCELLED"])
    })
  )
})

layer(desk)("the total of an order", (it) => {
  it.effect("is exact where it is more than an integer column holds, in the answer, the record and the event", () =>
    Effect.gen(function* () {
      const order = newOrder({ items: linesAt(2_000_000_000, 100, 50) })
      assert.containSubset(yield* one(create(order)), { totalCents: 10_000_000_000_000 })
      const found = yield* one((yield* Orders).find([order.orderId]))
      assert.strictEqual(found.totalCents, 10_000_000_000_000)
      assert.strictEqual(found.items.length, 50)
      assert.deepStrictEqual(
        new Set(found.items.map(({ lineTotalCents }) => lineTotalCents)),
        new Set([200_000_000_000])
      )
      assert.containSubset(yield* eventsAbout(order), [{ data: { totalCents: 10_000_000_000_000 } }])
      const page = yield* (yield* Orders).page({ userId: order.userId, before: undefined, limit: 1 })
      assert.containSubset(page, { orders: [{ totalCents: 10_000_000_000_000 }] })
    })
  )

  it.effect("is exact up to the last whole number that is, and refused beyond", () =>
    Effect.gen(function* () {
      const decode = Schema.decodeUnknownResult(CreateOrder)
      // 6,361 x 69,431 x 20,394,401 is 2^53 - 1, the largest that is exact.
      const largest = newOrder({ items: linesAt(20_394_401, 6361 * 69_431, 1) })
      assert.isTrue(Result.isSuccess(decode(largest)))
      assert.containSubset(yield* one(create(largest)), { totalCents: Number.MAX_SAFE_INTEGER })
      const found = yield* one((yield* Orders).find([largest.orderId]))
      assert.strictEqual(found.totalCents, Number.MAX_SAFE_INTEGER)

      const [line] = largest.items
      const beyond = { ...largest, items: [line, { ...line, quantity: 1, unitPriceCents: 1 }] }
      assert.isTrue(Result.isFailure(decode(beyond)))
    })
  )
})
