import { SagaEngine } from "@ecommerce/saga/SagaEngine"
import { TestDatabase } from "@ecommerce/testing/TestDatabase"
import { PgClient } from "@effect/sql-pg"
import { assert, layer } from "@effect/vitest"
import { Effect, Latch } from "effect"

import {
  callsOf,
  endsOf,
  journalOf,
  on,
  refused,
  start,
  statesOf,
  toldOf,
  unavailable,
  until,
  untilAsked,
  working
} from "./fixtures/Engines.ts"
import { policy } from "./fixtures/Trip.ts"

const cancel = Effect.fn("cancel")(function* (...tripIds: ReadonlyArray<string>) {
  const { cancel, wake } = yield* SagaEngine
  const sql = yield* PgClient.PgClient
  const known = yield* sql.withTransaction(cancel(tripIds.map((key) => ({ definition: "book-trip", key }))))
  yield* wake
  return known.map(({ key }) => key)
})

const undos = ["undo return-deposit", "undo book-hotel", "undo book-flight"]

layer(working({ policy: { ...policy, delayMillis: 60_000 } }), { excludeTestServices: true })("a cancel", (it) => {
  it.effect("takes effect before the next send, and undoes also what was about to be sent", () =>
    Effect.gen(function* () {
      const latch = yield* Latch.make(false)
      yield* on("under-way", "book-flight", Effect.as(latch.await, "a seat"))
      yield* start("under-way")
      yield* untilAsked("under-way", "book-flight")
      yield* cancel("under-way")
      yield* latch.open
      assert.deepStrictEqual(yield* endsOf("under-way"), ["CANCELLED"])
      assert.deepStrictEqual(yield* callsOf("under-way"), ["book-flight", ...undos])
      assert.deepStrictEqual((yield* journalOf("under-way"))[1], "run book-hotel 1 cancelled")
      assert.strictEqual((yield* toldOf("under-way")).at(-1)?.type, "cancelled")
    })
  )

  it.effect("does not wait with a saga that waits for its next attempt", () =>
    Effect.gen(function* () {
      yield* on("waiting", "book-hotel", unavailable)
      yield* start("waiting")
      yield* until(journalOf("waiting"), (lines) => lines.length === 2)
      yield* cancel("waiting")
      assert.deepStrictEqual(yield* endsOf("waiting"), ["CANCELLED"])
      assert.deepStrictEqual((yield* callsOf("waiting")).slice(2), undos)
    })
  )

  it.effect("that comes while a step has no answer does not wait for the next attempt either", () =>
    Effect.gen(function* () {
      const latch = yield* Latch.make(false)
      yield* on("no-answer", "book-hotel", Effect.andThen(latch.await, unavailable))
      yield* start("no-answer")
      yield* untilAsked("no-answer", "book-hotel")
      yield* cancel("no-answer")
      yield* latch.open
      assert.deepStrictEqual(yield* endsOf("no-answer"), ["CANCELLED"])
    })
  )

  it.effect("behind the last way back is remembered, and taken back when the saga is completed", () =>
    Effect.gen(function* () {
      const latch = yield* Latch.make(false)
      yield* on("too-late", "send-ticket", Effect.as(latch.await, "sent"))
      yield* start("too-late")
      yield* untilAsked("too-late", "send-ticket")
      yield* cancel("too-late")
      assert.deepStrictEqual(
        (yield* statesOf("too-late")).map(({ status }) => status),
        ["RUNNING"]
      )
      yield* latch.open
      assert.deepStrictEqual(yield* endsOf("too-late"), ["COMPLETED COMPLETED"])
      assert.deepStrictEqual((yield* callsOf("too-late")).slice(-3), ["send-ticket", "refund", "give-back"])
    })
  )

  it.effect("does not wait with a saga whose answer cannot be stored, where that can turn back", () =>
    Effect.gen(function* () {
      const latch = yield* Latch.make(false)
      yield* on("bad-answer", "book-hotel", Effect.as(latch.await, "\u0000"))
      yield* start("bad-answer")
      yield* untilAsked("bad-answer", "book-hotel")
      yield* cancel("bad-answer")
      yield* latch.open
      assert.deepStrictEqual(yield* endsOf("bad-answer"), ["CANCELLED"])
    })
  )

  it.effect("hurries no saga whose answer cannot be stored, where that cannot turn back any more", () =>
    Effect.gen(function* () {
      const { administrator } = yield* TestDatabase
      const latch = yield* Latch.make(false)
      const bad = Effect.as(latch.await, "\u0000")
      yield* on("bad-ticket", "send-ticket", bad, bad, bad, bad, bad)
      yield* start("bad-ticket")
      yield* untilAsked("bad-ticket", "send-ticket")
      yield* cancel("bad-ticket")
      yield* latch.open
      yield* until(
        administrator`SELECT FROM orchestrator.sagas WHERE key = 'bad-ticket' AND owner IS NULL
          AND (stuck IS NOT NULL OR due_at > now() + interval '10 seconds')`,
        (rows) => rows.length > 0
      )
      assert.deepStrictEqual(
        (yield* statesOf("bad-ticket")).map(({ stuck }) => stuck),
        [null]
      )
      yield* on("bad-ticket", "send-ticket")
      yield* administrator`UPDATE orchestrator.sagas SET due_at = now() WHERE key = 'bad-ticket'`
      assert.deepStrictEqual(yield* endsOf("bad-ticket"), ["COMPLETED COMPLETED"])
    })
  )

  it.effect("of what is completed takes it back, once however often it is asked", () =>
    Effect.gen(function* () {
      yield* start("completed")
      yield* endsOf("completed")
      yield* Effect.all([cancel("completed"), cancel("completed"), cancel("completed")], { concurrency: "unbounded" })
      yield* until(statesOf("completed"), (sagas) => sagas.length === 2)
      assert.deepStrictEqual(yield* endsOf("completed"), ["COMPLETED COMPLETED"])
      yield* cancel("completed")
      assert.strictEqual((yield* callsOf("completed")).filter((call) => call === "refund").length, 1)
      assert.deepStrictEqual(
        (yield* toldOf("completed")).slice(-3).map(({ definition, type }) => [definition, type]),
        [
          ["cancel-trip", "started"],
          ["cancel-trip", "advanced"],
          ["cancel-trip", "completed"]
        ]
      )
    })
  )

  it.effect("of what has failed, or of nothing, changes nothing", () =>
    Effect.gen(function* () {
      yield* on("failed", "book-flight", refused)
      yield* start("failed")
      yield* endsOf("failed")
      assert.deepStrictEqual(yield* cancel("failed", "never-heard-of"), ["failed"])
      assert.deepStrictEqual(yield* endsOf("failed"), ["FAILED"])
    })
  )

  it.effect("that is rolled back was none", () =>
    Effect.gen(function* () {
      const { administrator } = yield* TestDatabase
      const sql = yield* PgClient.PgClient
      const { cancel } = yield* SagaEngine
      const latch = yield* Latch.make(false)
      yield* on("rolled-back", "book-flight", Effect.as(latch.await, "a seat"))
      yield* start("rolled-back")
      yield* untilAsked("rolled-back", "book-flight")
      yield* Effect.flip(
        sql.withTransaction(
          Effect.andThen(cancel([{ definition: "book-trip", key: "rolled-back" }]), Effect.fail("changed my mind"))
        )
      )
      yield* latch.open
      assert.deepStrictEqual(yield* endsOf("rolled-back"), ["COMPLETED"])
      assert.strictEqual(
        (yield* administrator`SELECT FROM orchestrator.sagas WHERE key = 'rolled-back' AND cancel_requested`).length,
        0
      )
    })
  )

  it.effect("at any moment leaves each trip either taken as a whole or not at all", () =>
    Effect.gen(function* () {
      const trips = Array.from({ length: 120 }, (_, n) => `any-${n}`)
      for (const [n, trip] of trips.entries()) {
        for (const [place, step] of ["book-flight", "book-hotel", "take-deposit", "send-ticket"].entries()) {
          yield* on(trip, step, Effect.delay(Effect.succeed(step), `${(n * 5 + place * 3) % 8} millis`))
        }
      }
      yield* start(...trips)
      yield* Effect.forEach(trips, (trip, n) => Effect.delay(cancel(trip), `${(n * 37) % 60} millis`), {
        concurrency: "unbounded",
        discard: true
      })
      for (const trip of trips) {
        const [end] = yield* endsOf(trip)
        const calls = yield* callsOf(trip)
        if (end === "CANCELLED") {
          // Owed is one undo; the others are those of the steps that were sent, or were about to be.
          const back = calls.slice(calls.indexOf("undo return-deposit"))
          assert.deepStrictEqual(back, undos.slice(0, 1).concat(undos.slice(4 - back.length)))
          for (const step of ["book-flight", "book-hotel"]) {
            if (calls.includes(step)) assert.include(back, `undo ${step}`)
          }
        } else assert.deepStrictEqual([end, calls.slice(-2)], ["COMPLETED COMPLETED", ["refund", "give-back"]])
        assert.strictEqual(calls.includes("refund"), calls.includes("send-ticket"))
      }
    })
  )
})
