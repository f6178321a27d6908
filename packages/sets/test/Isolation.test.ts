import { isolated, type Operation, sqlStateOf } from "@ecommerce/sets/Isolation"
import { integers, rowsOf, texts } from "@ecommerce/sets/Sets"
import { TestDatabase } from "@ecommerce/testing/TestDatabase"
import { assert, describe, it, layer } from "@effect/vitest"
import { Deferred, Effect, Layer, Schema } from "effect"
import { SqlError } from "effect/sql"
import * as fc from "fast-check"

interface Parcel {
  readonly key: string
  readonly weight: number
  readonly label: string
  readonly sentOn: string
}

const ordinary = { weight: 1, label: "fragile", sentOn: "2026-11-21" }
const parcel = (key: string, changed: Partial<Parcel> = {}): Parcel => ({ key, ...ordinary, ...changed })
const parcels = (count: number) => Array.from({ length: count }, (_, index) => parcel(`p${index}`))

const onParcels: Omit<Operation<Parcel, string, never>, "run"> = {
  keyOf: ({ key }) => key,
  contentOf: ({ label, sentOn, weight }) => JSON.stringify([weight, label, sentOn]),
  onBadItem: ({ key }) => `${key} is bad`
}

type Run = (parcels: ReadonlyArray<Parcel>) => Effect.Effect<ReadonlyArray<string>, SqlError.SqlError>

/** The operation, and the sets for which it was run, one a transaction. */
const watched = (run: Run) => {
  const transactions: Array<ReadonlyArray<string>> = []
  const accept = isolated({
    ...onParcels,
    run: (parcels) =>
      Effect.suspend(() => {
        transactions.push(parcels.map(({ key }) => key))
        return run(parcels)
      })
  })
  return { accept, transactions }
}

/** An operation whose runs fail with these, one after the other, and then end well. */
const scripted = (...failures: ReadonlyArray<SqlError.SqlErrorReason>) => {
  const left = failures.values()
  return watched((parcels) => {
    const { value: reason } = left.next()
    return reason === undefined
      ? Effect.succeed(parcels.map(({ key }) => `${key} is stored`))
      : Effect.fail(new SqlError.SqlError({ reason }))
  })
}

const deadlock = new SqlError.DeadlockError({ cause: { code: "40P01" } })
const notSerializable = new SqlError.SerializationError({ cause: { code: "40001" } })
const brokenCheck = new SqlError.ConstraintError({ cause: { code: "23514" } })
const lostConnection = new SqlError.ConnectionError({ cause: { code: "08006" } })

describe("an operation on a set", () => {
  it.live("runs nothing for an empty set", () =>
    Effect.gen(function* () {
      const { accept, transactions } = scripted()
      assert.deepStrictEqual(yield* accept([]), [])
      assert.deepStrictEqual(transactions, [])
    })
  )

  it.live("runs once what is asked for twice, and answers both", () =>
    Effect.gen(function* () {
      const { accept, transactions } = scripted()
      const outcomes = yield* accept([parcel("a"), parcel("b"), parcel("a")])
      assert.deepStrictEqual(outcomes, ["a is stored", "b is stored", "a is stored"])
      assert.deepStrictEqual(transactions, [["a", "b"]])
    })
  )

  it.live("runs what asks for something else under a key afterwards, as a later request would", () =>
    Effect.gen(function* () {
      const { accept, transactions } = scripted()
      const outcomes = yield* accept([parcel("a"), parcel("a", { weight: 2 }), parcel("b"), parcel("a")])
      assert.deepStrictEqual(outcomes, ["a is stored", "a is stored", "b is stored", "a is stored"])
      assert.deepStrictEqual(transactions, [["a", "b"], ["a"]])
    })
  )

  it.live("runs again as a whole, and not in halves, when another one was in its way", () =>
    Effect.gen(function* () {
      const { accept, transactions } = scripted(deadlock, notSerializable)
      assert.deepStrictEqual(yield* accept(parcels(2)), ["p0 is stored", "p1 is stored"])
      assert.deepStrictEqual(transactions, [
        ["p0", "p1"],
        ["p0", "p1"],
        ["p0", "p1"]
      ])
    })
  )

  it.live("fails when another one is in its way each time, after six runs", () =>
    Effect.gen(function* () {
      const { accept, transactions } = scripted(...Array.from({ length: 100 }, () => deadlock))
      assert.strictEqual(sqlStateOf(yield* Effect.flip(accept(parcels(2)))), "40P01")
      assert.strictEqual(transactions.length, 6)
    })
  )

  it.live("fails as a whole when a half of it fails by something else than its data, and runs nothing more", () =>
    Effect.gen(function* () {
      const { accept, transactions } = scripted(brokenCheck, lostConnection)
      assert.strictEqual((yield* Effect.flip(accept(parcels(4)))).reason, lostConnection)
      assert.deepStrictEqual(transactions, [
        ["p0", "p1", "p2", "p3"],
        ["p0", "p1"]
      ])
    })
  )
})

