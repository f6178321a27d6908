import * as Database from "@ecommerce/chassis/Database"
import { sqlStateOf } from "@ecommerce/sets/Isolation"
import { TestDatabase } from "@ecommerce/testing/TestDatabase"
import * as TestService from "@ecommerce/testing/TestService"
import { PgClient } from "@effect/sql-pg"
import { assert, layer } from "@effect/vitest"
import { Effect, Layer } from "effect"
import type { SqlError } from "effect/sql"

/** Nothing of the service but its login: whatever it might ever try is held to the same. */
const asTheService = TestService.database("orders").pipe(Layer.provideMerge(TestDatabase.layer))

type Status = string | null

const statuses: ReadonlyArray<Status> = [null, "CREATED", "CONFIRMED", "CANCELLED"]
const pairs = statuses.flatMap((from) =>
  [...statuses, "SHIPPED", "cancelled", ""].filter((to) => to !== from).map((to) => [from, to] as const)
)

const legalPairs: ReadonlyArray<readonly [Status, Status]> = [
  [null, "CREATED"],
  [null, "CANCELLED"],
  ["CREATED", "CONFIRMED"],
  ["CREATED", "CANCELLED"],
  ["CONFIRMED", "CANCELLED"]
]
const isLegal = ([from, to]: readonly [Status, Status]) => legalPairs.some(([a, b]) => a === from && b === to)
const illegalPairs = pairs.filter((pair) => !isLegal(pair))

const checkViolation = "23514"
const foreignKeyViolation = "23503"
const insufficientPrivilege = "42501"

/** With which SQLSTATE PostgreSQL refuses this, and what it says. */
const refusal = <A, R>(statement: Effect.Effect<A, SqlError.SqlError, R>) =>
  Effect.map(Effect.flip(statement), (error) => ({ state: sqlStateOf(error), says: Database.describe(error) }))

const versionOf = (status: Status) => (status === null ? 0 : 1)

/** A transition as it is kept: with whatever changed the order, or not at all. */
const keep = Effect.fn("keep")(function* (id: string, version: number, from: Status, to: Status) {
  const sql = yield* PgClient.PgClient
  yield* sql`
    INSERT INTO order_transitions (order_id, version, previous_status, status, cause, at)
    VALUES (${id}, ${version}, ${from}, ${to}, 'by hand', now())`
})

const insert = Effect.fn("insert")(function* (status: Status, id: string = crypto.randomUUID()) {
  const sql = yield* PgClient.PgClient
  yield* sql.withTransaction(
    Effect.gen(function* () {
      yield* sql`
        INSERT INTO orders (order_id, user_id, email, total_cents, digest, status, version)
        VALUES (${id}, ${crypto.randomUUID()}, 'ada@example.com', 5, 'digest', ${status}, ${versionOf(status)})`
      if (status !== null) yield* keep(id, 1, null, status)
    })
  )
  return id
})

const update = Effect.fn("update")(function* (id: string, from: Status, to: Status) {
  const sql = yield* PgClient.PgClient
  yield* sql.withTransaction(
    Effect.gen(function* () {
      const [row] = yield* sql<{ version: number }>`
        UPDATE orders SET status = ${to}, version = version + 1 WHERE order_id = ${id} RETURNING version`
      yield* keep(id, row?.version ?? 0, from, to)
    })
  )
})

const statusOf = Effect.fn("statusOf")(function* (id: string) {
  const sql = yield* PgClient.PgClient
  const [row] = yield* sql<{ status: Status }>`SELECT status FROM orders WHERE order_id = ${id}`
  return row?.status
})

/** An order that came to this status by legal steps. */
const orderIn = Effect.fn("orderIn")(function* (status: Status) {
  if (status !== "CONFIRMED") return yield* insert(status)
  const id = yield* insert("CREATED")
  yield* update(id, "CREATED", status)
  return id
})

