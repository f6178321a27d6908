import { assert, layer } from "@effect/vitest"
import { Duration, Effect, Fiber, Stream } from "effect"
import { HttpClientRequest } from "effect/http"

import { type Said, idOf, layer as counter, newProduct, place, say } from "./fixtures/Counter.ts"
import { eventsIn, eventually, knownOrders, listen, move, newOrder, nextOrder, open } from "./fixtures/Streams.ts"

const wish = Effect.map(newProduct(), (product_id) => ({ items: [{ product_id, quantity: 1 }] }))

const read = (orderId: string) => Effect.map(say(HttpClientRequest.get(`/orders/${orderId}`)), ({ text }) => text)

const applied = ({ headers }: Said) => headers["preference-applied"]

layer(counter({ HEARTBEAT_EVERY: "1 second" }), { excludeTestServices: true })(
  "a client that prefers to wait",
  (it) => {
    it.effect("has the whole order, as it can be read, when that comes to its end meanwhile", () =>
      Effect.gen(function* () {
        for (const ends of [["COMPLETED"], ["COMPENSATING", "FAILED"], ["CANCELLED"]] as const) {
          const before = yield* knownOrders
          const key = `ends-${ends.at(-1)}`
          const waiting = yield* Effect.forkChild(place(key, yield* wish, { prefer: "wait=30" }))
          const id = yield* nextOrder(before, "AUTHORIZED")
          yield* move(id, "ORDER_CREATED", "PAYMENT_CAPTURED", ...ends)
          const [taken, said] = yield* Effect.timed(Fiber.join(waiting))
          assert.isBelow(Duration.toMillis(taken), 25_000)
          assert.strictEqual(said.status, 200, said.text)
          assert.strictEqual(applied(said), "wait=30")
          assert.strictEqual(said.headers["content-type"], "application/json")
          assert.strictEqual(said.text, yield* read(id))
          assert.strictEqual(said.body["status"], ends.at(-1))
        }
      })
    )

    it.effect("has the first answer when the time is over, and not before", () =>
      Effect.gen(function* () {
        const wanted = yield* wish
        const [taken, said] = yield* Effect.timed(place("patience", wanted, { prefer: "wait=1" }))
        assert.isAtLeast(Duration.toMillis(taken), 990)
        assert.isBelow(Duration.toMillis(taken), 25_000)
        const id = idOf(said)
        assert.deepStrictEqual(
          [said.status, applied(said), said.headers["location"], said.body["status"]],
          [202, "wait=1", `/orders/${id}`, "AUTHORIZED"]
        )
        const again = yield* place("patience", wanted, { prefer: "wait=0" })
        assert.deepStrictEqual([again.status, applied(again), again.text], [202, "wait=0", said.text])
        assert.strictEqual(again.headers["idempotent-replayed"], "true")
      })
    )

    it.effect("waits no longer than thirty seconds, however long it would", () =>
      Effect.gen(function* () {
        const wanted = yield* wish
        const id = idOf(yield* place("capped", wanted))
        yield* move(id, "COMPLETED")
        const wait = (prefer: string) => Effect.map(place("capped", wanted, { prefer }), applied)
        assert.strictEqual(yield* wait("wait=30"), "wait=30")
        assert.strictEqual(yield* wait("wait=31"), "wait=30")
        assert.strictEqual(yield* wait("wait=999999999"), "wait=30")
      })
    )

    it.effect.each([
      ["wait=7", "wait=7"],
      ["WAIT=7", "wait=7"],
      ["wait = 7", "wait=7"],
      ['wait="7"', "wait=7"],
      ["respond-async, wait=7", "wait=7"],
      ["wait=7, respond-async", "wait=7"],
      ["", undefined],
      ["wait", undefined],
      ["wait=", undefined],
      ["wait=soon", undefined],
      ["wait=-1", undefined],
      ["wait=1.5", undefined],
      ["wait=7s", undefined],
      ["wait=0x10", undefined],
      ["await=7", undefined],
      ["respond-async", undefined],
      [";;;,,,===", undefined]
    ] as const)("that says it as `%s` is told %s", ([prefer, told]) =>
      Effect.gen(function* () {
        const wanted = yield* wish
        const key = `says-${prefer.replaceAll(/[^!-~]/gu, "_")}`
        const first = yield* place(key, wanted)
        yield* move(idOf(first), "CANCELLED")
        const said = yield* place(key, wanted, { prefer })
        assert.strictEqual(applied(said), told)
        assert.deepStrictEqual(
          [said.status, said.text],
          told === undefined ? [202, first.text] : [200, yield* read(idOf(first))]
        )
      })
    )

    it.effect("asks for the same as one that does not, and has left nothing of it in the stored answer", () =>
      Effect.gen(function* () {
        const wanted = yield* wish
        const before = yield* knownOrders
        const waiting = yield* Effect.forkChild(place("identity", wanted, { prefer: "wait=30" }))
        const id = yield* nextOrder(before, "AUTHORIZED")
        const plain = yield* place("identity", wanted)
        yield* move(id, "COMPLETED")
        assert.strictEqual((yield* Fiber.join(waiting)).status, 200)
        const late = yield* place("identity", wanted)
        for (const said of [plain, late]) {
          assert.strictEqual(said.status, 202)
          assert.strictEqual(said.headers["idempotent-replayed"], "true")
          assert.isUndefined(applied(said))
          const message = "Order received, processing"
          assert.strictEqual(said.text, JSON.stringify({ order_ledger_id: id, status: "AUTHORIZED", message }))
        }
        assert.deepStrictEqual(
          [...(yield* knownOrders)].filter((known) => !before.has(known)),
          [id]
        )
      })
    )

    it.effect("hears at once that the payment was declined: that is the order's end", () =>
      Effect.gen(function* () {
        const wanted = { ...(yield* wish), token: "tok_decline_expired" }
        const [taken, said] = yield* Effect.timed(place("declined", wanted, { prefer: "wait=30" }))
        assert.isBelow(Duration.toMillis(taken), 25_000)
        assert.strictEqual(said.status, 402)
        assert.containSubset(said.body, { error: "payment_declined", decline_code: "card_expired" })
        assert.strictEqual((yield* place("declined", wanted)).text, said.text)
      })
    )
  }
)

layer(counter({ FOLLOWERS_AT_ONCE: "1" }), { excludeTestServices: true })("where no more may follow", (it) => {
  it.effect("is answered without waiting, and is not told that it was waited for", () =>
    Effect.gen(function* () {
      const { hears } = yield* listen(yield* newOrder())
      yield* hears(2)
      const [taken, said] = yield* Effect.timed(place("crowded", yield* wish, { prefer: "wait=30" }))
      assert.isBelow(Duration.toMillis(taken), 25_000)
      assert.strictEqual(said.status, 202)
      assert.isUndefined(applied(said))
    })
  )

  it.effect("takes no place any more when its client has gone, or its time is over", () =>
    Effect.gen(function* () {
      const wanted = yield* wish
      const isHeld = (said: Said) => applied(said) !== undefined
      const said = yield* eventually(place("leaves", wanted, { prefer: "wait=1" }), isHeld)
      const waiting = yield* Effect.forkChild(place("leaves", wanted, { prefer: "wait=30" }))
      yield* Effect.sleep("500 millis")
      yield* Fiber.interrupt(waiting)
      const response = yield* eventually(open(idOf(said)), ({ status }) => status === 200)
      yield* Stream.runDrain(Stream.take(eventsIn(response), 1))
    })
  )
})
