import { Neighbours } from "@ecommerce/testing/Neighbours"
import { until } from "@ecommerce/testing/ServiceProcess"
import { TestDatabase } from "@ecommerce/testing/TestDatabase"
import { assert, layer } from "@effect/vitest"
import { Effect, Fiber, Schema } from "effect"
import { HttpClientRequest } from "effect/http"

import { change, copyOf } from "./fixtures/Catalogue.ts"
import {
  accountOf,
  accounts,
  idOf,
  layer as counter,
  newProduct,
  orderOf,
  outside,
  place,
  post,
  replica,
  say
} from "./fixtures/Counter.ts"

const newKey = () => `key-${crypto.randomUUID()}`

const settings = { DUPLICATE_WAIT: "6 seconds", PROCESSOR_TIMEOUT: "10 seconds" }

layer(counter(settings), { excludeTestServices: true })("a request under an Idempotency-Key", (it) => {
  const wish = (token?: string) =>
    Effect.map(newProduct(), (product_id) => ({
      items: [{ product_id, quantity: 1 }],
      ...(token === undefined ? {} : { token })
    }))

  it.effect("has its first answer again, byte for byte, and is told that it is one", () =>
    Effect.gen(function* () {
      const key = newKey()
      const asked = yield* wish()
      const first = yield* place(key, asked)
      const again = yield* place(key, asked)
      assert.strictEqual(first.status, 202)
      assert.isUndefined(first.headers["idempotent-replayed"])
      assert.strictEqual(again.headers["idempotent-replayed"], "true")
      assert.strictEqual(again.text, first.text)
      assert.strictEqual(again.status, 202)
      assert.strictEqual(again.headers["location"], first.headers["location"])
    })
  )

  it.effect("has a decline again, with its code", () =>
    Effect.gen(function* () {
      const key = newKey()
      const asked = yield* wish("tok_decline_expired")
      const first = yield* place(key, asked)
      const again = yield* place(key, asked)
      assert.containSubset(first, { status: 402, body: { error: "payment_declined", decline_code: "card_expired" } })
      assert.strictEqual(again.headers["idempotent-replayed"], "true")
      assert.strictEqual(again.text, first.text)
      const account = yield* accountOf(idOf(first))
      assert.containSubset(account, {
        status: "AUTHORIZATION_FAILED",
        told: ["order.authorization_failed"],
        heldCents: 0,
        hasToken: false
      })
    })
  )

  it.effect("is refused where the key belongs to another body, in any of its parts", () =>
    Effect.gen(function* () {
      const key = newKey()
      const asked = yield* wish()
      const order = orderOf(asked)
      yield* post(key, order)
      const [item] = asked.items
      const others = [
        { ...order, user_id: "550e8400-e29b-41d4-a716-446655440001" },
        { ...order, email: "berta@example.com" },
        { ...order, items: [{ ...item, quantity: 2 }] },
        { ...order, items: [item, item] },
        { ...order, payment: { method: "card", token: "tok_other" } }
      ]
      const answers = yield* Effect.forEach(others, (other) => post(key, other))
      for (const answer of answers) {
        assert.containSubset(answer, { status: 422, body: { error: "idempotency_key_reused" } })
      }
    })
  )

  it.effect(
    "is compared by its meaning: neither the order of its members, nor white space, nor capitals in ids count",
    () =>
      Effect.gen(function* () {
        const key = newKey()
        const asked = yield* wish()
        const { email, items, payment, user_id } = orderOf(asked)
        const first = yield* post(key, { user_id, email, items, payment })
        const turned = {
          payment: { token: payment.token, method: payment.method },
          items: items.map(({ product_id, quantity }) => ({ quantity, product_id: product_id.toUpperCase() })),
          email,
          user_id: user_id.toUpperCase()
        }
        const again = yield* say(
          HttpClientRequest.post("/orders").pipe(
            HttpClientRequest.setHeader("idempotency-key", key),
            HttpClientRequest.bodyText(JSON.stringify(turned, null, 4), "application/json")
          )
        )
        assert.strictEqual(again.text, first.text)
        assert.strictEqual(again.headers["idempotent-replayed"], "true")
      })
  )

  it.effect("is one order for twenty that come at once, with twenty equal answers", () =>
    Effect.gen(function* () {
      const before = (yield* accounts).length
      const key = newKey()
      const asked = yield* wish("tok_slow_200")
      const answers = yield* Effect.forEach(Array.from({ length: 20 }), () => place(key, asked), {
        concurrency: "unbounded"
      })
      assert.strictEqual(new Set(answers.map(({ text }) => text)).size, 1)
      assert.deepStrictEqual([...new Set(answers.map(({ status }) => status))], [202])
      assert.lengthOf(
        answers.filter(({ headers }) => headers["idempotent-replayed"] === undefined),
        1
      )
      assert.strictEqual((yield* accounts).length, before + 1)
    })
  )

  it.effect("is one order for twenty that come at once to two replicas", () =>
    Effect.gen(function* () {
      const there = yield* replica(settings)
      const before = (yield* accounts).length
      const key = newKey()
      const asked = yield* wish("tok_slow_300")
      const answers = yield* Effect.forEach(
        Array.from({ length: 20 }, (_, place) => place),
        (number) => (number % 2 === 0 ? place(key, asked) : there(place(key, asked))),
        { concurrency: "unbounded" }
      )
      assert.strictEqual(new Set(answers.map(({ text }) => text)).size, 1)
      assert.strictEqual((yield* accounts).length, before + 1)
      const [first] = answers
      assert.isDefined(first)
      assert.strictEqual((yield* accountOf(idOf(first)))?.authorizations, 1)
    })
  )

  it.effect("waits for the first one with its key, and is told to come again where that takes too long", () =>
    Effect.gen(function* () {
      const impatient = yield* replica({ ...settings, DUPLICATE_WAIT: "300 millis" })
      const { payment } = yield* Neighbours
      const key = newKey()
      const asked = yield* wish()
      yield* payment.relay.be("stuck")
      const first = yield* Effect.forkChild(place(key, asked))
      yield* until(Effect.map(accounts, (all) => all.some(({ isAnswered }) => !isAnswered)))
      const late = yield* impatient(place(key, asked))
      assert.containSubset(late, { status: 409, body: { error: "request_in_progress" } })
      assert.match(late.headers["retry-after"] ?? "", /^[0-9]+$/u)
      const other = yield* impatient(place(key, { ...asked, token: "tok_other" }))
      assert.containSubset(other, { status: 422, body: { error: "idempotency_key_reused" } })
      const waiting = yield* Effect.forkChild(place(key, asked))
      yield* payment.relay.be("open")
      const patient = yield* Fiber.join(waiting)
      const { text } = yield* Fiber.join(first)
      assert.strictEqual(patient.text, text)
      assert.strictEqual(patient.headers["idempotent-replayed"], "true")
      assert.strictEqual((yield* impatient(place(key, asked))).text, text)
    })
  )

  it.effect("binds no key by an answer that was given before there was an order", () =>
    Effect.gen(function* () {
      const { inventory } = yield* Neighbours
      const key = newKey()
      const asked = yield* wish()
      assert.strictEqual((yield* post(key, { ...orderOf(asked), email: "nobody" })).status, 400)
      const unknown = yield* place(key, { items: [{ product_id: crypto.randomUUID(), quantity: 1 }] })
      assert.containSubset(unknown, { status: 422, body: { error: "product_not_sold" } })
      yield* inventory.relay.be("away")
      const unpriced = yield* place(key, { items: [{ product_id: crypto.randomUUID(), quantity: 1 }] })
      assert.containSubset(unpriced, { status: 503, body: { error: "prices_unavailable" } })
      assert.strictEqual(unpriced.headers["retry-after"], "1")
      yield* inventory.relay.be("open")
      const placed = yield* place(key, asked)
      assert.strictEqual(placed.status, 202)
      assert.isUndefined(placed.headers["idempotent-replayed"])
    })
  )

  it.effect("has its answer again also when its product is not sold any more, or inventory is away", () =>
    Effect.gen(function* () {
      const { inventory } = yield* Neighbours
      const { administrator } = yield* TestDatabase
      const key = newKey()
      const product_id = yield* newProduct()
      const asked = { items: [{ product_id, quantity: 1 }] }
      const first = yield* place(key, asked)
      yield* change(product_id, { active: false })
      // Heard, and not deleted: its own news of a while ago may still be on its way, and would make it known as sold again.
      yield* until(Effect.map(copyOf(product_id), (copy) => copy?.active === false))
      assert.strictEqual((yield* place(key, asked)).text, first.text)
      assert.containSubset(yield* place(newKey(), asked), {
        status: 422,
        body: { error: "product_not_sold", products: [{ objection: "inactive" }] }
      })
      yield* administrator`DELETE FROM edge_api.prices`
      yield* inventory.relay.be("away")
      assert.strictEqual((yield* place(key, asked)).text, first.text)
      yield* inventory.relay.be("open")
    })
  )

  it.effect("may be known under the same key at another route", () =>
    Effect.gen(function* () {
      const { inventory } = yield* Neighbours
      const key = newKey()
      const asked = yield* wish()
      assert.strictEqual((yield* place(key, asked)).status, 202)
      const [item] = asked.items
      const stocked = yield* outside(
        HttpClientRequest.post(`${inventory.url}/products/${item?.product_id}/stock`).pipe(
          HttpClientRequest.setHeader("idempotency-key", key),
          HttpClientRequest.bodyJsonUnsafe({ quantity: 5, reason: "found" })
        )
      )
      assert.strictEqual(stocked.status, 200)
      const { newQuantity } = yield* Effect.flatMap(stocked.json, decodeStock)
      assert.strictEqual(newQuantity, 5)
    })
  )
})

const decodeStock = Schema.decodeUnknownEffect(Schema.Struct({ newQuantity: Schema.Int }))
