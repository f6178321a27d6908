import { Neighbours } from "@ecommerce/testing/Neighbours"
import { until } from "@ecommerce/testing/ServiceProcess"
import { TestDatabase } from "@ecommerce/testing/TestDatabase"
import { assert, layer } from "@effect/vitest"
import { Effect, Fiber, Schedule } from "effect"
import { HttpClient, HttpClientRequest } from "effect/http"

import { accountOf, accounts, idOf, layer as counter, newProduct, place, replica } from "./fixtures/Counter.ts"

const newKey = () => `key-${crypto.randomUUID()}`
/** Time enough where payment is to answer; those who are to be told that it cannot be reached wait for that. */
const settings = { AUTHORIZE_WITHIN: "5 seconds", GIVE_UP_AFTER: "1 hour", SWEEP_EVERY: "50 millis" }

layer(counter(settings), { excludeTestServices: true })("an order whose payment cannot be reached", (it) => {
  const wish = Effect.map(newProduct(1000), (product_id) => ({ items: [{ product_id, quantity: 3 }] }))
  const payment = Effect.map(Neighbours, ({ payment: { relay } }) => relay)
  const during = <A, E, R>(mode: "away" | "silent" | "stuck", work: Effect.Effect<A, E, R>) =>
    Effect.gen(function* () {
      const relay = yield* payment
      yield* relay.be(mode)
      return yield* Effect.ensuring(work, relay.be("open"))
    })

  for (const mode of ["away", "silent", "stuck"] as const) {
    it.effect(`is answered with 503, and goes on when its own key comes again (payment is ${mode})`, () =>
      Effect.gen(function* () {
        const key = newKey()
        const asked = yield* wish
        const refused = yield* during(mode, place(key, asked))
        assert.containSubset(refused, { status: 503, body: { error: "payment_unavailable" } })
        assert.strictEqual(refused.headers["retry-after"], "5")
        assert.containSubset(yield* accountOf(idOf(refused)), {
          status: "AWAITING_AUTHORIZATION",
          stage: "MARKED",
          told: []
        })

        const placed = yield* place(key, asked)
        assert.strictEqual(placed.status, 202)
        assert.isUndefined(placed.headers["idempotent-replayed"])
        assert.strictEqual(idOf(placed), idOf(refused))
        assert.containSubset(yield* accountOf(idOf(placed)), {
          status: "AUTHORIZED",
          told: ["order.authorized"],
          authorizations: 1,
          heldCents: 3000,
          hasToken: false
        })
        assert.strictEqual((yield* place(key, asked)).text, placed.text)
      })
    )
  }

  it.effect("is retried quickly first: a payment that is away for a moment is not noticed", () =>
    Effect.gen(function* () {
      const relay = yield* payment
      const asked = yield* wish
      yield* relay.be("away")
      const placing = yield* Effect.forkChild(place(newKey(), asked))
      const before = yield* relay.connections
      yield* until(Effect.map(relay.connections, (connections) => connections > before))
      yield* relay.be("open")
      assert.strictEqual((yield* Fiber.join(placing)).status, 202)
    })
  )

  it.effect(
    "has one answer for all who came with its key meanwhile, at any replica; and nobody of them begins again",
    () =>
      Effect.gen(function* () {
        const there = yield* replica(settings)
        const key = newKey()
        const asked = yield* wish
        const both = [place(key, asked), place(key, asked), there(place(key, asked)), there(place(key, asked))]
        const answers = yield* during("stuck", Effect.all(both, { concurrency: "unbounded" }))
        // Each of them was worked on in a trace of its own.
        const texts = answers.map(({ text }) => text.replace(/,"trace_id":"[0-9a-f]+"/u, ""))
        assert.strictEqual(new Set(texts).size, 1)
        assert.deepStrictEqual([...new Set(answers.map(({ status }) => status))], [503])
        // Each who began again would have raised the epoch.
        const { administrator: sql } = yield* TestDatabase
        assert.deepStrictEqual(yield* sql`SELECT epoch FROM edge_api.checkouts WHERE idempotency_key = ${key}`, [
          { epoch: 1 }
        ])
      })
  )

  it.effect("may be declined when its key comes again", () =>
    Effect.gen(function* () {
      const key = newKey()
      const asked = { ...(yield* wish), token: "tok_decline_insufficient" }
      assert.strictEqual((yield* during("away", place(key, asked))).status, 503)
      const declined = yield* place(key, asked)
      assert.containSubset(declined, { status: 402, body: { decline_code: "insufficient_funds" } })
      assert.strictEqual((yield* place(key, asked)).text, declined.text)
    })
  )

  it.effect("stays where it is while only other keys come: they are other orders", () =>
    Effect.gen(function* () {
      const asked = yield* wish
      const refused = yield* during("away", place(newKey(), asked))
      const other = yield* place(newKey(), asked)
      assert.notStrictEqual(idOf(other), idOf(refused))
      // Time enough for many sweeps.
      yield* Effect.sleep("500 millis")
      assert.containSubset(yield* accountOf(idOf(refused)), { stage: "MARKED", authorizations: 0, isAnswered: false })
    })
  )

  it.effect("is finished all the same when its client has hung up", () =>
    Effect.gen(function* () {
      const asked = { ...(yield* wish), token: "tok_slow_400" }
      const before = (yield* accounts).length
      const placing = yield* Effect.forkChild(place(newKey(), asked))
      yield* until(Effect.map(accounts, (all) => all.length > before))
      yield* Fiber.interrupt(placing)
      yield* until(Effect.map(accounts, (all) => all.at(-1)?.isAnswered === true))
      assert.containSubset((yield* accounts).at(-1), { status: "AUTHORIZED", authorizations: 1 })
    })
  )

  it.effect("is never answered as if it had failed when the database was lost in the middle of it", () =>
    Effect.gen(function* () {
      const { cutConnections } = yield* TestDatabase
      const key = newKey()
      const asked = { ...(yield* wish), token: "tok_slow_400" }
      const before = (yield* accounts).length
      const placing = yield* Effect.forkChild(place(key, asked))
      yield* until(Effect.map(accounts, (all) => all.length > before))
      yield* cutConnections
      const said = yield* Fiber.join(placing)
      assert.include([202, 409, 503], said.status)
      if (said.status === 503) assert.containSubset(yield* accountOf(idOf(said)), { stage: "MARKED" })
      // Payment's breaker may need a moment, too.
      const finallySaid = yield* place(key, asked).pipe(
        Effect.repeat({ until: ({ status }) => status === 202, schedule: Schedule.spaced("200 millis") }),
        Effect.timeout("100 seconds")
      )
      assert.containSubset(yield* accountOf(idOf(finallySaid)), { status: "AUTHORIZED", authorizations: 1 })
    })
  )
})

