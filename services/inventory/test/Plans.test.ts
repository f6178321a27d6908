import { OrderId, ProductId } from "@ecommerce/contracts/Ids"
import type { ReserveStock } from "@ecommerce/contracts/Inventory/Reservations"
import { rowsOf, successes } from "@ecommerce/sets/Sets"
import * as Plans from "@ecommerce/testing/Plans"
import { TestDatabase } from "@ecommerce/testing/TestDatabase"
import { PgClient } from "@effect/sql-pg"
import { assert, layer } from "@effect/vitest"
import { Duration, Effect, Layer, Schema } from "effect"
import type { SqlError } from "effect/sql"

import { nouns } from "../src/Http.ts"
import { IdempotencyKeys } from "../src/IdempotencyKeys.ts"
import { Products } from "../src/Products.ts"
import { Reservations } from "../src/Reservations.ts"
import { Stock } from "../src/Stock.ts"
import { release, reserve } from "./fixtures/Shop.ts"

const inventory = nouns.pipe(Layer.provideMerge(Plans.database("inventory")))

const setSize = 100

/** Of one table by one operation on a set of a hundred: generous, and far below a look at all rows. */
const mostRowsRead = 5000

const decodeProductId = Schema.decodeSync(ProductId)
const decodeOrderId = Schema.decodeSync(OrderId)

const newOrder = (first: ProductId, second: ProductId): ReserveStock => ({
  orderId: decodeOrderId(crypto.randomUUID()),
  items: [
    { productId: first, quantity: 1 },
    { productId: second, quantity: 2 }
  ]
})

const ordersOf = (ids: ReadonlyArray<ProductId>) => ids.map((id, place) => newOrder(id, ids.at(place - 7) ?? id))

const newProducts = () =>
  Array.from({ length: setSize }, () => ({
    name: "A product",
    sku: crypto.randomUUID(),
    priceCents: 100,
    initialStock: 100_000
  }))

type Operation = readonly [name: string, run: Effect.Effect<unknown, SqlError.SqlError, Reservations>]

const overreadBy = Plans.overread("inventory", mostRowsRead)

/** Every hot operation once, on sets of a hundred: these products, or new ones. */
const hotOperations = Effect.fn("hotOperations")(function* (known?: ReadonlyArray<ProductId>) {
  const { change, create, find, page } = yield* Products
  const reservations = yield* Reservations
  const { adjust } = yield* Stock
  const { clean } = yield* IdempotencyKeys

  const products = newProducts()
  const created = yield* overreadBy("create", create(products))
  const duplicates = yield* overreadBy("create again", create(products))
  const ids = known ?? successes(yield* create(newProducts())).map(({ id }) => id)
  const orders = ordersOf(ids)
  const nobody = ids.map(() => decodeProductId(crypto.randomUUID()))
  const stockRequests = ids.map((productId) => ({
    key: crypto.randomUUID(),
    productId,
    change: { quantity: 1, reason: "found" }
  }))
  const operations: ReadonlyArray<Operation> = [
    ["find", find(ids)],
    ["page", page({ after: undefined, limit: setSize })],
    ["page after", page({ after: ids[50], limit: setSize })],
    ["change", change(ids.map((id) => ({ id, change: { priceCents: 5 } })))],
    ["adjust", adjust(stockRequests)],
    ["adjust one", adjust(stockRequests.slice(0, 1).map((request) => ({ ...request, key: crypto.randomUUID() })))],
    ["adjust again", adjust(stockRequests)],
    ["reserve", reserve(...orders)],
    ["reserve again", reserve(...orders)],
    ["refuse", reserve(...ordersOf(nobody))],
    ["find reservations", reservations.find(orders.map(({ orderId }) => orderId))],
    ["release", release(...orders)],
    ["release again", release(...orders)],
    ["release before reserve", release(...ordersOf(ids))],
    ["clean", clean]
  ]
  const others = yield* Effect.forEach(operations, ([name, operation]) => overreadBy(name, operation))
  return [...created, ...duplicates, ...others.flat()]
})

/** After five runs with plans of their own, PostgreSQL keeps one plan for all later ones. */
const keepPlans = Effect.gen(function* () {
  const sql = yield* PgClient.PgClient
  const overread = yield* Effect.forEach(Array.from({ length: 8 }), () => hotOperations())
  const [kept] = yield* keptPlans(sql`
    SELECT count(*)::integer AS kept FROM pg_prepared_statements WHERE generic_plans > 0 AND statement ~ 'unnest|ANY'`)
  assert.isAtLeast(kept?.kept ?? 0, 10, "too few plans are kept to learn anything from it")
  return overread.flat()
})
const keptPlans = rowsOf(Schema.Struct({ kept: Schema.Int }))

const tables = ["products", "reservations", "reservation_items", "stock_adjustments", "outbox", "idempotency_keys"]

