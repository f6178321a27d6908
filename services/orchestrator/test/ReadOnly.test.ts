import { rowsOf } from "@ecommerce/sets/Sets"
import { until } from "@ecommerce/testing/ServiceProcess"
import { TestDatabase } from "@ecommerce/testing/TestDatabase"
import { WholeStack } from "@ecommerce/testing/WholeStack"
import { assert, layer } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { HttpClient } from "effect/http"

import { ask, everythingFits, newProduct, orderOf, place, shopOver, untilState } from "./fixtures/Shop.ts"

const takesWrites = Effect.fn("takesWrites")(function* (mayWrite: boolean) {
  const { administrator } = yield* TestDatabase
  yield* administrator.unsafe(`ALTER SYSTEM SET default_transaction_read_only = ${mayWrite ? "off" : "on"}`).unprepared
  yield* administrator`SELECT pg_reload_conf()`
})

const countRows = rowsOf(Schema.Struct({ orders: Schema.Int }))

const ordersTaken = Effect.gen(function* () {
  const { administrator } = yield* TestDatabase
  return yield* countRows(administrator`SELECT count(*)::int AS orders FROM edge_api.order_ledger`)
})

const healthOfEdge = Effect.gen(function* () {
  const { urls } = yield* WholeStack
  const answer = yield* HttpClient.get(`${urls["edge-api"]}/health`)
  return { status: answer.status, text: yield* answer.text }
})

layer(shopOver(TestDatabase.layerOwnServer), { excludeTestServices: true })(
  "a shop whose database is read-only",
  (it) => {
    it.effect("says so to whoever orders, shows the orders that it has, and takes the same request when it can", () =>
      Effect.gen(function* () {
        const productId = yield* newProduct(100)
        const earlier = yield* place({ productId })
        yield* untilState(earlier, "COMPLETED")
        const first = yield* ask("accepted", { productId })
        assert.strictEqual(first.status, 202)

        yield* takesWrites(false)
        let asked = 0
        const another = Effect.suspend(() => ask(`noticed-${(asked += 1)}`, { productId }))
        yield* until(Effect.map(another, ({ status }) => status === 503))
        const taken = yield* ordersTaken
        const refused = yield* ask("again", { productId })
        assert.strictEqual(refused.status, 503)
        assert.strictEqual(refused.headers["retry-after"], "1")
        assert.deepInclude(refused.body, { error: "unavailable" })
        assert.strictEqual((yield* ask("again", { productId })).status, 503)
        assert.deepStrictEqual(yield* ordersTaken, taken)
        assert.strictEqual((yield* orderOf(earlier)).status, "COMPLETED")
        const replayed = yield* ask("accepted", { productId })
        assert.deepStrictEqual([replayed.status, replayed.body], [202, first.body])
        assert.strictEqual((yield* ask("accepted", { productId, quantity: 3 })).status, 422)
        const { status, text } = yield* healthOfEdge
        assert.strictEqual(status, 200)
        assert.include(text, "takes no writes at the moment")

        yield* takesWrites(true)
        yield* until(Effect.map(ask("again", { productId }), ({ status }) => status === 202))
        const { body } = yield* ask("again", { productId })
        const { order_ledger_id } = yield* Schema.decodeUnknownEffect(
          Schema.Struct({ order_ledger_id: Schema.String })
        )(body)
        yield* untilState(order_ledger_id, "COMPLETED")
        yield* everythingFits
      })
    )
  }
)
