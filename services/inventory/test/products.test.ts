import { InventoryApi, ProductId } from "@ecommerce/contracts/Inventory"
import { TestDatabase } from "@ecommerce/testing/TestDatabase"
import * as TestService from "@ecommerce/testing/TestService"
import { assert, layer } from "@effect/vitest"
import { Effect, Layer, Schema } from "effect"
import { HttpApiClient } from "effect/http-api"

import { definition } from "../src/Http.ts"

const client = HttpApiClient.make(InventoryApi)
const mouse = { name: "Wireless Mouse", sku: "MOUSE-001", priceCents: 2999, initialStock: 0 }
const unknownId = Schema.decodeSync(ProductId)("019845e1-682f-4b02-a706-3b2422d13aec")

layer(TestService.layer(definition).pipe(Layer.provideMerge(TestDatabase.layer)))("products", (it) => {
  it.effect("a new product is answered with all of its fields and can be read again", () =>
    Effect.gen(function* () {
      const { products } = yield* client
      const created = yield* products.create({ payload: mouse })
      assert.deepInclude(created, { name: mouse.name, stockQuantity: 0, active: true, version: 1 })
      assert.deepStrictEqual(yield* products.get({ params: { id: created.id } }), created)
    })
  )
})