const clear = Effect.gen(function* () {
  const { administrator } = yield* TestDatabase
  const names = tables.map((table) => `inventory.${table}`).join(", ")
  yield* administrator.unsafe(`TRUNCATE ${names}`).unprepared
})

const analyze = Effect.flatMap(TestDatabase, ({ administrator }) => administrator`ANALYZE`.unprepared)

const filledProduct = (number: number) =>
  decodeProductId(`00000000-0000-7000-8000-${number.toString(16).padStart(12, "0")}`)

/** Rows from the one number to the other, and a tenth as many products, as if they had come one by one. */
const grow = Effect.fn("grow")(function* (from: number, to: number) {
  const { administrator } = yield* TestDatabase
  const statements = [
    `products (id, name, sku, price_cents, stock_quantity)
      SELECT ('00000000-0000-7000-8000-' || lpad(to_hex(n / 10), 12, '0'))::uuid, 'A product', 'SKU-' || n, 100, 100000
      FROM generate_series(${from}, ${to}) AS n WHERE n % 10 = 0`,
    `reservations (order_id, state, digest) SELECT uuidv7(), 'RESERVED', 'digest' FROM generate_series(${from}, ${to})`,
    `reservation_items (order_id, product_id, quantity) SELECT uuidv7(), uuidv7(), 1 FROM generate_series(${from}, ${to})`,
    `stock_adjustments (id, product_id, product_version, kind, quantity, before_quantity, after_quantity, reason)
      SELECT uuidv7(), uuidv7(), 1, 'manual', 1, 0, 1, 'found' FROM generate_series(${from}, ${to})`,
    `outbox (type, subject, version, data) SELECT 'product.updated', 'subject', 1, '{}' FROM generate_series(${from}, ${to})`,
    // A few of them are old enough to be forgotten.
    `idempotency_keys (route, key, digest, status, body, created_at)
      SELECT 'POST /products/:id/stock', uuidv7(), 'digest', 200, '{}', now() - interval '30 hours' * (n % 10000 = 0)::integer
      FROM generate_series(${from}, ${to}) AS n`
  ]
  yield* Effect.forEach(
    statements,
    (statement) =>
      administrator.withTransaction(
        Effect.gen(function* () {
          // Foreign keys are not looked at.
          yield* administrator`SET LOCAL session_replication_role = replica`.unprepared
          yield* administrator.unsafe(`INSERT INTO inventory.${statement}`).unprepared
        })
      ),
    { concurrency: 2 }
  )
})

/** A hundred products from everywhere among these. */
const spreadOver = (products: number) =>
  Array.from({ length: setSize }, (_, place) => filledProduct(1 + ((place * 7919) % products)))

/** The best of three: what the machine does beside is not the question. */
const reserveMillis = Effect.fn("reserveMillis")(function* (ids: ReadonlyArray<ProductId>) {
  const times = yield* Effect.forEach([1, 2, 3], () =>
    Effect.gen(function* () {
      const [duration, reserved] = yield* Effect.timed(reserve(...ordersOf(ids)))
      assert.strictEqual(successes(reserved).length, setSize)
      return Duration.toMillis(duration)
    })
  )
  return Math.min(...times)
})

layer(inventory, { excludeTestServices: true })("plans of the hot statements", (it) => {
  it.effect(
    "made on empty tables still go by an index at a million rows, and so do those made with statistics",
    () =>
      Effect.gen(function* () {
        yield* clear
        const young = yield* keepPlans

        yield* grow(1, 1000)
        const few = spreadOver(100)
        const atThousand = yield* hotOperations(few)
        const timeAtThousand = yield* reserveMillis(few)

        yield* grow(1001, 1_000_000)
        const many = spreadOver(100_000)
        const atMillion = yield* hotOperations(many)
        const timeAtMillion = yield* reserveMillis(many)

        yield* analyze
        const analyzed = yield* Effect.forEach([1, 2, 3], () => hotOperations(many))
        const timeAnalyzed = yield* reserveMillis(many)

        const overread = { young, atThousand, atMillion, analyzed: analyzed.flat() }
        assert.deepStrictEqual(overread, { young: [], atThousand: [], atMillion: [], analyzed: [] })
        for (const time of [timeAtMillion, timeAnalyzed]) {
          assert.isBelow(time, 5000)
          assert.isBelow(time, 20 * timeAtThousand)
        }
      }),
    180_000
  )

  // The nastier one: statistics tell that one page holds all there is, and whoever believes them reads it as a whole,
  // foreign keys included, until the next statistics come.
  it.effect("made from the statistics of a handful of rows still go by an index at a hundred thousand", () =>
    Effect.gen(function* () {
      yield* clear
      const { create } = yield* Products
      yield* create(newProducts().slice(0, 5))
      yield* analyze
      const young = yield* keepPlans
      yield* grow(1, 100_000)
      const grown = yield* hotOperations(spreadOver(10_000))
      assert.deepStrictEqual({ young, grown }, { young: [], grown: [] })
    })
  )
})
