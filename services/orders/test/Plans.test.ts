import { OrderId, UserId } from "@ecommerce/contracts/Ids"
import * as Plans from "@ecommerce/testing/Plans"
import { idOf, numbered } from "@ecommerce/testing/Plans"
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

/** Orders of a few users with a line and a transition each, as if they had come one by one. */
const rows = [
  `orders (order_id, user_id, email, total_cents, digest, status, version)
    SELECT ${idOf("n")}, ${idOf(`n % ${users}`)}, 'ada@example.com', 5, 'digest', 'CREATED', 1`,
  `order_items (order_id, line, product_id, quantity, unit_price_cents) SELECT ${idOf("n")}, 1, uuidv7(), 1, 5`,
  `order_transitions (order_id, version, status, cause, at) SELECT ${idOf("n")}, 1, 'CREATED', 'create-order', now()`
]

/** A hundred orders from everywhere among those, others each time. */
const spread = (turn: number) =>
  setOf((place) => ({ orderId: OrderId.make(numbered(1 + ((place * 2999 + turn) % filled))) }))

layer(desk, { excludeTestServices: true })("plans of the hot statements", (it) => {
  it.effect.each(Plans.beginnings)(
    "made with %s go by an index when there are many orders, and so do those made later",
    ([, prepare]) =>
      Effect.gen(function* () {
        const growth = {
          service: "orders",
          tables: ["orders", "order_items", "order_transitions", "outbox"],
          begin: create(...setOf(() => newOrder()).slice(0, 5)),
          operations: (turn: number) => operations(turn < 9 ? setOf(() => newOrder()) : spread(turn)),
          rows,
          count: filled,
          leastKept: 40
        }
        assert.deepStrictEqual(yield* Plans.overreadWhileGrowing(growth, prepare), Plans.allWell)
      })
  )
})
