import { ProductId } from "@ecommerce/contracts/Ids"
import { one } from "@ecommerce/sets/Sets"
import { TestDatabase } from "@ecommerce/testing/TestDatabase"
import * as TestService from "@ecommerce/testing/TestService"
import { assert, layer } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer, Result, Schema } from "effect"
import { HttpClient, HttpClientRequest } from "effect/http"

import { definition, nouns } from "../src/Http.ts"
import { IdempotencyKeys } from "../src/IdempotencyKeys.ts"
import { Products } from "../src/Products.ts"
import { Stock } from "../src/Stock.ts"
import { productsWith, unbalanced } from "./fixtures/Shop.ts"

const unknownProduct = Schema.decodeSync(ProductId)("019845e1-682f-4b02-a706-3b2422d13aec")
const atOnce = { concurrency: "unbounded" } as const

const send = Effect.fn("send")(function* (id: ProductId, key: string, body: string) {
  const client = yield* HttpClient.HttpClient
  const answer = yield* client.execute(
    HttpClientRequest.post(`/products/${id}/stock`).pipe(
      HttpClientRequest.setHeader("idempotency-key", key),
      HttpClientRequest.bodyText(body, "application/json")
    )
  )
  const isReplayed = answer.headers["idempotent-replayed"] === "true"
  return { status: answer.status, body: yield* answer.text, isReplayed, retryAfter: answer.headers["retry-after"] }
})

const productWith = (stock: number) =>
  Effect.flatMap(productsWith(stock), ([id]) => (id === undefined ? Effect.die("no product") : Effect.succeed(id)))

const adjustmentsOf = Effect.fn("adjustmentsOf")(function* (id: ProductId) {
  const { administrator } = yield* TestDatabase
  return yield* administrator`
    SELECT kind, quantity::integer, before_quantity::integer, after_quantity::integer, reason, reference_id, notes
    FROM inventory.stock_adjustments WHERE product_id = ${id} ORDER BY id`
})

const shop = Layer.mergeAll(
  TestService.layer(definition, { LOG_LEVEL: "None" }),
  nouns.pipe(Layer.provide(TestService.database("inventory")))
).pipe(Layer.provideMerge(TestDatabase.layer))

