import * as Decide from "@ecommerce/saga/Decide"
import { SagaDesk } from "@ecommerce/saga/SagaDesk"
import { SagaStore } from "@ecommerce/saga/SagaStore"
import * as Plans from "@ecommerce/testing/Plans"
import { idOf } from "@ecommerce/testing/Plans"
import { TestDatabase } from "@ecommerce/testing/TestDatabase"
import { PgClient } from "@effect/sql-pg"
import { assert, layer } from "@effect/vitest"
import { Duration, Effect, Layer } from "effect"

import { desk, records, store } from "./fixtures/Engines.ts"
import { bookTrip, policy } from "./fixtures/Trip.ts"

const sagas = Layer.mergeAll(store(), desk.pipe(Layer.provide(store()))).pipe(
  Layer.provideMerge(records),
  Layer.provideMerge(Plans.database("orchestrator"))
)

const setSize = 100
const finished = 1_000_000

/** Of one table by one operation on a set of a hundred, whose rows were changed a few times just before. */
const mostRowsRead = 100 * setSize

const overreadBy = Plans.overread("orchestrator", mostRowsRead)
const worker = "0192e4a0-0000-7000-8000-00000000ada0"
const definitions = [{ name: "book-trip", version: 1 }]

const newTrips = (turn: number) =>
  Array.from({ length: setSize }, (_, n) => ({
    saga: bookTrip.of({ tripId: `turn-${turn}-${n}`, traveller: "Ada" }),
    decision: Decide.begin(bookTrip.plan)
  }))

const done = { _tag: "Done", result: "a seat" } as const

/** Every operation once: a hundred sagas from their beginning to their end, in the hands of two workers. */
const operations = Effect.fn("operations")(function* (turn: number) {
  const { beat, claim, leave, requestCancel, start, takeFromTheDead, write } = yield* SagaStore
  const { find, list, ofKey, retryNow, vitals } = yield* SagaDesk
  const sql = yield* PgClient.PgClient
  const openings = newTrips(turn)
  const over = [
    ...(yield* overreadBy("starting", start(openings))),
    ...(yield* overreadBy("starting again", start(openings))),
    ...(yield* overreadBy("beating", beat(worker, "test", Duration.minutes(1)))),
    ...(yield* overreadBy("looking for suspects", claim({ worker, definitions, most: 1, suspects: true })))
  ]
  const held = yield* claim({ worker, definitions, most: setSize, suspects: false })
  assert.strictEqual(held.length, setSize)
  over.push(
    ...(yield* overreadBy(
      "leaving",
      leave(
        worker,
        held.map(({ id }) => id)
      )
    )),
    ...(yield* overreadBy("beating", beat(worker, "test", Duration.minutes(1))))
  )
  const again: Array<(typeof held)[number]> = []
  const take = Effect.map(claim({ worker, definitions, most: setSize, suspects: false }), (taken) =>
    again.push(...taken)
  )
  over.push(...(yield* overreadBy("claiming", take)))
  const advance = again.map((saga) => ({
    saga,
    decision: Decide.onOutcome(bookTrip.plan, policy, saga.state, done),
    millis: 1,
    ifCancelled: undefined
  }))
  over.push(
    ...(yield* overreadBy("writing", write(worker, advance))),
    ...(yield* overreadBy(
      "cancelling",
      requestCancel(openings.map(({ saga }) => ({ definition: saga.definition, key: saga.key })))
    )),
    ...(yield* overreadBy("taking from nobody", takeFromTheDead))
  )
  yield* sql`UPDATE saga_workers SET lease_until = now() - interval '1 second'`
  over.push(...(yield* overreadBy("taking from the dead", takeFromTheDead)))
  yield* beat(worker, "test", Duration.minutes(1))
  const last = yield* claim({ worker, definitions, most: setSize, suspects: true })
  const ends = [...last, ...(yield* claim({ worker, definitions, most: setSize, suspects: false }))].map((saga) => ({
    saga,
    decision: Decide.onOutcome(bookTrip.plan, policy, { ...saga.state, step: "send-ticket" }, done),
    millis: 1,
    ifCancelled: undefined
  }))
  over.push(...(yield* overreadBy("ending", write(worker, ends))))
  const id = ends[0]?.saga.id ?? ""
  for (const filter of ["OPEN", "STUCK", "RUNNING", "COMPLETED", "FAILED"] as const) {
    over.push(...(yield* overreadBy(`listing ${filter}`, list(filter, 50))))
  }
  over.push(
    ...(yield* overreadBy("finding", find(id))),
    ...(yield* overreadBy("finding by key", ofKey(`turn-${turn}-1`))),
    ...(yield* overreadBy("retrying", Effect.ignore(retryNow(id)))),
    ...(yield* overreadBy("vitals", vitals))
  )
  return over
})

