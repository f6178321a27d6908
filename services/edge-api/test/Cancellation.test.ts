import type { LedgerStatus } from "@ecommerce/contracts/Edge/Ledger"
import { OrderId } from "@ecommerce/contracts/Ids"
import { Long, rowsOf } from "@ecommerce/sets/Sets"
import { until } from "@ecommerce/testing/ServiceProcess"
import { TestDatabase } from "@ecommerce/testing/TestDatabase"
import * as Witness from "@ecommerce/testing/Witness"
import { assert, layer } from "@effect/vitest"
import { Effect, Fiber, Schema } from "effect"
import { HttpClientRequest } from "effect/http"

import { idOf, layer as counter, newProduct, place, replica, say } from "./fixtures/Counter.ts"
import { authorizedOrder, authorizedOrders, goingWell, historyOf, sagaOf, tell, untilUsed } from "./fixtures/Sagas.ts"
import { knownOrders, move, newOrder, nextOrder } from "./fixtures/Streams.ts"

const cancel = (orderId: string, headers: Readonly<Record<string, string>> = {}) =>
  say(HttpClientRequest.setHeaders(HttpClientRequest.post(`/orders/${orderId}/cancel`), headers))

const eventRows = rowsOf(Schema.Struct({ type: Schema.String, subject: Schema.String, version: Long }))

/** What edge has told of an order, as readers of its feed get it. */
const toldOf = Effect.fn("toldOf")(function* (orderId: string) {
  const { administrator: sql } = yield* TestDatabase
  return yield* eventRows(sql`
    SELECT type, subject, version FROM edge_api.outbox WHERE data ->> 'orderId' = ${orderId}
    ORDER BY generation, xid, seq`)
})

const wishesOf = (orderId: string) =>
  Effect.map(toldOf(orderId), (events) => events.filter(({ type }) => type === "order.cancel_requested").length)

const requestRows = rowsOf(Schema.Struct({ orderId: OrderId }))
const remembered = Effect.fn("remembered")(function* (orderId: string) {
  const { administrator: sql } = yield* TestDatabase
  return (yield* requestRows(sql`SELECT order_id FROM edge_api.cancellations WHERE order_id = ${orderId}::uuid`)).length
})

/** Ways to each state, from an authorization. */
const cancellable: ReadonlyArray<{ readonly states: ReadonlyArray<LedgerStatus> }> = [
  { states: [] },
  { states: ["ORDER_CREATED"] },
  { states: ["INVENTORY_RESERVED"] },
  { states: ["PAYMENT_CAPTURED"] },
  { states: ["COMPLETED"] },
  { states: ["COMPENSATING"] }
]

const ended: ReadonlyArray<{ readonly states: ReadonlyArray<LedgerStatus>; readonly message: string }> = [
  { states: ["COMPENSATING", "FAILED"], message: "The order has failed, there is nothing to cancel" },
  { states: ["COMPENSATING", "CANCELLED"], message: "The order is cancelled" },
  { states: ["COMPLETED", "CANCELLED"], message: "The order is cancelled" }
]

