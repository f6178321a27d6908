import { isDataError } from "@ecommerce/sets/Isolation"
import { TestDatabase } from "@ecommerce/testing/TestDatabase"
import * as TestService from "@ecommerce/testing/TestService"
import { PgClient } from "@effect/sql-pg"
import { assert, layer } from "@effect/vitest"
import { Effect, Layer } from "effect"

import { authorizedOrder, historyOf } from "./fixtures/Sagas.ts"

const database = TestService.database("edge-api").pipe(Layer.provideMerge(TestDatabase.layer))

/** A state as it would be written: its version, the status that it says it comes from, and its own. */
type State = readonly [version: number, previous: string | null, status: string]

interface Case {
  readonly what: string
  /** Where the ledger says that the order is, which was authorized at version 2. */
  readonly ledger: readonly [version: number, status: string]
  readonly states: ReadonlyArray<State>
}

/** As edge's own role, in one transaction. */
const write = Effect.fn("write")(function* (orderId: string, { ledger: [version, status], states }: Case) {
  const sql = yield* PgClient.PgClient
  yield* sql.withTransaction(
    Effect.gen(function* () {
      yield* sql`UPDATE order_ledger SET version = ${version}, status = ${status} WHERE order_id = ${orderId}::uuid`
      yield* Effect.forEach(
        states,
        ([at, previous, next]) => sql`
          INSERT INTO order_states (order_id, version, previous_status, status, reason)
          VALUES (${orderId}::uuid, ${at}, ${previous}, ${next}, '{"code": "test", "detail": null}')`
      )
    })
  )
})

const created: State = [3, "AUTHORIZED", "ORDER_CREATED"]

const legal: ReadonlyArray<Case> = [
  { what: "one step", ledger: [3, "ORDER_CREATED"], states: [created] },
  {
    what: "a step over states that nobody told of",
    ledger: [3, "COMPLETED"],
    states: [[3, "AUTHORIZED", "COMPLETED"]]
  },
  {
    what: "several steps",
    ledger: [6, "FAILED"],
    states: [
      created,
      [4, "ORDER_CREATED", "COMPLETED"],
      [5, "COMPLETED", "COMPENSATING"],
      [6, "COMPENSATING", "FAILED"]
    ]
  }
]

const illegal: ReadonlyArray<Case> = [
  { what: "a state that was not kept", ledger: [3, "ORDER_CREATED"], states: [] },
  {
    what: "several of which only the last was kept",
    ledger: [4, "COMPLETED"],
    states: [[4, "ORDER_CREATED", "COMPLETED"]]
  },
  { what: "several of which the last was not kept", ledger: [4, "COMPLETED"], states: [created] },
  { what: "another status than its last state", ledger: [3, "COMPLETED"], states: [created] },
  {
    what: "another status than the last of several",
    ledger: [4, "COMPLETED"],
    states: [created, [4, "ORDER_CREATED", "INVENTORY_RESERVED"]]
  },
  { what: "a status to which no step leads", ledger: [3, "AWAITING_AUTHORIZATION"], states: [] },
  { what: "the same status again", ledger: [3, "AUTHORIZED"], states: [[3, "AUTHORIZED", "AUTHORIZED"]] },
  {
    what: "a way back among several steps",
    ledger: [5, "COMPLETED"],
    states: [
      [3, "AUTHORIZED", "PAYMENT_CAPTURED"],
      [4, "PAYMENT_CAPTURED", "ORDER_CREATED"],
      [5, "ORDER_CREATED", "COMPLETED"]
    ]
  },
  {
    what: "a chain that does not begin where the order was",
    ledger: [4, "FAILED"],
    states: [
      [3, "COMPLETED", "COMPENSATING"],
      [4, "COMPENSATING", "FAILED"]
    ]
  },
  {
    what: "a chain with a link that says another status than the one before it has",
    ledger: [4, "COMPLETED"],
    states: [created, [4, "PAYMENT_CAPTURED", "COMPLETED"]]
  },
  {
    what: "a state that comes from nothing",
    ledger: [3, "AWAITING_AUTHORIZATION"],
    states: [[3, null, "ORDER_CREATED"]]
  },
  {
    what: "a second beginning",
    ledger: [4, "AUTHORIZED"],
    states: [
      [3, null, "AWAITING_AUTHORIZATION"],
      [4, "AWAITING_AUTHORIZATION", "AUTHORIZED"]
    ]
  },
  { what: "the same version again", ledger: [2, "AUTHORIZED"], states: [] },
  { what: "a lower version", ledger: [1, "AWAITING_AUTHORIZATION"], states: [] }
]

layer(database, { excludeTestServices: true })("the states of an order", (it) => {
  it.effect.each(legal)("may be $what", (one) =>
    Effect.gen(function* () {
      const id = yield* authorizedOrder
      yield* write(id, one)
      assert.deepStrictEqual(
        (yield* historyOf(id)).slice(2).map(({ status, version }) => [version, status]),
        one.states.map(([version, , status]) => [version, status])
      )
    })
  )

  it.effect.each(illegal)("cannot be $what, whatever a program of edge's does", (one) =>
    Effect.gen(function* () {
      const id = yield* authorizedOrder
      const error = yield* Effect.flip(write(id, one))
      assert.isTrue(isDataError(error), String(error))
      assert.lengthOf(yield* historyOf(id), 2)
    })
  )
})
