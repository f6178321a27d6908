import * as Audit from "@ecommerce/audit/Audit"
import * as Books from "@ecommerce/audit/Books"
import { isClean } from "@ecommerce/audit/Report"
import { auditor } from "@ecommerce/chassis/Names"
import { TestDatabase } from "@ecommerce/testing/TestDatabase"
import { assert, layer } from "@effect/vitest"
import { Effect, Exit } from "effect"

import { orders, world } from "./fixtures/World.ts"

const openBooks = Effect.flatMap(TestDatabase, ({ urlOf }) => Books.open(() => urlOf(auditor)))

/** Which invariants do not hold. */
const broken = Effect.gen(function* () {
  const { findings, moving } = yield* Audit.run(yield* openBooks)
  assert.deepStrictEqual(moving, [])
  return findings.filter(({ violations }) => violations.length > 0).map(({ invariant }) => invariant)
})

/** As somebody would who has all rights and no scruples: triggers and keys are left aside. */
const breakBy = Effect.fn("breakBy")(function* (...statements: ReadonlyArray<string>) {
  const { administrator: sql } = yield* TestDatabase
  yield* sql.withTransaction(
    Effect.gen(function* () {
      yield* sql`SET LOCAL session_replication_role = replica`.unprepared
      for (const statement of statements) {
        const rows = yield* sql.unsafe(`${statement} RETURNING 1 AS one`).unprepared
        assert.isAbove(rows.length, 0, statement)
      }
    })
  )
})

const { cancelled, completed, failed } = orders

/** Each invariant, broken once; with whatever else cannot be true any more then. */
const breaks: ReadonlyArray<
  readonly [title: string, statements: ReadonlyArray<string>, broken: ReadonlyArray<string>]
> = [
  [
    "an order without a saga",
    [`DELETE FROM orchestrator.sagas WHERE key = '${completed}'`],
    [
      "every order behind its authorization has a saga, and every saga its order",
      "nothing is on its way for longer than it may be, and nothing is stuck",
      "captured less refunded is what completed orders are worth, in payment's and the processor's books"
    ]
  ],
  [
    "a saga that is stuck",
    [
      `UPDATE orchestrator.sagas SET status = 'COMPENSATING', step = 'create-order', stuck = 'rejected', ended_at = NULL WHERE key = '${failed}'`
    ],
    ["nothing is on its way for longer than it may be, and nothing is stuck"]
  ],
  [
    "a ledger that does not know the end",
    [`UPDATE edge_api.order_ledger SET status = 'PAYMENT_CAPTURED' WHERE order_id = '${completed}'`],
    ["the ledger tells how each order has ended"]
  ],
  [
    "an order that was never confirmed",
    [`UPDATE orders.orders SET status = 'CREATED' WHERE order_id = '${completed}'`],
    ["the orders service agrees: confirmed where kept, cancelled where undone"]
  ],
  [
    "an order that nobody cancelled",
    [`UPDATE orders.orders SET status = 'CREATED' WHERE order_id = '${failed}'`],
    ["the orders service agrees: confirmed where kept, cancelled where undone"]
  ],
  [
    "an order of another worth",
    [`UPDATE orders.orders SET total_cents = total_cents + 1 WHERE order_id = '${completed}'`],
    ["the orders service agrees: confirmed where kept, cancelled where undone"]
  ],
  [
    "stock that was not given back",
    [`UPDATE inventory.reservations SET state = 'RESERVED' WHERE order_id = '${cancelled}'`],
    [
      "inventory agrees: held where kept, given back or refused where undone",
      "stock is what was added, less what is held and sold"
    ]
  ],
  [
    "stock that was given back too soon",
    [`UPDATE inventory.reservations SET state = 'RELEASED' WHERE order_id = '${completed}'`],
    [
      "inventory agrees: held where kept, given back or refused where undone",
      "stock is what was added, less what is held and sold"
    ]
  ],
  [
    "stock out of nothing",
    ["UPDATE inventory.products SET stock_quantity = stock_quantity + 1"],
    ["the stock of every product is the sum of its adjustments", "stock is what was added, less what is held and sold"]
  ],
  [
    "an order that nobody paid",
    [
      `DELETE FROM payment.captures WHERE authorization_id = (SELECT authorization_id FROM payment.payments WHERE order_id = '${completed}')`
    ],
    [
      "payment agrees: captured in full where kept, nothing taken or held where not",
      "the processor's own books agree with payment's",
      "captured less refunded is what completed orders are worth, in payment's and the processor's books"
    ]
  ],
  [
    "money that is still held",
    [
      `DELETE FROM payment.voids WHERE authorization_id = (SELECT authorization_id FROM payment.payments WHERE order_id = '${failed}')`
    ],
    ["payment agrees: captured in full where kept, nothing taken or held where not"]
  ],
  [
    "money that the processor still holds",
    [
      `UPDATE payment.processor_payments SET state = 'AUTHORIZED' WHERE reference = (SELECT authorization_id FROM payment.payments WHERE order_id = '${failed}')`
    ],
    ["the processor's own books agree with payment's"]
  ],
  [
    "a refund that the processor does not know of",
    [
      `UPDATE payment.processor_payments SET refunded_cents = 0 WHERE reference = (SELECT authorization_id FROM payment.payments WHERE order_id = '${cancelled}')`
    ],
    [
      "the processor's own books agree with payment's",
      "captured less refunded is what completed orders are worth, in payment's and the processor's books"
    ]
  ],
  [
    "a capture that was done twice",
    [
      `INSERT INTO payment.processor_operations (key, reference, operation, amount_cents)
       SELECT 'again', reference, operation, amount_cents FROM payment.processor_operations WHERE operation = 'capture' LIMIT 1`
    ],
    ["the processor did nothing twice for an order"]
  ],
  [
    "a step that was done twice",
    [
      `INSERT INTO orchestrator.saga_journal (saga_id, seq, kind, step, attempt, outcome)
       SELECT saga_id, 99, kind, step, attempt, outcome FROM orchestrator.saga_journal WHERE outcome = 'done' LIMIT 1`
    ],
    ["no step of a saga is done twice"]
  ],
  [
    "a cancel that came to nothing",
    [`INSERT INTO edge_api.cancellations (order_id, requested_at) VALUES ('${completed}', now() - interval '1 hour')`],
    ["whoever has cancelled an order does not have it"]
  ],
  [
    "an order that is in no ledger",
    [`INSERT INTO orders.orders (order_id, status, version) VALUES (uuidv7(), 'CANCELLED', 1)`],
    ["every order behind its authorization has a saga, and every saga its order"]
  ],
  [
    "money at the processor that is nobody's",
    [
      `INSERT INTO payment.processor_payments (reference, state, authorized_cents) VALUES ('auth_of_nobody', 'AUTHORIZED', 5)`
    ],
    ["the processor has nobody's money"]
  ],
  [
    "an event that was put aside",
    [
      `INSERT INTO edge_api.dead_letters (consumer, event_id, event, error) SELECT consumer, '1.1.1', '{}', 'no' FROM edge_api.feed_cursors LIMIT 1`
    ],
    ["no consumer is paused, or has put an event aside"]
  ],
  [
    "an event that nobody reads",
    [
      `INSERT INTO orders.outbox (type, subject, version, data, created_at) VALUES ('order.lost', 'x', 1, '{}', now() - interval '1 hour')`,
      "INSERT INTO orders.outbox_consumers (name, generation, xid, seq) VALUES ('somebody', 1, '1', 1)"
    ],
    ["every consumer has read its feed to the end"]
  ],
  [
    "a request without an answer",
    [
      `UPDATE edge_api.checkouts SET status = NULL, body = NULL, token = 'tok_x', lease_until = now() - interval '1 hour' WHERE order_id = '${completed}'`
    ],
    ["every request for an order has its answer"]
  ]
]