/** Finished ones with the journal of their steps. */
const rows = [
  `sagas (id, definition, definition_version, key, status, input, results, version, entries, deadline_at, ended_at)
    SELECT ${idOf("n")}, 'book-trip', 1, 'old-' || n, 'COMPLETED', '{}', '{}', 5, 4, now(), now()`,
  `saga_journal (saga_id, seq, kind, step, attempt, outcome) SELECT ${idOf("n")}, 1, 'run', 'book-flight', 1, 'done'`
]

/** From their beginning to their end in one write each; answers where writing read too much. */
const fromBeginningToEnd = Effect.fn("fromBeginningToEnd")(function* (turn: number, mostRows: number) {
  const { beat, claim, start, write } = yield* SagaStore
  yield* start(newTrips(turn))
  yield* beat(worker, "test", Duration.minutes(1))
  const held = yield* claim({ worker, definitions, most: setSize, suspects: false })
  assert.strictEqual(held.length, setSize)
  const ends = held.map((saga) => ({
    saga,
    decision: Decide.onOutcome(bookTrip.plan, policy, { ...saga.state, step: "send-ticket" }, done),
    millis: 1,
    ifCancelled: undefined
  }))
  return yield* Plans.overread("orchestrator", mostRows)("writing", write(worker, ends))
})

const had = 20_000

layer(sagas, { excludeTestServices: true })("plans of what engines ask", (it) => {
  it.effect(
    "writing for a worker reads nothing of the many sagas that it had before, however long ago the last vacuum was",
    () =>
      Effect.gen(function* () {
        const { administrator } = yield* TestDatabase
        yield* Effect.forEach([1, 2, 3, 4, 5, 6, 7, 8], (turn) => fromBeginningToEnd(turn, had))
        yield* Plans.beside(
          Effect.gen(function* () {
            yield* administrator`
            INSERT INTO orchestrator.sagas (definition, definition_version, key, status, step, input, version, owner, deadline_at)
            SELECT 'book-trip', 1, 'had-' || n, 'RUNNING', 'book-flight', '{}', 1, ${worker}, now()
            FROM generate_series(1, ${had}) AS n`
            yield* administrator`
            UPDATE orchestrator.sagas SET status = 'COMPLETED', step = NULL, owner = NULL, ended_at = now() WHERE key LIKE 'had-%'`
          })
        )
        assert.deepStrictEqual(yield* fromBeginningToEnd(9, had / 2), [])
      })
  )

  it.effect("writing compares no saga with the writes of others, also before there are statistics", () =>
    Effect.gen(function* () {
      yield* fromBeginningToEnd(10, had)
      const plan = yield* Plans.keptPlan("WITH locked AS (SELECT id FROM sagas")
      assert.include(plan, "Update on sagas")
      assert.include(plan, "Hash Join")
      assert.notInclude(plan, "Nested Loop")
    })
  )

  it.effect.each(Plans.beginnings)(
    "made with %s go by an index when a million sagas have ended, and so do those made later",
    ([, prepare]) =>
      Effect.gen(function* () {
        const over = yield* Plans.overreadWhileGrowing(
          {
            service: "orchestrator",
            tables: ["saga_journal", "sagas", "saga_workers"],
            begin: Effect.asVoid(operations(0)),
            operations,
            rows,
            count: prepare === "SELECT" ? finished : finished / 5,
            leastKept: 10
          },
          prepare
        )
        assert.deepStrictEqual(over, Plans.allWell)
      })
  )
})
