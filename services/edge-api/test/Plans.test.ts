import { OrderId, ProductId, UserId } from "@ecommerce/contracts/Ids"
import { InventoryClient } from "@ecommerce/contracts/Inventory"
import * as Plans from "@ecommerce/testing/Plans"
import { PgClient } from "@effect/sql-pg"
import { assert, layer } from "@effect/vitest"
import { ConfigProvider, DateTime, Duration, Effect, Layer, Redacted } from "effect"

import { Cancellations } from "../src/Cancellations.ts"
import { Checkouts } from "../src/Checkouts.ts"
import type { Decision, Draft, OpenOrder } from "../src/Checkouts/Requests.ts"
import { Ledger } from "../src/Ledger.ts"
import { Prices } from "../src/Prices.ts"

const setSize = 100
const filled = 300_000
const users = 10

/** Of one table by one operation on a set of a hundred: a few for each, and far below a look at all rows. */
const mostRowsRead = 20 * setSize

const setOf = <A>(item: (place: number) => A) => Array.from({ length: setSize }, (_, place) => item(place))
/** One of the many, once they are there: in the ninth turn. */
const productIn = (turn: number, place: number) =>
  ProductId.make(Plans.numbered(turn < 9 ? filled + 1 + turn * setSize + place : 1 + ((place * 2999 + turn) % filled)))

/** Knows every product; only how prices are kept is looked at here. */
const inventory = Layer.succeed(
  InventoryClient,
  InventoryClient.of({
    reserveStock: () => Effect.die("nobody asks for it"),
    releaseStock: () => Effect.die("nobody asks for it"),
    consume: () => Effect.die("nobody asks for it"),
    findProducts: (ids) =>
      Effect.succeed(
        ids.map((id) => ({
          id,
          name: "Widget",
          sku: "WIDGET",
          priceCents: 100,
          stockQuantity: 0,
          active: true,
          version: 1,
          createdAt: DateTime.makeUnsafe(0)
        }))
      )
  })
)

const tables = Layer.mergeAll(Checkouts.layer, Prices.layer, Cancellations.layer).pipe(
  Layer.provideMerge(Ledger.layer),
  Layer.provide(inventory),
  Layer.provide(ConfigProvider.layer(ConfigProvider.fromUnknown({ CHECKOUT_LEASE: "0 seconds" }))),
  Layer.provideMerge(Plans.database("edge-api"))
)

const draft = (turn: number, place: number): Draft => ({
  key: crypto.randomUUID(),
  digest: "digest",
  token: Redacted.make("tok_visa_success"),
  traceparent: null,
  userId: UserId.make(Plans.numbered(1 + (place % users))),
  email: "anna@example.com",
  lines: [
    { productId: productIn(turn, 0), quantity: 1, unitPriceCents: 100 },
    { productId: productIn(turn, place), quantity: 2, unitPriceCents: 100 }
  ]
})

const decisionOf = (order: OpenOrder, place: number): Decision => ({
  order,
  failure: place % 2 === 0 ? null : { code: "payment_declined", detail: null },
  status: place % 2 === 0 ? 202 : 402,
  body: "{}"
})

/** All the way, of each of them. */
const sagaOf = (orderIds: ReadonlyArray<OrderId>) =>
  (["ORDER_CREATED", "INVENTORY_RESERVED", "PAYMENT_CAPTURED", "COMPLETED"] as const).flatMap((status) =>
    orderIds.map((orderId) => ({ orderId, status, reason: null, at: DateTime.makeUnsafe(0) }))
  )

/** What is forgotten goes in portions of five thousand. */
const overreadPortions = Plans.overread("edge-api", 20_000)
const overreadBy = Plans.overread("edge-api", mostRowsRead)

