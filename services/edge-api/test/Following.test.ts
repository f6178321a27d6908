import { connect } from "node:net"

import { TestDatabase } from "@ecommerce/testing/TestDatabase"
import { assert, describe, it as alone, layer } from "@effect/vitest"
import { Duration, Effect, Exit, Fiber, Layer, Scope, Stream } from "effect"
import { HttpClientRequest, HttpServer } from "effect/http"

import { get, layer as counter, newProduct, place, say } from "./fixtures/Counter.ts"
import {
  eventsIn,
  eventually,
  knownOrders,
  listen,
  move,
  newOrder,
  nextOrder,
  open,
  states
} from "./fixtures/Streams.ts"

const statusOf = ({ data }: { readonly data: unknown }) =>
  typeof data === "object" && data !== null && "status" in data ? data.status : undefined

/** A client that asks for the stream, reads how it begins, and then nothing more. */
const deafReader = Effect.fn("deafReader")(function* (orderId: string) {
  const { address } = yield* HttpServer.HttpServer
  const port = "port" in address ? address.port : 0
  return yield* Effect.acquireRelease(
    Effect.callback<ReturnType<typeof connect>>((resume) => {
      const socket = connect({ port, host: "127.0.0.1" }, () =>
        socket.write(`GET /orders/${orderId}/events HTTP/1.1\r\nhost: service\r\n\r\n`)
      )
      socket.on("error", () => {})
      // Cut off before it has heard anything: it is as deaf as one can be.
      socket.once("close", () => resume(Effect.succeed(socket)))
      socket.once("data", () => {
        socket.pause()
        resume(Effect.succeed(socket))
      })
    }),
    (socket) => Effect.sync(() => socket.destroy())
  )
})

