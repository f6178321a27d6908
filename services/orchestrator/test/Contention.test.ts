import { integers, rowsOf } from "@ecommerce/sets/Sets"
import { until } from "@ecommerce/testing/ServiceProcess"
import { TestDatabase } from "@ecommerce/testing/TestDatabase"
import { assert, layer } from "@effect/vitest"
import { Effect, Schema } from "effect"

import { cancel, everythingFits, newProduct, place, shop, statesOf, stockOf, untilState } from "./fixtures/Shop.ts"

const sessionRows = rowsOf(Schema.Struct({ pid: Schema.Int }))

const many = { concurrency: "unbounded" } as const
const times = (count: number) => Array.from({ length: count }, (_, number) => number)

layer(shop(), { excludeTestServices: true })("many orders for one product", (it) => {
  it.effect("of which one is left: one of two hundred has it, and the others fail and leave nothing behind", () =>
    Effect.gen(function* () {
      const productId = yield* newProduct(1)
      const orders = yield* Effect.forEach(times(200), () => place({ productId }), many)
      const ends = yield* Effect.forEach(orders, (orderId) => statesOf(orderId), { concurrency: 20 })
      assert.strictEqual(ends.filter((states) => states.at(-1) === "COMPLETED").length, 1)
      assert.strictEqual(ends.filter((states) => states.at(-1) === "FAILED").length, 199)
      assert.strictEqual(yield* stockOf(productId), 0)
      yield* everythingFits
    })
  )

  it.effect(
    "that all want, half of which are cancelled wherever they are by then, leave it as the others took it",
    () =>
      Effect.gen(function* () {
        const productId = yield* newProduct(1000)
        const orders = yield* Effect.forEach(
          times(200),
          (number) =>
            Effect.gen(function* () {
              const orderId = yield* place({ productId, quantity: 2 })
              if (number % 2 === 1) return { orderId, end: "COMPLETED" }
              yield* Effect.sleep(`${number * 2} millis`)
              assert.strictEqual(yield* cancel(orderId), 202)
              return { orderId, end: "CANCELLED" }
            }),
          many
        )
        yield* Effect.forEach(orders, ({ end, orderId }) => untilState(orderId, end), { concurrency: 20 })
        assert.strictEqual(yield* stockOf(productId), 800)
        yield* everythingFits
      })
  )

  it.effect("and others, in carts that name them in opposite order, do not stop each other", () =>
    Effect.gen(function* () {
      const products = yield* Effect.forEach(times(4), () => newProduct(150))
      const carts = [products, products.toReversed(), [...products.slice(2), ...products.slice(0, 2)]]
      const orders = yield* Effect.forEach(
        times(150),
        (number) => {
          const [productId = "", ...more] = carts[number % carts.length] ?? []
          return place({ productId, more })
        },
        many
      )
      const ends = yield* Effect.forEach(orders, (orderId) => statesOf(orderId), { concurrency: 20 })
      assert.deepStrictEqual([...new Set(ends.map((states) => states.at(-1)))], ["COMPLETED"])
      assert.deepStrictEqual(yield* Effect.forEach(products, (id) => stockOf(id)), [0, 0, 0, 0])
      yield* everythingFits
      // What is rolled back for a deadlock is done again, so that nobody hears of it but PostgreSQL, whose counts come late.
      // A session tells its own when it ends.
      const { administrator, cutConnections } = yield* TestDatabase
      const sessions = yield* sessionRows(administrator`
        SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND usename <> 'postgres'`)
      assert.isAbove(yield* cutConnections, 0)
      const pids = integers(sessions.map(({ pid }) => pid))
      yield* until(
        Effect.map(administrator`SELECT 1 FROM pg_stat_activity WHERE pid = ANY(${pids})`, (left) => left.length === 0)
      )
      assert.deepStrictEqual(
        yield* administrator`SELECT deadlocks::int AS deadlocks FROM pg_stat_database WHERE datname = current_database()`,
        [{ deadlocks: 0 }]
      )
    })
  )
})
