import { SagaEngine } from "@ecommerce/saga/SagaEngine"
import { rowsOf } from "@ecommerce/sets/Sets"
import { TestDatabase } from "@ecommerce/testing/TestDatabase"
import { assert, layer } from "@effect/vitest"
import { Duration, Effect, Latch, Schema } from "effect"

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

const numbered = (name: string, count: number) => Array.from({ length: count }, (_, n) => `${name}-${n}`)

layer(working(), { excludeTestServices: true })("an engine", (it) => {
  it.effect("brings a saga to its end, step by step, and tells of it", () =>
    Effect.gen(function* () {
      yield* start("plain")
      assert.deepStrictEqual(yield* endsOf("plain"), ["COMPLETED"])
      assert.deepStrictEqual(yield* callsOf("plain"), ["book-flight", "book-hotel", "take-deposit", "send-ticket"])
      assert.deepStrictEqual(yield* journalOf("plain"), [
        "run book-flight 1 done",
        "run book-hotel 1 done",
        "run take-deposit 1 done",
        "run send-ticket 1 done"
      ])
      assert.deepStrictEqual(
        (yield* toldOf("plain")).map(({ step, type, version }) => [version, type, step]),
        [
          [1, "started", null],
          [2, "advanced", "book-flight"],
          [3, "advanced", "book-hotel"],
          [4, "advanced", "take-deposit"],
          [5, "completed", "send-ticket"]
        ]
      )
    })
  )

  it.effect("begins a saga once for its key, however often it is asked to", () =>
    Effect.gen(function* () {
      yield* start("once", "once")
      yield* start("once")
      assert.deepStrictEqual(yield* endsOf("once"), ["COMPLETED"])
      assert.strictEqual((yield* toldOf("once")).filter(({ type }) => type === "started").length, 1)
    })
  )

  it.effect("goes back when a step is refused, with the reason that the step gives for it", () =>
    Effect.gen(function* () {
      yield* on("no-room", "book-hotel", refused)
      yield* start("no-room")
      assert.deepStrictEqual(yield* endsOf("no-room"), ["FAILED"])
      assert.deepStrictEqual(yield* callsOf("no-room"), [
        "book-flight",
        "book-hotel",
        "undo return-deposit",
        "undo book-flight"
      ])
      const last = (yield* toldOf("no-room")).at(-1)
      assert.deepStrictEqual([last?.type, last?.reason], ["failed", { code: "no_room", detail: "no" }])
    })
  )

  it.effect(
    "asks again where there was no answer, and gives up after four times: undoing also what may have happened",
    () =>
      Effect.gen(function* () {
        yield* on("patient", "book-flight", unavailable, unavailable)
        yield* on("hopeless", "book-hotel", unavailable, unavailable, unavailable, unavailable)
        yield* start("patient", "hopeless")
        assert.deepStrictEqual(yield* endsOf("patient", "hopeless"), ["COMPLETED", "FAILED"])
        assert.strictEqual((yield* callsOf("patient")).filter((call) => call === "book-flight").length, 3)
        assert.deepStrictEqual((yield* callsOf("hopeless")).slice(1), [
          ...Array.from({ length: policy.attempts }, () => "book-hotel"),
          "undo return-deposit",
          "undo book-hotel",
          "undo book-flight"
        ])
      })
  )

  it.effect("takes a step that dies for one without an answer", () =>
    Effect.gen(function* () {
      yield* on("dies", "book-flight", Effect.die(new Error("a bug")))
      yield* start("dies")
      assert.deepStrictEqual(yield* endsOf("dies"), ["COMPLETED"])
      assert.deepStrictEqual((yield* journalOf("dies")).slice(0, 2), [
        "run book-flight 1 unavailable",
        "run book-flight 2 done"
      ])
    })
  )

  it.effect("holds up no other saga for one that is slow", () =>
    Effect.gen(function* () {
      const latch = yield* Latch.make(false)
      yield* on("slow", "book-flight", Effect.as(latch.await, "late"))
      yield* start("slow")
      yield* untilAsked("slow", "book-flight")
      const others = numbered("swift", 300)
      yield* start(...others)
      assert.deepStrictEqual(new Set(yield* endsOf(...others)), new Set(["COMPLETED"]))
      assert.deepStrictEqual(
        (yield* statesOf("slow")).map(({ step }) => step),
        ["book-flight"]
      )
      yield* latch.open
      assert.deepStrictEqual(yield* endsOf("slow"), ["COMPLETED"])
    })
  )

  it.effect("tries an undo for ever, and says once that it is stuck", () =>
    Effect.gen(function* () {
      yield* on("stubborn", "take-deposit", refused)
      yield* on("stubborn", "undo book-hotel", ...Array.from({ length: 9 }, () => unavailable))
      yield* start("stubborn")
      assert.deepStrictEqual(yield* endsOf("stubborn"), ["FAILED"])
      const types = (yield* toldOf("stubborn")).map(({ type }) => type)
      assert.deepStrictEqual(types.slice(-3), ["compensating", "stuck", "failed"])
    })
  )

  it.effect("does not let one saga whose answer cannot be stored spoil the others of its write", () =>
    Effect.gen(function* () {
      yield* on("poison", "book-flight", Effect.succeed("\u0000"), Effect.succeed("\u0000"))
      const others = numbered("beside-poison", 50)
      yield* start("poison", ...others)
      assert.deepStrictEqual(new Set(yield* endsOf(...others)), new Set(["COMPLETED"]))
      assert.deepStrictEqual(yield* endsOf("poison"), ["COMPLETED"])
      // What could not be stored was sent, and nobody knows what came of it.
      assert.include(yield* journalOf("poison"), "run book-flight 1 unknown")
    })
  )

  it.effect("goes on when every connection to its database is cut", () =>
    Effect.gen(function* () {
      const { cutConnections } = yield* TestDatabase
      const trips = numbered("cut", 100)
      for (const trip of trips) yield* on(trip, "book-hotel", Effect.delay(Effect.succeed("a room"), "50 millis"))
      yield* start(...trips)
      yield* untilAsked("cut-0", "book-hotel")
      yield* cutConnections
      yield* Effect.sleep("30 millis")
      yield* cutConnections
      assert.deepStrictEqual(new Set(yield* endsOf(...trips)), new Set(["COMPLETED"]))
    })
  )
})

