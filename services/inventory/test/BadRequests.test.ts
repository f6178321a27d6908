import { assertRefused, decodeProblem } from "@ecommerce/testing/BadRequests"
import { send } from "@ecommerce/testing/RawHttp"
import { TestDatabase } from "@ecommerce/testing/TestDatabase"
import * as TestService from "@ecommerce/testing/TestService"
import { assert, layer } from "@effect/vitest"
import { Effect, Layer } from "effect"

import { definition } from "../src/Http.ts"
import { badRequests, mouse } from "./fixtures/BadRequestTable.ts"

const oneProduct = Layer.effectDiscard(
  Effect.gen(function* () {
    const { administrator } = yield* TestDatabase
    yield* administrator`
      INSERT INTO inventory.products (id, name, sku, price_cents, stock_quantity)
      VALUES (${mouse}, 'Mouse', 'MOUSE', 2999, 3)`
    yield* administrator`
      INSERT INTO inventory.stock_adjustments (id, product_id, product_version, kind, quantity, before_quantity, after_quantity, reason)
      VALUES (uuidv7(), ${mouse}, 1, 'initial', 3, 0, 3, 'initial stock')`
  })
)

const service = TestService.layer(definition).pipe(
  Layer.provideMerge(oneProduct),
  Layer.provideMerge(TestDatabase.layer)
)

/** What problems of inventory say besides. */
const members = ["productId", "existingProductId", "requestedChange", "availableQuantity"]

layer(service)("the service over HTTP", (it) => {
  it.effect.each(badRequests)("refuses $what", (request) => assertRefused(request, members))

  it.effect("refuses, of those who may look, a reservation's wrong id, and one that is not there", () =>
    Effect.gen(function* () {
      const { serviceToken } = yield* TestDatabase
      const headers = [`authorization: Bearer ${serviceToken}`]
      const wrong = yield* send({ line: "GET /reservations/1", headers })
      assert.containSubset(decodeProblem(wrong.body), { status: 400, errors: [{ in: "path", field: "orderId" }] })
      const unknown = yield* send({ line: `GET /reservations/${mouse}`, headers })
      assert.containSubset(decodeProblem(unknown.body), { status: 404, error: "reservation_not_found", orderId: mouse })
    })
  )

  it.effect("is the same after all of that, and so is its data", () =>
    Effect.gen(function* () {
      const { administrator } = yield* TestDatabase
      const products = yield* administrator`
        SELECT id, name, sku, price_cents, stock_quantity::integer, active, version::integer FROM inventory.products`
      assert.deepStrictEqual(products, [
        { id: mouse, name: "Mouse", sku: "MOUSE", priceCents: 2999, stockQuantity: 3, active: true, version: 1 }
      ])
      const counts = yield* administrator`
        SELECT
          (SELECT count(*)::integer FROM inventory.stock_adjustments) AS adjustments,
          (SELECT count(*)::integer FROM inventory.outbox) AS events,
          (SELECT count(*)::integer FROM inventory.reservations) AS reservations,
          (SELECT count(*)::integer FROM inventory.reservation_items) AS items,
          (SELECT count(*)::integer FROM inventory.idempotency_keys WHERE key NOT LIKE 'bound-%') AS keys`
      assert.deepStrictEqual(counts, [{ adjustments: 1, events: 0, reservations: 0, items: 0, keys: 0 }])
      assert.strictEqual((yield* send({ line: "GET /health/ready" })).status, 200)
    })
  )
})