layer(counter({ HEARTBEAT_EVERY: "100 millis" }), { excludeTestServices: true })("following an order", (it) => {
  it.effect("tells the states that were, then those that come, and ends with the last", () =>
    Effect.gen(function* () {
      const id = yield* newOrder()
      const { heard, hears, listening } = yield* listen(id)
      yield* hears(2)
      yield* move(id, "ORDER_CREATED")
      yield* hears(3)
      yield* move(id, "COMPENSATING", "FAILED")
      yield* Fiber.join(listening)
      const { body } = yield* say(HttpClientRequest.get(`/orders/${id}`))
      const told = heard.filter(({ event }) => event === "state")
      assert.deepStrictEqual(
        told.map(({ data }) => data),
        body["states"]
      )
      assert.deepStrictEqual(
        told.map((one) => [one.id, statusOf(one)]),
        [
          ["1", "AWAITING_AUTHORIZATION"],
          ["2", "AUTHORIZED"],
          ["3", "ORDER_CREATED"],
          ["4", "COMPENSATING"],
          ["5", "FAILED"]
        ]
      )
      assert.containSubset(told.at(-1)?.data, { reason: { code: "out_of_stock", detail: null } })
    })
  )

  it.effect("is an event stream, with a line each for id, event and data", () =>
    Effect.gen(function* () {
      const response = yield* open(yield* newOrder("tok_decline_expired"))
      assert.strictEqual(response.status, 200)
      assert.match(response.headers["content-type"] ?? "", /^text\/event-stream/u)
      const text = yield* response.text
      assert.match(text, /^(?:(?:id: [12]\n|event: state\n|data: \{.*\}\n){3}\n){2}$/u)
      assert.notMatch(text, /example\.com|tok_/u)
    })
  )

  it.effect("goes on behind the last event that was seen", () =>
    Effect.gen(function* () {
      const id = yield* newOrder()
      const first = yield* listen(id, { "last-event-id": "1" })
      const second = yield* listen(id, { "last-event-id": "2" })
      yield* first.hears(1)
      yield* move(id, "INVENTORY_RESERVED", "CANCELLED")
      yield* Effect.all([Fiber.join(first.listening), Fiber.join(second.listening)])
      const ids = (heard: typeof first.heard) =>
        heard.flatMap(({ event, id: version }) => (event === "state" ? [version] : []))
      assert.deepStrictEqual(ids(first.heard), ["2", "3", "4"])
      assert.deepStrictEqual(ids(second.heard), ["3", "4"])
      assert.deepStrictEqual(
        (yield* states(id, { "last-event-id": "3" })).map((one) => one.id),
        ["4"]
      )
    })
  )

  it.effect("ends also for a client that has seen an event which the order never had", () =>
    Effect.gen(function* () {
      const id = yield* newOrder()
      const { heard, listening } = yield* listen(id, { "last-event-id": "99" })
      const beats = Effect.sync(() => heard.length)
      yield* eventually(beats, (count) => count > 0)
      yield* move(id, "CANCELLED")
      yield* Effect.timeout(Fiber.join(listening), "60 seconds")
    })
  )

  it.effect("tells whoever follows while the payment is asked how that went", () =>
    Effect.gen(function* () {
      const before = yield* knownOrders
      const items = [{ product_id: yield* newProduct(), quantity: 1 }]
      const placing = yield* Effect.forkChild(place("slow", { items, token: "tok_slow_1500" }))
      const id = yield* nextOrder(before, "AWAITING_AUTHORIZATION")
      const { heard, hears } = yield* listen(id)
      yield* hears(2)
      assert.deepStrictEqual(heard.map(statusOf).filter(Boolean), ["AWAITING_AUTHORIZATION", "AUTHORIZED"])
      assert.strictEqual((yield* Fiber.join(placing)).status, 202)
    })
  )

  it.effect("shows between states that it lives, without an id, so that nobody goes on from there", () =>
    Effect.gen(function* () {
      const id = yield* newOrder()
      const reading = yield* Effect.forkChild(Effect.flatMap(open(id), (response) => response.text))
      // Another one hears as many: this one has begun before, and is given its text as a whole.
      const { heard } = yield* listen(id)
      yield* eventually(
        Effect.sync(() => heard.filter(({ event }) => event === "heartbeat").length),
        (beats) => beats >= 5
      )
      yield* move(id, "CANCELLED")
      const told = (yield* Fiber.join(reading)).split("\n\n").filter((event) => event !== "")
      const beats = told.filter((event) => event.includes("event: heartbeat"))
      assert.isAtLeast(beats.length, 3)
      assert.isEmpty(beats.filter((beat) => !/^event: heartbeat\ndata: \{"at":"[0-9-]{10}T[0-9:.]+Z"\}$/u.test(beat)))
      assert.deepStrictEqual(told.slice(2, -1), beats)
    })
  )

  it.effect("ends some seconds after an order is completed, and not at once, for it may still be cancelled", () =>
    Effect.gen(function* () {
      const id = yield* newOrder()
      yield* move(id, "PAYMENT_CAPTURED", "COMPLETED")
      const [taken, told] = yield* Effect.timed(states(id))
      assert.strictEqual(told.length, 4)
      assert.isAtLeast(Duration.toMillis(taken), 2000)
      assert.isBelow(Duration.toMillis(taken), 30_000)

      const cancelled = yield* newOrder()
      yield* move(cancelled, "COMPLETED")
      const { heard, hears, listening } = yield* listen(cancelled)
      yield* hears(3)
      yield* move(cancelled, "COMPENSATING", "CANCELLED")
      yield* Fiber.join(listening)
      assert.deepStrictEqual(heard.map(statusOf).filter(Boolean).slice(2), ["COMPLETED", "COMPENSATING", "CANCELLED"])
    })
  )

  it.effect("tells all of a hundred followers of one order the same", () =>
    Effect.gen(function* () {
      const id = yield* newOrder()
      const followers = yield* Effect.forEach(Array.from({ length: 100 }), () => listen(id), { concurrency: 50 })
      yield* Effect.forEach(followers, ({ hears }) => hears(2), { concurrency: "unbounded" })
      yield* move(id, "ORDER_CREATED", "INVENTORY_RESERVED", "PAYMENT_CAPTURED", "CANCELLED")
      yield* Effect.forEach(followers, ({ listening }) => Fiber.join(listening), { concurrency: "unbounded" })
      const { states: told } = yield* get(id)
      const heard = followers.map((follower) => follower.heard.map(statusOf).filter(Boolean).join(" "))
      assert.deepStrictEqual(new Set(heard), new Set([told.map(({ status }) => status).join(" ")]))
    })
  )
})