const depotLayer = Layer.effectDiscard(
  Effect.gen(function* () {
    const { administrator: sql } = yield* TestDatabase
    yield* sql`
      CREATE TABLE parcels (
        number integer NOT NULL,
        key text PRIMARY KEY,
        weight smallint NOT NULL CHECK (weight > 0),
        label text NOT NULL,
        sent_on date NOT NULL
      )`
  })
).pipe(Layer.provideMerge(TestDatabase.layer))

const rows = rowsOf(Schema.Struct({ key: Schema.String, number: Schema.Int }))

/** An empty table of parcels, which gives each a number in the order of their coming, and what stores them in it. */
const emptyDepot = Effect.gen(function* () {
  const { administrator: sql } = yield* TestDatabase
  yield* sql`TRUNCATE parcels`
  const store = Effect.fn("store")(function* (parcels: ReadonlyArray<Parcel>) {
    const inserted = yield* rows(sql`
      INSERT INTO parcels (number, key, weight, label, sent_on)
      SELECT (SELECT count(*) FROM parcels) + place, key, weight, label, sent_on::date
      FROM unnest(
        ${texts(parcels.map(({ key }) => key))},
        ${integers(parcels.map(({ weight }) => weight))},
        ${texts(parcels.map(({ label }) => label))},
        ${texts(parcels.map(({ sentOn }) => sentOn))}
      ) WITH ORDINALITY AS input (key, weight, label, sent_on, place)
      RETURNING key, number`)
    const numbers = new Map(inserted.map(({ key, number }) => [key, number]))
    return parcels.map(({ key }) => `${key} has number ${numbers.get(key)}`)
  })
  const stored = Effect.map(rows(sql`SELECT * FROM parcels ORDER BY number`), (all) => all.map(({ key }) => key))
  return { ...watched((parcels) => sql.withTransaction(store(parcels))), store, stored, sql }
})

const poisons: ReadonlyArray<readonly [what: string, state: string, change: Partial<Parcel>]> = [
  ["a value that a CHECK forbids", "23514", { weight: 0 }],
  ["a number too large for its column", "22003", { weight: 40_000 }],
  ["a number that cannot even be sent", "", { weight: 2 ** 31 }],
  ["a NUL character", "22021", { label: "a\u0000b" }],
  ["a text that is no date", "22008", { sentOn: "2026-02-31" }],
  ["a key that somebody else has", "23505", { key: "taken" }]
]

/** How often 500 items can be halved. */
const halvings = Math.ceil(Math.log2(500))

