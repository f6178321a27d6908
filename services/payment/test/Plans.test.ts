import { Health } from "@ecommerce/chassis/Health"
import * as Settings from "@ecommerce/chassis/Settings"
import { OrderId } from "@ecommerce/contracts/Ids"
import * as Plans from "@ecommerce/testing/Plans"
import { TestDatabase } from "@ecommerce/testing/TestDatabase"
import { PgClient } from "@effect/sql-pg"
import { assert, layer } from "@effect/vitest"
import { ConfigProvider, Duration, Effect, Layer } from "effect"

import { nouns } from "../src/Http.ts"
import { Reconciliation } from "../src/Reconciliation.ts"
import { authorize, cancel, capture, newBill, newOrderId } from "./fixtures/Till.ts"

const given = Settings.providerOf({
  MOCK_LATENCY_MS: "0",
  MOCK_FAILURE_RATE: "0",
  PROCESSOR_TIMEOUT: "30 seconds",
  PROCESSOR_BREAKER_FAILURES: "1000000"
})

const till = nouns.pipe(
  Layer.provide(Health.layer),
  Layer.provide(ConfigProvider.layer(Effect.succeed(given))),
  Layer.provideMerge(Plans.database("payment"))
)

const setSize = 100
const filled = 200_000

/** Of one table by one operation on a set of a hundred: a few for each, and far below a look at all rows. */
const mostRowsRead = 30 * setSize

const setOf = <A>(item: (place: number) => A) => Array.from({ length: setSize }, (_, place) => item(place))

const overreadBy = Plans.overread("payment", mostRowsRead)

interface Due {
  readonly orderId: OrderId
  readonly amountCents: number
}

/** Every operation once, on sets of a hundred new payments and of a hundred that are there. */
const operations = Effect.fn("operations")(function* (known: ReadonlyArray<Due>) {
  const { settleLate } = yield* Reconciliation
  const bills = setOf(() => newBill())
  const lost = setOf(() => newBill("tok_lost_reply"))
  const mixed = [...bills.slice(50), ...known.slice(50)]
  const unknown = setOf(() => ({ orderId: newOrderId(), amountCents: 5 }))
  return (yield* Effect.all([
    overreadBy("authorize", authorize(...bills)),
    overreadBy("authorize again", authorize(...bills)),
    overreadBy("authorize without a reply", authorize(...lost)),
    overreadBy("settle what is late", settleLate(Duration.zero)),
    overreadBy("settle what is late again", settleLate(Duration.zero)),
    overreadBy("capture", capture(...mixed)),
    overreadBy("capture again", capture(...mixed)),
    overreadBy("capture what is not there", capture(...unknown)),
    overreadBy("cancel what is held", cancel(...bills.slice(0, 50), ...known.slice(0, 50))),
    overreadBy("cancel what was taken", cancel(...mixed)),
    overreadBy("cancel again", cancel(...mixed)),
    overreadBy("cancel before authorize", cancel(...setOf(() => ({ orderId: newOrderId() })))),
    overreadBy("authorize after cancel", authorize(...bills))
  ])).flat()
})

const administer = (statement: string) =>
  Effect.flatMap(TestDatabase, ({ administrator }) => administrator.unsafe(statement).unprepared)

/** After five runs with plans of their own, PostgreSQL keeps one plan for all later ones. */
const keepPlans = Effect.gen(function* () {
  const young = Effect.suspend(() => operations(unheardOf()))
  const overread = yield* Effect.forEach(Array.from({ length: 6 }), () => young)
  const before = yield* Plans.runsOfKeptPlans
  const last = yield* young
  assert.isAtLeast((yield* Plans.runsOfKeptPlans) - before, 40, "too few plans are kept to learn anything from it")
  return [...overread, last].flat()
})
const unheardOf = () => setOf(() => ({ orderId: newOrderId(), amountCents: 5 }))

const numbered = (number: number) => `00000000-0000-7000-8000-${number.toString(16).padStart(12, "0")}`

/** Payments that are held, in both books, as if they had come one by one. */
const grow = Effect.gen(function* () {
  const { administrator } = yield* TestDatabase
  const order = `('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid`
  const reference = `'auth_' || lpad(to_hex(n), 32, '0')`
  const statements = [
    `payments (order_id, authorization_id, amount_cents, currency, digest, is_open, version)
      SELECT ${order}, ${reference}, 5, 'USD', 'digest', false, 1`,
    `authorizations (authorization_id, amount_cents) SELECT ${reference}, 5`,
    `processor_payments (reference, state, authorized_cents) SELECT ${reference}, 'AUTHORIZED', 5`,
    `processor_operations (key, reference, operation, amount_cents)
      SELECT ${reference} || '/authorize', ${reference}, 'authorize', 5`
  ]
  yield* administrator.withTransaction(
    Effect.gen(function* () {
      // Foreign keys and triggers are not looked at.
      yield* administrator`SET LOCAL session_replication_role = replica`.unprepared
      for (const statement of statements) {
        yield* administrator.unsafe(`INSERT INTO payment.${statement} FROM generate_series(1, ${filled}) AS n`)
          .unprepared
      }
    })
  )
})

/** A hundred payments from everywhere among those, others each time. */
const spread = (turn: number) =>
  setOf((place) => ({ orderId: OrderId.make(numbered(1 + ((place * 1999 + turn) % filled))), amountCents: 5 }))

const tables = [
  "payments",
  "authorizations",
  "captures",
  "voids",
  "refunds",
  "capture_refusals",
  "processor_payments",
  "processor_operations",
  "outbox"
]

layer(till, { excludeTestServices: true })("plans of the hot statements", (it) => {
  it.effect.each([
    ["nothing at all", "SELECT"],
    // The nastier one: statistics tell that one page holds all there is, and whoever believes them reads it as a whole.
    ["the statistics of a handful of rows", "ANALYZE"]
  ] as const)(
    "made with %s go by an index when there are many payments, and so do those made later",
    ([, prepare]) =>
      Effect.gen(function* () {
        const sql = yield* PgClient.PgClient
        yield* administer(`TRUNCATE ${tables.map((table) => `payment.${table}`).join(", ")}`)
        yield* sql`DISCARD PLANS`.unprepared
        const few = setOf(() => newBill()).slice(0, 5)
        yield* authorize(...few)
        yield* capture(...few.slice(2))
        yield* cancel(...few.slice(1, 4))
        yield* administer(prepare)
        const young = yield* keepPlans
        yield* grow
        const grown = yield* operations(spread(1))
        yield* administer("ANALYZE")
        const analyzed = yield* Effect.forEach([2, 3, 4], (turn) => operations(spread(turn)))
        assert.deepStrictEqual({ young, grown, analyzed: analyzed.flat() }, { young: [], grown: [], analyzed: [] })
      }),
    240_000
  )
})
