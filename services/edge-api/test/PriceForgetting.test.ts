import type { ProductId } from "@ecommerce/contracts/Ids"
import { until } from "@ecommerce/testing/ServiceProcess"
import { TestDatabase } from "@ecommerce/testing/TestDatabase"
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"

import { change, desk, order, untilKnown } from "./fixtures/Catalogue.ts"
import { honoured, layer as counter, newProduct } from "./fixtures/Counter.ts"

/** As inventory's product stands in a backup, or as somebody has written it past the feed. */
const putBack = Effect.fn("putBack")(function* (id: ProductId, priceCents: number, version: number) {
  const { administrator: sql } = yield* TestDatabase
  yield* sql`UPDATE inventory.products SET price_cents = ${priceCents}, version = ${version} WHERE id = ${id}::uuid`
})

// So long that nothing but forgetting brings another price.
layer(counter({ PRICES_GOOD_FOR: "1 hour" }), { excludeTestServices: true })("a copy of prices is forgotten", (it) => {
  const untilHonoured = (product: ProductId, priceCents: number) =>
    until(
      Effect.andThen(
        order(product),
        Effect.map(honoured(product), (prices) => prices.at(-1) === priceCents)
      )
    )

  it.effect("when the feed is to be read anew after events were deleted unread", () =>
    Effect.gen(function* () {
      const { administrator: sql } = yield* TestDatabase
      const { resumeAnew } = yield* desk
      const product = yield* newProduct(1000)
      yield* untilHonoured(product, 1000)
      yield* putBack(product, 1500, 7)
      yield* sql`DELETE FROM inventory.outbox WHERE subject = ${product}`
      yield* order(product)
      assert.strictEqual((yield* honoured(product)).at(-1), 1000)
      assert.strictEqual(yield* resumeAnew("edge-api.prices"), 1)
      yield* untilHonoured(product, 1500)
    })
  )

  it.effect("when inventory was put back to a backup, whose versions count from before", () =>
    Effect.gen(function* () {
      const { administrator: sql } = yield* TestDatabase
      const product = yield* newProduct(1000)
      for (const priceCents of [1100, 1200, 1300]) yield* change(product, { priceCents })
      yield* untilKnown(product, 1300)
      yield* putBack(product, 1100, 2)
      yield* sql`DELETE FROM inventory.outbox WHERE subject = ${product} AND version > 2`
      yield* sql`UPDATE inventory.outbox_origin SET timeline = '0000ffff'`
      yield* sql`SELECT inventory.outbox_begin()`
      yield* untilHonoured(product, 1100)
      yield* change(product, { priceCents: 1150 })
      yield* untilHonoured(product, 1150)
    })
  )
})