layer(depotLayer, { excludeTestServices: true })("a set in PostgreSQL", (it) => {
  it.effect("without a fault is one transaction, and its outcomes come in the order of the items", () =>
    Effect.gen(function* () {
      const { accept, stored, transactions } = yield* emptyDepot
      const items = parcels(500)
      const numbered = items.map(({ key }, index) => `${key} has number ${index + 1}`)
      assert.deepStrictEqual(yield* accept(items), numbered)
      assert.strictEqual(transactions.length, 1)
      assert.strictEqual((yield* stored).length, 500)
    })
  )

  it.effect.each(poisons)("with %s among 500 items does the other 499 in few transactions", ([, state, change]) =>
    Effect.gen(function* () {
      for (const place of [0, 249, 250, 333, 499]) {
        const { accept, sql, store, stored, transactions } = yield* emptyDepot
        if (state === "23505") yield* sql`INSERT INTO parcels VALUES (0, 'taken', 1, '', now())`
        assert.strictEqual(sqlStateOf(yield* Effect.flip(store([parcel("alone", change)]))), state)
        const items = parcels(500).with(place, parcel(`p${place}`, change))
        const outcomes = yield* accept(items)
        const bad = items.flatMap(({ key }, index) => (outcomes[index] === `${key} is bad` ? [index] : []))
        assert.deepStrictEqual(bad, [place])
        const good = items.flatMap(({ key }, index) => (index === place ? [] : [key]))
        assert.deepStrictEqual(yield* stored, state === "23505" ? ["taken", ...good] : good)
        assert.isAtMost(transactions.length, 2 * halvings + 1)
      }
    })
  )

  it.effect("with several bad items does all others, in their order", () =>
    Effect.gen(function* () {
      const { accept, stored, transactions } = yield* emptyDepot
      const places = [0, 1, 77, 250, 251, 498, 499]
      const items = parcels(500).map((item, place) => (places.includes(place) ? { ...item, weight: -1 } : item))
      const outcomes = yield* accept(items)
      assert.deepStrictEqual(
        outcomes.flatMap((outcome, place) => (outcome.endsWith("is bad") ? [place] : [])),
        places
      )
      const good = items.filter(({ weight }) => weight > 0).map(({ key }) => key)
      assert.deepStrictEqual(yield* stored, good)
      assert.isAtMost(transactions.length, 2 * halvings * places.length + 1)
    })
  )

  it.effect("of nothing but bad items ends, with nothing stored", () =>
    Effect.gen(function* () {
      const { accept, stored, transactions } = yield* emptyDepot
      const items = parcels(16).map((item) => ({ ...item, label: "\u0000" }))
      assert.deepStrictEqual(yield* accept(items), items.map(onParcels.onBadItem))
      assert.deepStrictEqual(yield* stored, [])
      assert.strictEqual(transactions.length, 2 * items.length - 1)
    })
  )

  it.effect("has the outcomes that its items would have one by one, whatever is in it", () =>
    Effect.gen(function* () {
      const run = Effect.runPromiseWith(yield* Effect.context<TestDatabase>())
      const item = fc.record({ key: fc.constantFrom(..."abcdefghijkl"), weight: fc.constantFrom(0, 1, 1, 2) })
      const comparison = Effect.fn("comparison")(function* (items: ReadonlyArray<Parcel>) {
        const { accept, stored } = yield* emptyDepot
        const expected = oneByOne(items)
        assert.deepStrictEqual(yield* accept(items), expected.outcomes)
        assert.deepStrictEqual(yield* stored, expected.stored)
      })
      const sets = fc.array(item, { maxLength: 40 }).map((items) => items.map(({ key, ...rest }) => parcel(key, rest)))
      const property = fc.asyncProperty(sets, (items) => run(comparison(items)))
      yield* Effect.promise(() => fc.assert(property, { numRuns: 100 }))
    })
  )

  it.effect("that deadlocks with another one is run again, and both are done", () =>
    Effect.gen(function* () {
      const { accept, sql } = yield* emptyDepot
      yield* accept(parcels(2))
      const bothHoldOne = yield* Deferred.make<void>()
      let holding = 0
      const { accept: weigh, transactions } = watched(
        Effect.fn("weigh")(function* (parcels) {
          yield* sql`SET LOCAL deadlock_timeout = '100ms'`
          for (const { key } of parcels) {
            yield* sql`UPDATE parcels SET weight = weight + 1 WHERE key = ${key}`
            holding += 1
            if (holding === 2) yield* Deferred.succeed(bothHoldOne, undefined)
            yield* Deferred.await(bothHoldOne)
          }
          return parcels.map(({ key }) => key)
        }, sql.withTransaction)
      )
      const outcomes = [weigh(parcels(2)), weigh(parcels(2).toReversed())]
      assert.deepStrictEqual((yield* Effect.all(outcomes, { concurrency: "unbounded" })).flat(), [
        "p0",
        "p1",
        "p1",
        "p0"
      ])
      // On a slow machine the one that is run again may meet the other once more.
      assert.isAtLeast(transactions.length, 3)
      const weights = yield* sql`SELECT weight FROM parcels`
      assert.deepStrictEqual(weights, [{ weight: 3 }, { weight: 3 }])
    })
  )

  it.effect.each([
    ["a lost connection", "ConnectionError", "SELECT pg_terminate_backend(pg_backend_pid())"],
    ["a wrong statement", "SqlSyntaxError", "SELEKT 1"]
  ] as const)("fails with %s as it is, and nothing is run again", ([, reason, statement]) =>
    Effect.gen(function* () {
      const { sql } = yield* emptyDepot
      const { accept, transactions } = watched(() => sql.withTransaction(Effect.as(sql.unsafe(statement), [])))
      assert.strictEqual((yield* Effect.flip(accept(parcels(8)))).reason._tag, reason)
      assert.strictEqual(transactions.length, 1)
    })
  )
})

/** What a set has to come to: item by item, and what asks for something else under a key after all others. */
const oneByOne = (items: ReadonlyArray<Parcel>) => {
  const requestOf = (item: Parcel) => `${item.key} ${onParcels.contentOf(item)}`
  const outcomes = new Map<string, string>()
  const stored: Array<string> = []
  for (let open = items; open.length > 0; open = open.filter((item) => !outcomes.has(requestOf(item)))) {
    const round = open.filter((item, place) => open.findIndex(({ key }) => key === item.key) === place)
    for (const item of round) {
      const isGood = item.weight > 0 && !stored.includes(item.key)
      if (isGood) stored.push(item.key)
      outcomes.set(requestOf(item), isGood ? `${item.key} has number ${stored.length}` : onParcels.onBadItem(item))
    }
  }
  return { outcomes: items.map((item) => outcomes.get(requestOf(item)) ?? "nothing"), stored }
}