/** Every operation once, on a hundred orders that are new and a hundred that are there. */
const operations = Effect.fn("operations")(function* (turn: number) {
  const checkouts = yield* Checkouts
  const ledger = yield* Ledger
  const prices = yield* Prices
  const cancellations = yield* Cancellations
  const sql = yield* PgClient.PgClient
  const drafts = setOf((place) => draft(turn, place))
  const keys = [...drafts.map(({ key }) => key), ...setOf((place) => `old-${place * 2999 + turn}`)]
  const old = setOf((place) => OrderId.make(Plans.numbered(1 + ((place * 2999 + turn) % filled))))
  const entered = yield* overreadBy("open", checkouts.open(drafts))
  const mine = [...(yield* checkouts.look(keys)).values()].slice(0, setSize).map(({ orderId }) => orderId)
  // The lease is over at once here.
  const open = yield* checkouts.take(mine)
  const ids = [...mine, ...old]
  const userId = UserId.make(Plans.numbered(3))
  const lines = setOf((place) => ({ product_id: productIn(turn, place), quantity: 1 }))
  return [
    ...entered,
    ...(yield* Effect.all([
      overreadBy("open again", checkouts.open(drafts)),
      overreadBy("look", checkouts.look(keys)),
      overreadBy("take what is answered", checkouts.take(old)),
      overreadBy("take", checkouts.take(mine)),
      overreadBy("mark", checkouts.mark(open.slice(0, 50))),
      overreadBy("take what is abandoned", checkouts.takeDue("OPEN", Duration.zero)),
      overreadBy("take what is unclaimed", checkouts.takeDue("MARKED", Duration.days(1))),
      overreadBy("take what is lapsing", checkouts.takeDue("LAPSING", Duration.days(1))),
      Effect.flatMap(checkouts.take(mine), (taken) => overreadBy("answer", checkouts.answer(taken.map(decisionOf)))),
      overreadBy("follow", sql.withTransaction(ledger.follow(sagaOf(ids)))),
      overreadBy("follow again", sql.withTransaction(ledger.follow(sagaOf(ids)))),
      overreadBy("cancel", cancellations.request(ids)),
      overreadBy("cancel again", cancellations.request(ids)),
      overreadBy("find", ledger.find(ids)),
      overreadBy("versions", ledger.versions(ids)),
      overreadBy("states", ledger.statesAfter({ orderId: mine[0] ?? OrderId.make(Plans.numbered(1)), version: 0 })),
      overreadBy("page", ledger.page({ userId, before: undefined, limit: setSize })),
      overreadBy("page after", ledger.page({ userId, before: old[0], limit: setSize })),
      overreadBy("price", prices.price(lines)),
      overreadBy("price again", prices.price(lines)),
      overreadPortions("forget", checkouts.forget(Duration.days(1)))
    ])).flat()
  ]
})

/** Orders of a few users with a line, a state and an answered request each, as if they had come one by one. */
const rows = [
  `order_ledger (order_id, user_id, email, total_cents, currency, status)
    SELECT ${Plans.idOf("n")}, ${Plans.idOf(`1 + n % ${users}`)}, 'anna@example.com', 100, 'USD', 'AWAITING_AUTHORIZATION'`,
  `order_lines (order_id, line, product_id, quantity, unit_price_cents)
    SELECT ${Plans.idOf("n")}, 1, ${Plans.idOf("n")}, 1, 100`,
  `order_states (order_id, version, status) SELECT ${Plans.idOf("n")}, 1, 'AWAITING_AUTHORIZATION'`,
  `checkouts (order_id, idempotency_key, digest, lease_until, status, body)
    SELECT ${Plans.idOf("n")}, 'old-' || n, 'digest', now() - interval '2 days', 202, '{}'`,
  `prices (product_id, price_cents, active, version, known_at)
    SELECT ${Plans.idOf("n")}, 100, true, 1, now() - interval '1 hour'`
]

layer(tables, { excludeTestServices: true })("plans of the hot statements", (it) => {
  it.effect.each(Plans.beginnings)(
    "made with %s go by an index when there are many orders, and so do those made later",
    ([, prepare]) =>
      Effect.gen(function* () {
        const growth = {
          service: "edge-api",
          tables: ["order_ledger", "order_lines", "order_states", "cancellations", "checkouts", "prices", "outbox"],
          begin: operations(0),
          operations,
          rows,
          count: filled,
          leastKept: 40
        }
        assert.deepStrictEqual(yield* Plans.overreadWhileGrowing(growth, prepare), Plans.allWell)
      })
  )
})