/** So that there is time to look. */
const tenfold = { ...policy, delayMillis: 10_000, longestDelayMillis: 600_000 }

const dueRows = rowsOf(Schema.Struct({ seconds: Schema.Number }))

layer(working({ policy: tenfold }), { excludeTestServices: true })("an engine with time", (it) => {
  it.effect("waits once, four and sixteen times as long between attempts, a fifth more or less", () =>
    Effect.gen(function* () {
      const { administrator } = yield* TestDatabase
      yield* on("waits", "book-flight", unavailable, unavailable, unavailable, unavailable)
      yield* start("waits")
      for (const [attempt, delay] of [1, 4, 16].entries()) {
        yield* until(journalOf("waits"), (lines) => lines.length > attempt)
        const [row] = yield* until(
          dueRows(administrator`
            SELECT extract(epoch FROM due_at - updated_at)::float8 AS seconds FROM orchestrator.sagas
            WHERE key = 'waits' AND owner IS NULL`),
          (rows) => rows.length > 0
        )
        assert.isAtLeast(row?.seconds ?? 0, delay * 7.9)
        assert.isAtMost(row?.seconds ?? 0, delay * 12.1)
        yield* administrator`UPDATE orchestrator.sagas SET due_at = now() WHERE key = 'waits'`
      }
      assert.deepStrictEqual(yield* endsOf("waits"), ["FAILED"])
    })
  )
})

layer(working({ stepTimeout: Duration.millis(100) }), { excludeTestServices: true })(
  "an engine that is in a hurry",
  (it) => {
    it.effect("takes a step without an end for one without an answer", () =>
      Effect.gen(function* () {
        yield* on("endless", "book-flight", Effect.never)
        yield* start("endless")
        assert.deepStrictEqual(yield* endsOf("endless"), ["COMPLETED"])
        assert.strictEqual((yield* journalOf("endless"))[0], "run book-flight 1 unavailable")
      })
    )
  }
)

const passDeadline = (tripId: string) =>
  Effect.flatMap(
    TestDatabase,
    ({ administrator }) => administrator`UPDATE orchestrator.sagas SET deadline_at = now() WHERE key = ${tripId}`
  )

layer(working({ policy: { ...policy, delayMillis: 60_000 }, deadline: Duration.seconds(6) }), {
  excludeTestServices: true
})("a saga that is overdue", (it) => {
  it.effect("goes back at its deadline, also when it waits for much longer than that", () =>
    Effect.gen(function* () {
      yield* on("overdue", "book-hotel", unavailable)
      yield* start("overdue")
      yield* until(journalOf("overdue"), (lines) => lines.length === 2)
      assert.deepStrictEqual(yield* endsOf("overdue"), ["FAILED"])
      assert.strictEqual((yield* toldOf("overdue")).at(-1)?.reason?.code, "overdue")
    })
  )

  it.effect("goes on where it has no way back any more", () =>
    Effect.gen(function* () {
      const latch = yield* Latch.make(false)
      yield* on("late", "take-deposit", Effect.as(latch.await, "taken"))
      yield* start("late")
      yield* untilAsked("late", "take-deposit")
      yield* passDeadline("late")
      yield* latch.open
      assert.deepStrictEqual(yield* endsOf("late"), ["COMPLETED"])
    })
  )
})

layer(working({ mostInFlight: 4000 }), { excludeTestServices: true })("an engine with much to do", (it) => {
  it.effect("has thousands of sagas in flight at the same time", () =>
    Effect.gen(function* () {
      const { inFlight } = yield* SagaEngine
      const latch = yield* Latch.make(false)
      const trips = numbered("many", 3000)
      for (const trip of trips) yield* on(trip, "book-flight", Effect.as(latch.await, "a seat"))
      yield* start(...trips)
      yield* until(inFlight, (count) => count === trips.length)
      yield* latch.open
      yield* until(inFlight, (count) => count === 0)
      assert.deepStrictEqual(new Set(yield* endsOf(...trips.slice(0, 50))), new Set(["COMPLETED"]))
    })
  )
})