layer(counter({ REQUESTS_AT_ONCE: "2", PROCESSOR_TIMEOUT: "5 seconds" }), { excludeTestServices: true })(
  "more orders than edge takes at once",
  (it) => {
    it.effect("are turned away at once, and bind no key", () =>
      Effect.gen(function* () {
        const product_id = yield* newProduct()
        const asked = { items: [{ product_id, quantity: 1 }] }
        const { payment } = yield* Neighbours
        yield* payment.relay.be("stuck")
        const busy = yield* Effect.forkChild(
          Effect.all([place(newKey(), asked), place(newKey(), asked)], { concurrency: "unbounded" })
        )
        yield* until(Effect.map(accounts, (all) => all.length === 2))
        const key = newKey()
        const refused = yield* place(key, asked)
        assert.containSubset(refused, { status: 503, body: { error: "overloaded" } })
        assert.strictEqual(refused.headers["retry-after"], "1")
        // Who comes for the orders that have been taken is let in.
        const { serviceToken } = yield* TestDatabase
        const reader = HttpClientRequest.get("/feed?consumer=reader").pipe(HttpClientRequest.bearerToken(serviceToken))
        assert.strictEqual((yield* HttpClient.execute(reader)).status, 200)
        yield* payment.relay.be("open")
        const placed = yield* Fiber.join(busy)
        assert.deepStrictEqual(
          placed.map(({ status }) => status),
          [202, 202]
        )
        assert.strictEqual((yield* place(key, asked)).status, 202)
        assert.lengthOf(yield* accounts, 3)
      })
    )
  }
)