layer(counter({ FOLLOWERS_AT_ONCE: "2", HEARTBEAT_EVERY: "50 millis" }), { excludeTestServices: true })(
  "where two may follow",
  (it) => {
    it.effect("refuses a third, and lets it in as soon as one of the two has gone", () =>
      Effect.gen(function* () {
        const id = yield* newOrder()
        const first = yield* listen(id)
        const second = yield* listen(id)
        yield* first.hears(2)
        yield* second.hears(2)
        const refused = yield* open(id)
        assert.strictEqual(refused.status, 503)
        assert.strictEqual(refused.headers["content-type"], "application/problem+json")
        assert.match(refused.headers["retry-after"] ?? "", /^[1-9][0-9]*$/u)
        assert.containSubset(yield* refused.json, { error: "too_many_watchers", status: 503 })

        yield* Fiber.interrupt(first.listening)
        const third = yield* eventually(open(id), ({ status }) => status === 200)
        yield* move(id, "CANCELLED")
        const told = yield* Stream.runCollect(eventsIn(third))
        assert.deepStrictEqual(told.map(statusOf).filter(Boolean), [
          "AWAITING_AUTHORIZATION",
          "AUTHORIZED",
          "CANCELLED"
        ])
        yield* Fiber.join(second.listening)
      })
    )

    it.effect("takes a place for no stream that was refused or has ended", () =>
      Effect.gen(function* () {
        const declined = yield* newOrder("tok_decline_expired")
        const told = yield* Effect.forEach([1, 2, 3, 4, 5], () => states(declined))
        assert.deepStrictEqual(
          told.map(({ length }) => length),
          [2, 2, 2, 2, 2]
        )
        for (const _ of [1, 2, 3]) assert.strictEqual((yield* open(crypto.randomUUID())).status, 404)
        assert.lengthOf(yield* states(declined), 2)
      })
    )

    it.effect("never has more than two, also where a hundred ask at the same moment", () =>
      Effect.gen(function* () {
        const id = yield* newOrder()
        const asked = yield* Effect.forEach(Array.from({ length: 100 }), () => open(id), { concurrency: "unbounded" })
        const tally = Map.groupBy(asked, ({ status }) => status)
        assert.deepStrictEqual([tally.get(200)?.length, tally.get(503)?.length], [2, 98])
        yield* move(id, "CANCELLED")
        yield* Effect.forEach(tally.get(200) ?? [], (response) => Stream.runDrain(eventsIn(response)))
      })
    )
  }
)

/** More than the kernel takes off our hands, which is what hours of heartbeats are otherwise. */
const giveLongHistory = Effect.fn("giveLongHistory")(function* (orderId: string) {
  const { administrator } = yield* TestDatabase
  yield* administrator`
    WITH moved AS (
      UPDATE edge_api.order_ledger SET status = 'COMPENSATING', version = version + 1 WHERE order_id = ${orderId}
    )
    INSERT INTO edge_api.order_states (order_id, version, previous_status, status, reason)
    SELECT ${orderId}::uuid, 3, 'AUTHORIZED', 'COMPENSATING', jsonb_build_object('code', 'long', 'detail', repeat('x', 16000000))`
})

const impatient = { FOLLOWERS_AT_ONCE: "1", HEARTBEAT_EVERY: "10 millis", IDLE_TIMEOUT: "5 seconds" }

layer(counter(impatient), { excludeTestServices: true })("a reader that takes nothing more", (it) => {
  it.effect("is cut off, and its place is free again; one that reads is not, however little there is to tell", () =>
    Effect.gen(function* () {
      const id = yield* newOrder()
      yield* giveLongHistory(id)
      const quiet = yield* newOrder()
      yield* deafReader(id)
      assert.strictEqual((yield* open(quiet)).status, 503)
      const later = yield* eventually(open(quiet), ({ status }) => status === 200)
      const reading = yield* Effect.forkChild(Stream.runCollect(eventsIn(later)))
      yield* Effect.sleep("7 seconds")
      yield* move(quiet, "CANCELLED")
      assert.strictEqual(statusOf((yield* Fiber.join(reading)).at(-1) ?? { data: null }), "CANCELLED")
    }).pipe(Effect.scoped)
  )
})

describe("an edge that is told to stop", () => {
  alone.live("ends streams and waits at once, with what there is to say", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const settings = { HEARTBEAT_EVERY: "1 minute", SHUTDOWN_TIMEOUT: "40 seconds" }
      const context = yield* Layer.buildWithScope(counter(settings), scope)
      yield* Effect.gen(function* () {
        const before = yield* knownOrders
        const items = [{ product_id: yield* newProduct(), quantity: 1 }]
        const waiting = yield* Effect.forkChild(place("waits", { items }, { prefer: "wait=30" }))
        const id = yield* nextOrder(before, "AUTHORIZED")
        const { hears, listening } = yield* listen(id)
        yield* hears(2)
        const stopping = yield* Effect.forkChild(Scope.close(scope, Exit.void))
        const both = Effect.all([Fiber.join(listening), Fiber.join(waiting)], { concurrency: "unbounded" })
        const [taken, [, answer]] = yield* Effect.timed(both)
        assert.isBelow(Duration.toMillis(taken), 30_000)
        assert.strictEqual(answer.status, 202)
        assert.containSubset(answer.body, { order_ledger_id: id, status: "AUTHORIZED" })
        const [stopped] = yield* Effect.timed(Fiber.join(stopping))
        assert.isBelow(Duration.toMillis(stopped), 30_000)
      }).pipe(Effect.provide(context))
    })
  )
})