layer(shop, { excludeTestServices: true })("stock by hand", (it) => {
  it.effect("grows and shrinks, and tells what it was, what changed and what it is", () =>
    Effect.gen(function* () {
      const id = yield* productWith(0)
      const grown = yield* send(id, "grow-1", '{"quantity": 100, "reason": "Initial inventory"}')
      assert.strictEqual(grown.status, 200)
      assert.containSubset(JSON.parse(grown.body), {
        productId: id,
        previousQuantity: 0,
        quantityChange: 100,
        newQuantity: 100,
        reason: "Initial inventory"
      })
      const shrunk = yield* send(
        id,
        "shrink-1",
        '{"quantity": -30, "reason": "broken", "referenceId": "R-7", "notes": "fell"}'
      )
      assert.containSubset(JSON.parse(shrunk.body), { previousQuantity: 100, quantityChange: -30, newQuantity: 70 })
      assert.containSubset(yield* adjustmentsOf(id), [
        { kind: "manual", quantity: 100, beforeQuantity: 0, afterQuantity: 100, reason: "Initial inventory" },
        { quantity: -30, beforeQuantity: 100, afterQuantity: 70, reason: "broken", referenceId: "R-7", notes: "fell" }
      ])
    })
  )

  it.effect("never falls below zero", () =>
    Effect.gen(function* () {
      const id = yield* productWith(5)
      const refused = yield* send(id, "below-zero", '{"quantity": -6, "reason": "counted"}')
      assert.strictEqual(refused.status, 409)
      const expected = { error: "insufficient_stock", requestedChange: -6, availableQuantity: 5 }
      assert.containSubset(JSON.parse(refused.body), expected)
      assert.strictEqual((yield* send(id, "to-zero", '{"quantity": -5, "reason": "counted"}')).status, 200)
      const { administrator } = yield* TestDatabase
      const bypass = administrator`UPDATE inventory.products SET stock_quantity = -1 WHERE id = ${id}`
      assert.strictEqual((yield* Effect.flip(bypass)).reason._tag, "ConstraintError")
    })
  )

  it.effect("does not grow beyond what can be stored", () =>
    Effect.gen(function* () {
      const id = yield* productWith(1)
      const refused = yield* send(id, "too-much", '{"quantity": 2147483647, "reason": "counted"}')
      assert.strictEqual(refused.status, 422)
      assert.containSubset(JSON.parse(refused.body), { error: "stock_out_of_range", availableQuantity: 1 })
    })
  )

  it.effect("of an unknown product is answered with 404, also the second time", () =>
    Effect.gen(function* () {
      const first = yield* send(unknownProduct, "nobody", '{"quantity": 1, "reason": "counted"}')
      assert.strictEqual(first.status, 404)
      const second = yield* send(unknownProduct, "nobody", '{"quantity": 1, "reason": "counted"}')
      assert.deepStrictEqual(second, { ...first, isReplayed: true })
    })
  )

  it.effect("changes once for one key, however the request is written, and answers byte for byte the same", () =>
    Effect.gen(function* () {
      const id = yield* productWith(0)
      const first = yield* send(id, "written", '{"quantity": 3, "reason": "counted"}')
      const again = yield* send(id, "written", '{ "reason" : "counted",\n "quantity": 3.0 }')
      assert.deepStrictEqual(again, { ...first, isReplayed: true })
      assert.isFalse(first.isReplayed)
      assert.strictEqual((yield* adjustmentsOf(id)).length, 1)

      const refused = yield* send(id, "refused", '{"quantity": -4, "reason": "counted"}')
      yield* send(id, "more", '{"quantity": 10, "reason": "counted"}')
      const refusedAgain = yield* send(id, "refused", '{"quantity": -4, "reason": "counted"}')
      assert.deepStrictEqual(refusedAgain, { ...refused, isReplayed: true })
    })
  )

  it.effect("refuses a key that belongs to another request: another quantity, or another product", () =>
    Effect.gen(function* () {
      const [a, b] = [yield* productWith(0), yield* productWith(0)]
      yield* send(a, "mine", '{"quantity": 3, "reason": "counted"}')
      const otherQuantity = yield* send(a, "mine", '{"quantity": 4, "reason": "counted"}')
      const otherProduct = yield* send(b, "mine", '{"quantity": 3, "reason": "counted"}')
      for (const answer of [otherQuantity, otherProduct]) {
        assert.strictEqual(answer.status, 422)
        assert.containSubset(JSON.parse(answer.body), { error: "idempotency_key_reused" })
      }
      assert.deepStrictEqual(yield* adjustmentsOf(b), [])
    })
  )

  it.effect("is added once by sixteen parallel requests with one key, and they all hear the same", () =>
    Effect.gen(function* () {
      const id = yield* productWith(0)
      const answers = yield* Effect.all(
        Array.from({ length: 16 }, () => send(id, "sixteen", '{"quantity": 7, "reason": "counted"}')),
        atOnce
      )
      assert.strictEqual(new Set(answers.map(({ body }) => body)).size, 1)
      assert.deepStrictEqual(new Set(answers.map(({ status }) => status)), new Set([200]))
      assert.strictEqual(answers.filter(({ isReplayed }) => !isReplayed).length, 1)
      assert.strictEqual((yield* adjustmentsOf(id)).length, 1)
    })
  )

  it.effect("waits a while for the first request with its key, and then says when to come again", () =>
    Effect.gen(function* () {
      const id = yield* productWith(0)
      const { administrator } = yield* TestDatabase
      const isHeld = yield* Deferred.make<void>()
      const held = yield* Effect.forkChild(
        administrator.withTransaction(
          Effect.andThen(
            administrator`INSERT INTO inventory.idempotency_keys (route, key, digest)
              VALUES ('POST /products/:id/stock', 'held', 'of another replica')`,
            Effect.andThen(Deferred.succeed(isHeld, undefined), Effect.never)
          )
        )
      )
      yield* Deferred.await(isHeld)
      const answer = yield* send(id, "held", '{"quantity": 1, "reason": "counted"}')
      assert.strictEqual(answer.status, 409)
      assert.strictEqual(answer.retryAfter, "1")
      assert.containSubset(JSON.parse(answer.body), { error: "request_in_progress" })
      yield* Fiber.interrupt(held)
      assert.strictEqual((yield* send(id, "held", '{"quantity": 1, "reason": "counted"}')).status, 200)
    })
  )

  it.effect("takes a set: in order, each seeing what those before it left, and a bad one alone is refused", () =>
    Effect.gen(function* () {
      const id = yield* productWith(2)
      const change = (key: string, quantity: number, reason = "counted") => ({
        key,
        productId: id,
        change: { quantity, reason }
      })
      const outcomes = yield* (yield* Stock).adjust([
        change("set-1", -3),
        change("set-2", 5),
        change("set-3", 1, "NUL \u0000 in it"),
        change("set-4", -7)
      ])
      assert.deepStrictEqual(
        outcomes.map((outcome) => (Result.isSuccess(outcome) ? outcome.success.status : outcome.failure._tag)),
        [409, 200, "MalformedRequest", 200]
      )
      assert.strictEqual((yield* one((yield* Products).find([id]))).stockQuantity, 0)
    })
  )

  it.effect("can always shrink, also above what a request could ever reach", () =>
    Effect.gen(function* () {
      const id = yield* productWith(2_147_483_647)
      const { administrator } = yield* TestDatabase
      yield* administrator`UPDATE inventory.products SET stock_quantity = stock_quantity + 5 WHERE id = ${id}`
      yield* administrator`UPDATE inventory.stock_adjustments SET quantity = quantity + 5, after_quantity = after_quantity + 5
        WHERE product_id = ${id}`
      assert.strictEqual((yield* send(id, "shrink-a-little", '{"quantity": -1, "reason": "counted"}')).status, 200)
      assert.strictEqual((yield* send(id, "no-more", '{"quantity": 1, "reason": "counted"}')).status, 422)
    })
  )

  it.effect(
    "says that a request is in progress only where that is so, and is unavailable where a product is held",
    () =>
      Effect.gen(function* () {
        const id = yield* productWith(1)
        const { administrator } = yield* TestDatabase
        const isHeld = yield* Deferred.make<void>()
        const holdProduct = Effect.andThen(
          administrator`SELECT FROM inventory.products WHERE id = ${id} FOR UPDATE`,
          Effect.andThen(Deferred.succeed(isHeld, undefined), Effect.never)
        )
        const held = yield* Effect.forkChild(administrator.withTransaction(holdProduct))
        yield* Deferred.await(isHeld)
        const answer = yield* send(id, "fresh-key", '{"quantity": 1, "reason": "counted"}')
        assert.strictEqual(answer.status, 503)
        assert.strictEqual(answer.retryAfter, "1")
        yield* Fiber.interrupt(held)
        assert.strictEqual((yield* send(id, "fresh-key", '{"quantity": 1, "reason": "counted"}')).status, 200)
      })
  )

  it.effect("is available to orders while the product is active", () =>
    Effect.gen(function* () {
      const id = yield* productWith(6)
      const client = yield* HttpClient.HttpClient
      const available = Effect.flatMap(client.get(`/products/${id}/availability`), (answer) => answer.json)
      assert.containSubset(yield* available, { productId: id, active: true, availableQuantity: 6 })
      yield* (yield* Products).change([{ id, change: { active: false } }])
      assert.containSubset(yield* available, { active: false, availableQuantity: 0 })
    })
  )

  it.effect("forgets the answers that need not be kept any more", () =>
    Effect.gen(function* () {
      const id = yield* productWith(0)
      yield* send(id, "old", '{"quantity": 1, "reason": "counted"}')
      yield* send(id, "young", '{"quantity": 1, "reason": "counted"}')
      const { administrator } = yield* TestDatabase
      yield* administrator`UPDATE inventory.idempotency_keys SET created_at = now() - interval '25 hours' WHERE key = 'old'`
      yield* (yield* IdempotencyKeys).clean
      const kept = yield* administrator`SELECT key FROM inventory.idempotency_keys WHERE key IN ('old', 'young')`
      assert.deepStrictEqual(kept, [{ key: "young" }])
    })
  )

  it.effect("has left every product's stock the sum of its adjustments", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* unbalanced, [])
    })
  )
})
