import { ProductId } from "@ecommerce/contracts/Ids"
import { InventoryClient } from "@ecommerce/contracts/Inventory"
import { TestDatabase } from "@ecommerce/testing/TestDatabase"
import * as TestService from "@ecommerce/testing/TestService"
import { assert, layer } from "@effect/vitest"
import { DateTime, Effect, Layer, Ref } from "effect"

import { Prices } from "../src/Prices.ts"

const id = ProductId.make("019845e1-682f-7b02-a706-3b2422d13aec")
const productAt = (priceCents: number) => ({
  id,
  name: "Mouse",
  sku: "MOUSE",
  priceCents,
  stockQuantity: 0,
  active: true,
  version: 1,
  createdAt: DateTime.makeUnsafe(0)
})

/** Sells it at a price of which it tells nobody who does not ask. */
const inventory = Layer.succeed(
  InventoryClient,
  InventoryClient.of({
    reserveStock: () => Effect.die("nobody asks for it"),
    releaseStock: () => Effect.die("nobody asks for it"),
    consume: () => Effect.die("nobody asks for it"),
    findProducts: () => Effect.succeed([productAt(1500)])
  })
)

const database = TestService.database("edge-api").pipe(Layer.provideMerge(TestDatabase.layer))

layer(Prices.layer.pipe(Layer.provide(inventory), Layer.provideMerge(database)), { excludeTestServices: true })(
  "a copy that the feed has brought",
  (it) => {
    it.effect(
      "is good as long as it was up to date a moment ago, and not in a future that a clock was set back from",
      () =>
        Effect.gen(function* () {
          const prices = yield* Prices
          const caughtUpAt = yield* Ref.make(Date.now())
          yield* prices.trust(Ref.get(caughtUpAt))
          yield* prices.learn([productAt(1000)])
          const price = Effect.map(prices.price([{ product_id: id, quantity: 1 }]), ([line]) => line.unitPriceCents)
          assert.deepStrictEqual([yield* prices.isUpToDate, yield* price], [true, 1000])
          yield* Ref.set(caughtUpAt, Date.now() + 3_600_000)
          assert.deepStrictEqual([yield* prices.isUpToDate, yield* price], [false, 1500])
        })
    )
  }
)
