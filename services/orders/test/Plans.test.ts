import { OrderId, UserId } from "@ecommerce/contracts/Ids"
import * as Plans from "@ecommerce/testing/Plans"
import { TestDatabase } from "@ecommerce/testing/TestDatabase"
import { PgClient } from "@effect/sql-pg"
import { assert, layer } from "@effect/vitest"
import { Effect, Layer } from "effect"

import { nouns } from "../src/Http.ts"
import { Orders } from "../src/Orders.ts"
import { cancel, confirm, create, newOrder, newOrderId } from "./fixtures/Desk.ts"

const desk = nouns.pipe(Layer.provideMerge(Plans.database("orders")))

const setSize = 100
const filled = 300_000
const users = 10

/** Of one table by one operation on a set of a hundred: a few for each, and far below a look at all rows. */
const mostRowsRead = 20 * setSize

const numbered = (number: number) => `00000000-0000-7000-8000-${number.toString(16).padStart(12, "0")}`
const setOf = <A>(item: (place: number) => A) => Array.from({ length: setSize }, (_, place) => item(place))

const overreadBy = Plans.overread("orders", mostRowsRead)

/** Every operation once, on sets of a hundred new orders and of a hundred that are there. */
const operations = Effect.fn("operations")(function* (known: ReadonlyArray<{ readonly orderId: OrderId }>) {
  const { find, page } = yield* Orders
  const orders = setOf(() => newOrder())
  const unknown = setOf(() => ({ orderId: newOrderId() }))
  const userId = UserId.make(numbered(3))
  return (yield* Effect.all([
    overreadBy("create", create(...orders)),
    overreadBy("create again", create(...orders)),
    overreadBy("confirm", confirm(...orders.slice(50), ...known.slice(50))),
    overreadBy("confirm again", confirm(...orders.slice(50), ...known.slice(50))),
    overreadBy("confirm what is not there", confirm(...unknown)),
    overreadBy("find", find([...orders, ...known].map(({ orderId }) => orderId))),
    overreadBy("cancel", cancel(...orders.slice(0, 75), ...known.slice(0, 75))),
    overreadBy("cancel again", cancel(...orders.slice(0, 75), ...known.slice(0, 75))),
    overreadBy("cancel before create", cancel(...setOf(() => ({ orderId: newOrderId() })))),
    overreadBy("create after cancel", create(...orders)),
    overreadBy("page", page({ userId, before: undefined, limit: setSize })),
    overreadBy("page after", page({ userId, before: String(filled / 2), limit: setSize }))
  ])).flat()
})

const administer = (statement: string) =>
  Effect.flatMap(TestDatabase, ({ administrator }) => administrator.unsafe(statement).unprepared)

/** After five runs with plans of their own, PostgreSQL keeps one plan for all later ones. */
const keepPlans = Effect.gen(function* () {
  const young = Effect.suspend(() => operations(setOf(() => newOrder())))
  const overread = yield* Effect.forEach(Array.from({ length: 7 }), () => young)
  const before = yield* Plans.runsOfKeptPlans
  const last = yield* young
  assert.isAtLeast((yield* Plans.runsOfKeptPlans) - before, 40, "too few plans are kept to learn anything from it")
  return [...overread, last].flat()
})

/** Orders of a few users with a line and a transition each, as if they had come one by one. */
const grow = Effect.gen(function* () {
  const { administrator } = yield* TestDatabase
  const idOf = (number: string) => `('00000000-0000-7000-8000-' || lpad(to_hex(${number}), 12, '0'))::uuid`
  const statements = [
    `orders (order_id, user_id, email, total_cents, digest, status, version)
      SELECT ${idOf("n")}, ${idOf(`n % ${users}`)}, 'ada@example.com', 5, 'digest', 'CREATED', 1`,
    `order_items (order_id, line, product_id, quantity, unit_price_cents) SELECT ${idOf("n")}, 1, uuidv7(), 1, 5`,
    `order_transitions (order_id, version, status, cause, at) SELECT ${idOf("n")}, 1, 'CREATED', 'create-order', now()`
  ]
  yield* administrator.withTransaction(
    Effect.gen(function* () {
      // Foreign keys and triggers are not looked at.
      yield* administrator`SET LOCAL session_replication_role = replica`.unprepared
      for (const statement of statements) {
        yield* administrator.unsafe(`INSERT INTO orders.${statement} FROM generate_series(1, ${filled}) AS n`)
          .unprepared
      }
    })
  )
})

/** A hundred orders from everywhere among those, others each time. */
const spread = (turn: number) =>
  setOf((place) => ({ orderId: OrderId.make(numbered(1 + ((place * 2999 + turn) % filled))) }))

layer(desk, { excludeTestServices: true })("plans of the hot statements", (it) => {
  it.effect.each([
    ["nothing at all", "SELECT"],
    // The nastier one: statistics tell that one page holds all there is, and whoever believes them reads it as a whole.
    ["the statistics of a handful of rows", "ANALYZE"]
  ] as const)(
    "made with %s go by an index when there are many orders, and so do those made later",
    ([, prepare]) =>
      Effect.gen(function* () {
        const sql = yield* PgClient.PgClient
        yield* administer("TRUNCATE orders.orders, orders.order_items, orders.order_transitions, orders.outbox")
        yield* sql`DISCARD PLANS`.unprepared
        yield* create(...setOf(() => newOrder()).slice(0, 5))
        yield* administer(prepare)
        const young = yield* keepPlans
        yield* grow
        const grown = yield* operations(spread(1))
        yield* administer("ANALYZE")
        const analyzed = yield* Effect.forEach([2, 3, 4], (turn) => operations(spread(turn)))
        assert.deepStrictEqual({ young, grown, analyzed: analyzed.flat() }, { young: [], grown: [], analyzed: [] })
      }),
    120_000
  )
})