for (const [title, statements, invariants] of breaks) {
  layer(world, { excludeTestServices: true })(title, (it) => {
    it.effect("is found, and nothing else is", () =>
      Effect.gen(function* () {
        assert.deepStrictEqual(yield* broken, [])
        yield* breakBy(...statements)
        assert.deepStrictEqual(yield* broken, invariants)
      })
    )
  })
}

const moving: ReadonlyArray<readonly [title: string, statements: ReadonlyArray<string>]> = [
  [
    "an order of long ago that is being taken back",
    [
      `UPDATE orchestrator.sagas SET deadline_at = now() - interval '5 hours', updated_at = now() - interval '5 hours' WHERE key = '${cancelled}' AND definition = 'place-order'`,
      `UPDATE orchestrator.sagas SET status = 'RUNNING', step = 'restock', ended_at = NULL, due_at = now(), updated_at = now() WHERE key = '${cancelled}' AND definition = 'cancel-order'`
    ]
  ],
  [
    "an order whose end was not told yet",
    [
      `UPDATE orchestrator.sagas SET updated_at = now() WHERE key = '${failed}'`,
      `UPDATE edge_api.order_ledger SET status = 'COMPENSATING' WHERE order_id = '${failed}'`
    ]
  ],
  [
    "an order that was cancelled a moment ago",
    [`INSERT INTO edge_api.cancellations (order_id) VALUES ('${completed}')`]
  ]
]

for (const [title, statements] of moving) {
  layer(world, { excludeTestServices: true })(title, (it) => {
    it.effect("is on its way, and judged by nobody", () =>
      Effect.gen(function* () {
        yield* breakBy(...statements)
        const report = yield* Audit.run(yield* openBooks)
        assert.deepStrictEqual(report.moving, ["1 orders are on their way"])
        assert.isTrue(isClean(report))
      })
    )
  })
}

layer(world, { excludeTestServices: true })("the auditor", (it) => {
  it.effect("may look at everything, and change nothing", () =>
    Effect.gen(function* () {
      const { edge, orders } = yield* openBooks
      assert.isTrue(isClean(yield* Audit.run(yield* openBooks)))
      for (const statement of [
        edge`UPDATE edge_api.prices SET price_cents = 1`,
        edge`DELETE FROM edge_api.outbox`,
        orders`INSERT INTO orders.outbox_consumers (name, generation, xid, seq) VALUES ('me', 1, '1', 1)`,
        edge`CREATE TABLE edge_api.mine (id integer)`.unprepared,
        edge`CREATE TEMPORARY TABLE mine (id integer)`.unprepared
      ]) {
        const error = yield* Effect.flip(statement)
        assert.strictEqual(error._tag, "SqlError")
        assert.isTrue(
          Exit.isFailure(
            yield* Effect.exit(Effect.andThen(edge`SET default_transaction_read_only = off`.unprepared, statement))
          )
        )
      }
    })
  )

  it.effect("is nobody that a service could be", () =>
    Effect.gen(function* () {
      const { administrator } = yield* TestDatabase
      const members = yield* administrator`
        SELECT FROM pg_auth_members JOIN pg_roles ON pg_roles.oid = member WHERE rolname LIKE 'ecommerce_%'`
      assert.strictEqual(members.length, 0)
    })
  )
})