layer(asTheService)("the database", (it) => {
  it.effect.each(legalPairs)("lets an order go from %s to %s, and lets that be kept", ([from, to]) =>
    Effect.gen(function* () {
      const id = yield* orderIn(from)
      yield* update(id, from, to)
      assert.strictEqual(yield* statusOf(id), to)
    })
  )

  it.effect.each(illegalPairs)("lets no order go from %s to %s", ([from, to]) =>
    Effect.gen(function* () {
      const id = yield* orderIn(from)
      assert.deepStrictEqual(yield* refusal(update(id, from, to)), {
        state: checkViolation,
        says: `the order ${id} may not become ${to ?? "<NULL>"}`
      })
      assert.strictEqual(yield* statusOf(id), from)
    })
  )

  it.effect.each([...illegalPairs.filter(([, to]) => to !== null), ["CREATED", "CREATED"] as const])(
    "lets no step from %s to %s be kept",
    ([from, to]) =>
      Effect.gen(function* () {
        const { says, state } = yield* refusal(keep(yield* insert("CREATED"), 2, from, to))
        assert.strictEqual(state, checkViolation)
        assert.include(says, '"legal"')
      })
  )

  it.effect.each(["CONFIRMED", "SHIPPED", ""])("lets no order begin as %s", (status) =>
    Effect.gen(function* () {
      const id = crypto.randomUUID()
      assert.deepStrictEqual(yield* refusal(insert(status, id)), {
        state: checkViolation,
        says: `the order ${id} may not become ${status}`
      })
    })
  )

  it.effect("commits no status whose transition was not kept, and no version that was not its turn", () =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      const id = yield* insert("CREATED")
      const alone = yield* refusal(sql`UPDATE orders SET status = 'CONFIRMED', version = 2 WHERE order_id = ${id}`)
      assert.deepStrictEqual([alone.state, alone.says.includes('"kept"')], [foreignKeyViolation, true])
      for (const change of ["version = 99", "version = 2", "status = 'CONFIRMED'", "order_id = uuidv7()"]) {
        const { state } = yield* refusal(sql.unsafe(`UPDATE orders SET ${change} WHERE order_id = '${id}'`))
        assert.strictEqual(state, checkViolation, change)
      }
      const gap = yield* refusal(keep(id, 7, "CONFIRMED", "CANCELLED"))
      assert.deepStrictEqual([gap.state, gap.says.includes('"unbroken"')], [foreignKeyViolation, true])
    })
  )

  it.effect("holds an insert that becomes an update to the same", () =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      const id = yield* orderIn("CANCELLED")
      const { state } = yield* refusal(sql`
        INSERT INTO orders (order_id, user_id, email, total_cents, digest, status, version)
        SELECT order_id, user_id, email, total_cents, digest, 'CREATED', 1 FROM orders WHERE order_id = ${id}
        ON CONFLICT (order_id) DO UPDATE SET status = excluded.status`)
      assert.strictEqual(state, checkViolation)
      assert.strictEqual(yield* statusOf(id), "CANCELLED")
    })
  )

  it.effect("lets an order be changed in all else while its status stays", () =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      for (const status of statuses) {
        const id = yield* orderIn(status)
        yield* sql`UPDATE orders SET email = 'eve@example.com', status = ${status} WHERE order_id = ${id}`
        assert.strictEqual(yield* statusOf(id), status)
      }
    })
  )

  it.effect.each([
    ["half known", "known_as_a_whole", "user_id, status, version", "uuidv7(), 'CANCELLED', 1"],
    ["known but for its digest", "known_as_a_whole", "user_id, email, total_cents", "uuidv7(), 'a@b.c', 5"],
    ["created and unknown", "cancelled_unless_known", "status, version", "'CREATED', 1"],
    ["cancelled in no step", "version_counts_transitions", "status, version", "'CANCELLED', 0"],
    ["without a status after a step", "version_counts_transitions", "version", "1"],
    ["after less than no step", "orders_version_check", "status, version", "'CANCELLED', -1"],
    [
      "of no cost",
      "total_cents",
      "user_id, email, total_cents, digest, status, version",
      "uuidv7(), 'a@b.c', 0, 'digest', 'CREATED', 1"
    ]
  ] as const)("keeps no order that is %s", ([, constraint, columns, values]) =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      const { says, state } = yield* refusal(
        sql.unsafe(`INSERT INTO orders (order_id, ${columns}) VALUES (uuidv7(), ${values})`)
      )
      assert.strictEqual(state, checkViolation)
      assert.include(says, constraint)
    })
  )

  it.effect("keeps no order half known or confirmed against its refusal later on", () =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      const id = yield* orderIn("CREATED")
      const forgotten = yield* refusal(sql`UPDATE orders SET email = NULL WHERE order_id = ${id}`)
      assert.deepStrictEqual([forgotten.state, forgotten.says.includes("known_as_a_whole")], [checkViolation, true])
      yield* sql`UPDATE orders SET confirmation_refused = true WHERE order_id = ${id}`
      const confirmed = yield* refusal(update(id, "CREATED", "CONFIRMED"))
      assert.deepStrictEqual(
        [confirmed.state, confirmed.says.includes("refused_is_not_confirmed")],
        [checkViolation, true]
      )
    })
  )

  it.effect.each([
    "CREATE OR REPLACE FUNCTION may_become(previous text, next text) RETURNS boolean LANGUAGE sql IMMUTABLE RETURN true",
    "CREATE FUNCTION may_become(previous varchar, next varchar) RETURNS boolean LANGUAGE sql IMMUTABLE RETURN true",
    "ALTER FUNCTION may_become(text, text) RENAME TO might_become",
    "DROP FUNCTION may_become(text, text) CASCADE",
    `CREATE OR REPLACE FUNCTION refuse_transition() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'`,
    "DROP TRIGGER orders_begin_legally ON orders",
    "DROP TRIGGER orders_change_legally ON orders",
    "ALTER TABLE orders DISABLE TRIGGER USER",
    "ALTER TABLE order_transitions DROP CONSTRAINT legal",
    "SET session_replication_role = replica",
    "UPDATE order_transitions SET cause = 'another'",
    "DELETE FROM order_transitions",
    "UPDATE order_items SET quantity = 1",
    "DELETE FROM orders"
  ])("does not let the service do this: %s", (statement) =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      assert.strictEqual((yield* refusal(sql.unsafe(statement).unprepared)).state, insufficientPrivilege)
    })
  )
})
