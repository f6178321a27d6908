import { assertRefused, json, post } from "@ecommerce/testing/BadRequests"
import { send } from "@ecommerce/testing/RawHttp"
import { TestDatabase } from "@ecommerce/testing/TestDatabase"
import { assert, layer } from "@effect/vitest"
import { Effect, Layer } from "effect"

import { badRequests, boundKey, fax, mouse, order, secrets } from "./fixtures/BadRequestTable.ts"
import { layer as counter } from "./fixtures/Counter.ts"

const oneOrder = Layer.effectDiscard(
  Effect.gen(function* () {
    const { administrator } = yield* TestDatabase
    yield* administrator`
      INSERT INTO inventory.products (id, name, sku, price_cents, stock_quantity, active)
      VALUES (${mouse}, 'Mouse', 'MOUSE', 2999, 0, true), (${fax}, 'Fax', 'FAX', 9999, 0, false)`
    const { status } = yield* send(post("/orders", order, json, `idempotency-key: ${boundKey}`))
    assert.strictEqual(status, 202)
  })
)

/** What a problem of edge says besides. */
const members = ["products", "order_ledger_id"]

layer(oneOrder.pipe(Layer.provideMerge(counter())), { excludeTestServices: true })("edge over HTTP", (it) => {
  it.effect.each(badRequests)("refuses $what", (request) =>
    Effect.gen(function* () {
      const { body } = yield* assertRefused(request, members)
      assert.notMatch(body, secrets)
    })
  )

  it.effect("tells of each product that is not sold what is the matter with it, once, and of every line", () =>
    Effect.gen(function* () {
      const unknown = crypto.randomUUID()
      const items = [fax, mouse, unknown, fax].map((product_id) => ({ product_id, quantity: 1 }))
      const { body, headers } = yield* send(post("/orders", { ...order, items }, json, "idempotency-key: not-bound"))
      const said: unknown = JSON.parse(body)
      assert.deepStrictEqual(said, {
        type: "urn:problem:product_not_sold",
        title: "Not everything that was ordered is sold here.",
        status: 422,
        error: "product_not_sold",
        trace_id: headers["trace-id"],
        products: [
          { product_id: fax, objection: "inactive" },
          { product_id: unknown, objection: "unknown" }
        ],
        errors: [
          { in: "body", field: "items.0.product_id", message: "This product is not sold at the moment" },
          { in: "body", field: "items.2.product_id", message: "There is no such product" },
          { in: "body", field: "items.3.product_id", message: "This product is not sold at the moment" }
        ]
      })
    })
  )

  it.effect("has stored nothing of all that, and nobody was asked for money", () =>
    Effect.gen(function* () {
      const { administrator } = yield* TestDatabase
      const counts = yield* administrator`
        SELECT
          (SELECT count(*)::integer FROM edge_api.order_ledger) AS orders,
          (SELECT count(*)::integer FROM edge_api.order_lines) AS lines,
          (SELECT count(*)::integer FROM edge_api.order_states) AS states,
          (SELECT array_agg(idempotency_key) FROM edge_api.checkouts) AS keys,
          (SELECT count(*)::integer FROM edge_api.outbox) AS events,
          (SELECT count(*)::integer FROM edge_api.cancellations) AS cancellations,
          (SELECT count(*)::integer FROM payment.payments) AS payments`
      assert.deepStrictEqual(counts, [
        { orders: 1, lines: 1, states: 2, keys: [boundKey], events: 1, cancellations: 0, payments: 1 }
      ])
      assert.strictEqual((yield* send({ line: "GET /health/ready" })).status, 200)
    })
  )

  it.effect("takes a right order under a key that only wrong ones came with", () =>
    Effect.gen(function* () {
      const { body, status } = yield* send(post("/orders", order, json, "idempotency-key: not-bound"))
      assert.strictEqual(status, 202, body)
    })
  )
})