layer(counter(), { excludeTestServices: true })("cancelling an order", (it) => {
  it.effect.each(cancellable)(
    "that is at $states is taken, remembered, and told once, however often it is asked",
    ({ states }) =>
      Effect.gen(function* () {
        const id = yield* authorizedOrder
        yield* move(id, ...states)
        const first = yield* cancel(id)
        assert.strictEqual(first.status, 202, first.text)
        assert.deepStrictEqual(first.body, {
          order_ledger_id: id,
          status: states.at(-1) ?? "AUTHORIZED",
          message: "Cancellation received, processing"
        })
        assert.deepStrictEqual(
          [(yield* cancel(id)).text, (yield* cancel(id.toUpperCase())).text],
          [first.text, first.text]
        )
        assert.deepStrictEqual(
          (yield* toldOf(id)).map(({ subject, type, version }) => [type, subject, version]),
          [["order.cancel_requested", id, 3 + states.length]]
        )
        assert.strictEqual(yield* remembered(id), 1)
        // What becomes of the order is its saga's to say.
        assert.lengthOf(yield* historyOf(id), 2 + states.length)
      })
  )

  it.effect.each(ended)(
    "that is at $states changes nothing, tells nobody, and says where it is",
    ({ message, states }) =>
      Effect.gen(function* () {
        const id = yield* authorizedOrder
        yield* move(id, ...states)
        const witness = yield* Witness.make("edge-api")
        const before = yield* witness.mentions(id)
        const first = yield* cancel(id)
        assert.strictEqual(first.status, 202)
        assert.deepStrictEqual(first.body, { order_ledger_id: id, status: states.at(-1), message })
        assert.strictEqual((yield* cancel(id)).text, first.text)
        assert.deepStrictEqual(yield* witness.mentions(id), before)
      })
  )

  it.effect("whose payment was declined changes nothing", () =>
    Effect.gen(function* () {
      const id = yield* newOrder("tok_decline_stolen")
      const said = yield* cancel(id)
      assert.strictEqual(said.status, 202)
      assert.containSubset(said.body, {
        status: "AUTHORIZATION_FAILED",
        message: "The order has failed, there is nothing to cancel"
      })
      assert.deepStrictEqual([yield* wishesOf(id), yield* remembered(id)], [0, 0])
    })
  )

  it.effect("whose payment is being authorized is refused, and taken when it is authorized", () =>
    Effect.gen(function* () {
      const before = yield* knownOrders
      const items = [{ product_id: yield* newProduct(), quantity: 1 }]
      const placing = yield* Effect.forkChild(place("slow", { items, token: "tok_slow_1500" }))
      const id = yield* nextOrder(before, "AWAITING_AUTHORIZATION")
      const refused = yield* cancel(id)
      assert.strictEqual(refused.status, 409)
      assert.strictEqual(refused.headers["content-type"], "application/problem+json")
      assert.match(refused.headers["retry-after"] ?? "", /^[1-9][0-9]*$/u)
      assert.containSubset(refused.body, { error: "order_not_authorized_yet", status: 409, order_ledger_id: id })
      assert.strictEqual(yield* wishesOf(id), 0)
      assert.strictEqual(idOf(yield* Fiber.join(placing)), id)
      assert.strictEqual((yield* cancel(id)).status, 202)
      // Whoever reads the feed has heard of the order when it hears that it is cancelled.
      assert.deepStrictEqual(
        (yield* toldOf(id)).map(({ type }) => type),
        ["order.authorized", "order.cancel_requested"]
      )
    })
  )

  it.effect("is told after the order, also to those who ask while it is being authorized", () =>
    Effect.gen(function* () {
      const items = [{ product_id: yield* newProduct(), quantity: 1 }]
      const asking = (number: number) =>
        Effect.gen(function* () {
          const before = yield* knownOrders
          const placing = yield* Effect.forkChild(place(`races-${number}`, { items, token: "tok_slow_300" }))
          const id = yield* nextOrder(before, "AWAITING_AUTHORIZATION")
          yield* until(Effect.map(cancel(id), ({ status }) => status === 202))
          yield* Fiber.join(placing)
          return (yield* toldOf(id)).map(({ type }) => type)
        })
      const told = yield* Effect.forEach([1, 2, 3, 4, 5], asking)
      assert.deepStrictEqual(new Set(told.map(String)), new Set(["order.authorized,order.cancel_requested"]))
    })
  )

  it.effect("is told once when twenty ask at the same moment, at two edges", () =>
    Effect.gen(function* () {
      const there = yield* replica({ RATE_LIMIT: "1000000" })
      const id = yield* authorizedOrder
      const asked = Effect.all([cancel(id), there(cancel(id))], { concurrency: "unbounded" })
      const answers = (yield* Effect.all(
        Array.from({ length: 10 }, () => asked),
        { concurrency: "unbounded" }
      )).flat()
      assert.deepStrictEqual(new Set(answers.map(({ status, text }) => `${status} ${text}`)).size, 1)
      assert.strictEqual(answers[0]?.status, 202)
      assert.deepStrictEqual([yield* wishesOf(id), yield* remembered(id)], [1, 1])
    })
  )

  it.effect("of a hundred orders at once is told of each of them", () =>
    Effect.gen(function* () {
      const ids = yield* authorizedOrders(100)
      const answers = yield* Effect.forEach(ids, (id) => cancel(id), { concurrency: "unbounded" })
      assert.deepStrictEqual(
        answers.map((answer) => [answer.status, idOf(answer)]),
        ids.map((id) => [202, id])
      )
      assert.deepStrictEqual(new Set(yield* Effect.forEach(ids, wishesOf)), new Set([1]))
    })
  )

  it.effect("that comes to its end at the same moment is told, or has found that end", () =>
    Effect.gen(function* () {
      const ids = yield* authorizedOrders(30)
      const ending = tell(...ids.map((id) => sagaOf(id).failed(2)))
      const asking = Effect.forEach(ids, (id) => cancel(id), { concurrency: "unbounded" })
      const [answers] = yield* Effect.all([asking, ending], { concurrency: "unbounded" })
      yield* untilUsed
      const told = yield* Effect.forEach(ids, wishesOf)
      assert.deepStrictEqual(
        told,
        answers.map(({ body }) => (body["status"] === "FAILED" ? 0 : 1))
      )
      assert.deepStrictEqual(new Set((yield* historyOf(...ids)).map(({ version }) => version)), new Set([1, 2, 3]))
    })
  )

  it.effect("leaves a wish and its event, or neither, when the database refuses one of them", () =>
    Effect.gen(function* () {
      const id = yield* authorizedOrder
      const { administrator: sql } = yield* TestDatabase
      yield* Effect.scoped(
        Effect.gen(function* () {
          const witness = yield* Witness.make("edge-api")
          yield* witness.poison("order.cancel_requested")
          assert.strictEqual((yield* cancel(id)).status, 500)
          assert.deepStrictEqual([yield* wishesOf(id), yield* remembered(id)], [0, 0])
        })
      )
      assert.strictEqual((yield* cancel(id)).status, 202)
      assert.deepStrictEqual([yield* wishesOf(id), yield* remembered(id)], [1, 1])
      assert.lengthOf(yield* sql`SELECT FROM edge_api.cancellations WHERE requested_at > now()`, 0)
    })
  )

  it.effect("goes with what its saga makes of it, to the end", () =>
    Effect.gen(function* () {
      const id = yield* authorizedOrder
      yield* tell(...goingWell(id))
      yield* untilUsed
      assert.containSubset((yield* cancel(id)).body, { status: "COMPLETED" })
      const saga = sagaOf(id, "cancel-order")
      yield* tell(saga.started())
      yield* untilUsed
      assert.containSubset((yield* cancel(id)).body, { status: "COMPENSATING" })
      yield* tell(saga.completed(4))
      yield* untilUsed
      assert.containSubset((yield* cancel(id)).body, { status: "CANCELLED", message: "The order is cancelled" })
      assert.strictEqual(yield* wishesOf(id), 1)
    })
  )
})

layer(counter({ RATE_LIMIT: "2" }), { excludeTestServices: true })("a client that cancels again and again", (it) => {
  it.effect("is told to come back later", () =>
    Effect.gen(function* () {
      const id = yield* authorizedOrder
      const statuses = yield* Effect.forEach([1, 2, 3], () => Effect.map(cancel(id), ({ status }) => status))
      assert.deepStrictEqual(statuses, [202, 202, 429])
    })
  )
})
