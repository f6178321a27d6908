import { ProductId } from "@ecommerce/contracts/Ids"
import { InventoryApi } from "@ecommerce/contracts/Inventory"
import { TestDatabase } from "@ecommerce/testing/TestDatabase"
import * as TestService from "@ecommerce/testing/TestService"
import { assert, layer } from "@effect/vitest"
import { Effect, Layer, Result, Schema } from "effect"
import { HttpClient, HttpClientRequest } from "effect/http"
import { HttpApiClient } from "effect/http-api"

import { definition } from "../src/Http.ts"

const client = Effect.map(HttpApiClient.make(InventoryApi), ({ products }) => products)
const unknownId = Schema.decodeSync(ProductId)("019845e1-682f-4b02-a706-3b2422d13aec")
const named = (sku: string) => ({ name: `Product ${sku}`, sku, priceCents: 2999, initialStock: 0 })

const send = (method: "POST" | "PATCH", path: string, body: string) =>
  Effect.flatMap(HttpClient.HttpClient, (http) =>
    http.execute(HttpClientRequest.make(method)(path).pipe(HttpClientRequest.bodyText(body, "application/json")))
  )

layer(TestService.layer(definition).pipe(Layer.provideMerge(TestDatabase.layer)))("the catalogue over HTTP", (it) => {
  it.effect("answers a new product with 201 and all of its fields, and stock 0 where none is given", () =>
    Effect.gen(function* () {
      const answer = yield* send(
        "POST",
        "/products",
        '{"name": "Wireless Mouse", "sku": "MOUSE-001", "priceCents": 2999}'
      )
      assert.strictEqual(answer.status, 201)
      const body: unknown = yield* answer.json
      assert.containSubset(body, {
        name: "Wireless Mouse",
        sku: "MOUSE-001",
        priceCents: 2999,
        stockQuantity: 0,
        active: true,
        version: 1
      })
      const product = yield* Schema.decodeUnknownEffect(Schema.Struct({ id: ProductId, createdAt: Schema.String }))(
        body
      )
      assert.isBelow(Math.abs(Date.now() - Date.parse(product.createdAt)), 60_000)
      assert.containSubset(yield* (yield* client).get({ params: { id: product.id } }), {
        id: product.id,
        sku: "MOUSE-001"
      })
    })
  )

  it.effect("keeps the stock that a product begins with", () =>
    Effect.gen(function* () {
      const product = yield* (yield* client).create({ payload: { ...named("STOCKED"), initialStock: 40 } })
      assert.strictEqual(product.stockQuantity, 40)
    })
  )

  it.effect("refuses a second product with one SKU with the id of the first, also when sixteen race", () =>
    Effect.gen(function* () {
      const { create } = yield* client
      const outcomes = yield* Effect.all(
        Array.from({ length: 16 }, () => Effect.result(create({ payload: named("RACED") }))),
        { concurrency: "unbounded" }
      )
      const winners = outcomes.filter(Result.isSuccess).map((outcome) => outcome.success.id)
      assert.strictEqual(winners.length, 1)
      for (const outcome of outcomes.filter(Result.isFailure)) {
        assert.isTrue(outcome.failure._tag === "DuplicateSku" && outcome.failure.existingProductId === winners[0])
      }
    })
  )

  it.effect("goes through all products page by page, each once and in the order of their making", () =>
    Effect.gen(function* () {
      const { create, list } = yield* client
      const skus = Array.from({ length: 7 }, (_, index) => `PAGE-${index}`)
      yield* Effect.forEach(skus, (sku) => create({ payload: named(sku) }))

      const seen: Array<string> = []
      let cursor: ProductId | null = null
      do {
        const page: Effect.Success<ReturnType<typeof list>> = yield* list({
          query: { limit: 3, ...(cursor === null ? {} : { cursor }) }
        })
        assert.isAtMost(page.products.length, 3)
        seen.push(...page.products.map((product) => product.sku))
        cursor = page.nextCursor
      } while (cursor !== null)

      assert.strictEqual(new Set(seen).size, seen.length)
      assert.deepStrictEqual(
        seen.filter((sku) => sku.startsWith("PAGE-")),
        skus
      )
    })
  )

  it.effect("finds the products that are asked for by id, in that order, and leaves out the unknown", () =>
    Effect.gen(function* () {
      const { create, list } = yield* client
      const first = yield* create({ payload: named("BY-ID-1") })
      const second = yield* create({ payload: named("BY-ID-2") })
      const page = yield* list({ query: { ids: [second.id, unknownId, first.id] } })
      assert.deepStrictEqual(page, { products: [second, first], nextCursor: null })

      const shouted = yield* Effect.flatMap(HttpClient.HttpClient, (http) =>
        http.get(`/products/${first.id.toUpperCase()}`)
      )
      assert.containSubset(yield* shouted.json, { id: first.id })
    })
  )

  it.effect("changes what is named, leaves the rest, and counts the versions", () =>
    Effect.gen(function* () {
      const { change, create } = yield* client
      const product = yield* create({ payload: named("CHANGED") })
      const cheaper = yield* change({ params: { id: product.id }, payload: { priceCents: 1 } })
      assert.deepStrictEqual(cheaper, { ...product, priceCents: 1, version: 2 })
      const retired = yield* change({ params: { id: product.id }, payload: { active: false, name: "Old mouse" } })
      assert.deepStrictEqual(retired, { ...cheaper, active: false, name: "Old mouse", version: 3 })
    })
  )

  it.effect("answers an unknown product with 404 and its id", () =>
    Effect.gen(function* () {
      const { change, get } = yield* client
      const asked = yield* Effect.flip(get({ params: { id: unknownId } }))
      assert.isTrue(asked._tag === "ProductNotFound" && asked.productId === unknownId)
      const changed = yield* Effect.flip(change({ params: { id: unknownId }, payload: { active: true } }))
      assert.strictEqual(changed._tag, "ProductNotFound")
    })
  )

  it.effect.each([
    ['{"name": "", "sku": "A", "priceCents": 1}', 400, "name"],
    [`{"name": "${"a".repeat(256)}", "sku": "A", "priceCents": 1}`, 400, "name"],
    ['{"name": "A", "sku": "", "priceCents": 1}', 400, "sku"],
    ['{"name": "A", "sku": "a b", "priceCents": 1}', 400, "sku"],
    [`{"name": "A", "sku": "${"a".repeat(101)}", "priceCents": 1}`, 400, "sku"],
    ['{"name": "A", "sku": "A", "priceCents": 0}', 400, "priceCents"],
    ['{"name": "A", "sku": "A", "priceCents": "1"}', 400, "priceCents"],
    ['{"name": "A", "sku": "A", "priceCents": 1, "initialStock": -1}', 400, "initialStock"],
    ['{"name": "A", "sku": "A", "priceCents": 1, "price": 2}', 400, "price"],
    ['{"name": "A", "sku": "A", "priceCents": 2147483648}', 422, "priceCents"],
    ['{"name": "A", "sku": "A", "priceCents": 1, "initialStock": 99999999999}', 422, "initialStock"]
  ] as const)("refuses %s with %i and names the field", ([body, status, field]) =>
    Effect.gen(function* () {
      const answer = yield* send("POST", "/products", body)
      assert.strictEqual(answer.status, status)
      assert.containSubset(yield* answer.json, { status, errors: [{ in: "body", field }] })
    })
  )

  it.effect("refuses a change of nothing, of the SKU, and of the stock", () =>
    Effect.gen(function* () {
      const { id } = yield* (yield* client).create({ payload: named("UNCHANGEABLE") })
      for (const body of ["{}", '{"sku": "OTHER"}', '{"stockQuantity": 5}']) {
        assert.strictEqual((yield* send("PATCH", `/products/${id}`, body)).status, 400)
      }
    })
  )
})
