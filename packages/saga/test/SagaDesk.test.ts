import { SagaDesk } from "@ecommerce/saga/SagaDesk"
import { SagaEngine } from "@ecommerce/saga/SagaEngine"
import { TestDatabase } from "@ecommerce/testing/TestDatabase"
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
  unavailable,
  until,
  untilAsked,
  working
} from "./fixtures/Engines.ts"
import { policy } from "./fixtures/Trip.ts"

const idOf = Effect.fn("idOf")(function* (tripId: string) {
  const { ofKey } = yield* SagaDesk
  return (yield* ofKey(tripId))[0]?.id ?? "no saga"
})

const untilStuck = (tripId: string) =>
  until(statesOf(tripId), ([saga]) => saga?.stuck !== null && saga?.stuck !== undefined)

layer(working({ policy: { ...policy, delayMillis: 60_000 } }), { excludeTestServices: true })("the desk", (it) => {
  it.effect("tells what is open, what is stuck and what has ended, the newest first and page by page", () =>
    Effect.gen(function* () {
      const { list, vitals } = yield* SagaDesk
      yield* on("listed-stuck", "send-ticket", refused)
      yield* on("listed-waits", "book-flight", unavailable)
      yield* start("listed-done")
      yield* endsOf("listed-done")
      yield* start("listed-waits")
      yield* until(journalOf("listed-waits"), (lines) => lines.length === 1)
      yield* start("listed-stuck")
      yield* untilStuck("listed-stuck")
      const keys = (filter: Parameters<typeof list>[0]) =>
        Effect.map(list(filter, 10), (all) => all.map(({ key }) => key))
      assert.deepStrictEqual(yield* keys("OPEN"), ["listed-stuck", "listed-waits"])
      assert.deepStrictEqual(yield* keys("STUCK"), ["listed-stuck"])
      assert.deepStrictEqual(yield* keys("RUNNING"), ["listed-stuck", "listed-waits"])
      assert.deepStrictEqual(yield* keys("COMPLETED"), ["listed-done"])
      assert.deepStrictEqual(yield* keys("FAILED"), [])
      const [first] = yield* list("OPEN", 1)
      assert.deepStrictEqual(
        (yield* list("OPEN", 10, first?.id)).map(({ key }) => key),
        ["listed-waits"]
      )
      const { open, stuck, unclaimable } = yield* vitals
      assert.deepStrictEqual({ open, stuck, unclaimable }, { open: 2, stuck: 1, unclaimable: 0 })
    })
  )

  it.effect("shows one with its whole journal", () =>
    Effect.gen(function* () {
      const { find } = yield* SagaDesk
      yield* on("shown", "book-hotel", refused)
      yield* start("shown")
      yield* endsOf("shown")
      const { failure, journal, status } = yield* find(yield* idOf("shown"))
      assert.strictEqual(status, "FAILED")
      assert.deepStrictEqual(failure, { cause: "rejected", step: "book-hotel", code: "no_room", detail: "no" })
      assert.deepStrictEqual(
        journal.map(({ kind, outcome, step }) => `${kind} ${step} ${outcome}`),
        ["run book-flight done", "run book-hotel rejected", "undo return-deposit done", "undo book-flight done"]
      )
      assert.isTrue(journal.every(({ millis, worker }) => millis !== null && worker !== null))
      const error = yield* Effect.flip(find("00000000-0000-7000-8000-000000000000"))
      assert.strictEqual(error._tag, "SagaUnknown")
    })
  )

  it.effect("has a step sent now that would wait for long, or that is stuck", () =>
    Effect.gen(function* () {
      const { retryNow } = yield* SagaDesk
      yield* on("hurry", "book-flight", unavailable)
      yield* on("again", "send-ticket", refused)
      yield* start("hurry", "again")
      yield* until(journalOf("hurry"), (lines) => lines.length === 1)
      yield* untilStuck("again")
      yield* retryNow(yield* idOf("hurry"))
      yield* retryNow(yield* idOf("again"))
      assert.deepStrictEqual(yield* endsOf("hurry", "again"), ["COMPLETED", "COMPLETED"])
      assert.strictEqual((yield* callsOf("again")).filter((call) => call === "send-ticket").length, 2)
    })
  )

  it.effect("takes it from somebody that an undo was done by hand, and why, and the saga goes on behind it", () =>
    Effect.gen(function* () {
      const { find, resolve } = yield* SagaDesk
      yield* on("by-hand", "take-deposit", refused)
      yield* on("by-hand", "undo book-hotel", refused)
      yield* start("by-hand")
      yield* untilStuck("by-hand")
      const id = yield* idOf("by-hand")
      yield* resolve({ id, by: "Grace", note: "called the hotel" })
      assert.deepStrictEqual(yield* endsOf("by-hand"), ["FAILED"])
      assert.include(yield* callsOf("by-hand"), "undo book-flight")
      const { journal } = yield* find(id)
      assert.deepStrictEqual(
        journal.filter(({ outcome }) => outcome === "resolved").map(({ detail, step }) => [step, detail]),
        [["book-hotel", "Grace: called the hotel"]]
      )
    })
  )

  it.effect("asks for a result where those behind it need one, and such that they can read it", () =>
    Effect.gen(function* () {
      const { resolve } = yield* SagaDesk
      yield* on("needs-result", "book-hotel", unavailable)
      yield* start("needs-result")
      yield* until(journalOf("needs-result"), (lines) => lines.length === 2)
      const resolution = { id: yield* idOf("needs-result"), by: "Grace", note: "booked by phone" }
      assert.strictEqual((yield* Effect.flip(resolve(resolution)))._tag, "ResultNeeded")
      assert.strictEqual((yield* Effect.flip(resolve({ ...resolution, result: 7 })))._tag, "ResultNeeded")
      yield* resolve({ ...resolution, result: { hotel: "room 7", flight: "seat 3" } })
      assert.deepStrictEqual(yield* endsOf("needs-result"), ["COMPLETED"])
      assert.deepStrictEqual(yield* callsOf("needs-result"), [
        "book-flight",
        "book-hotel",
        "take-deposit",
        "send-ticket"
      ])
    })
  )

  it.effect("ends a saga whose last step was done by hand", () =>
    Effect.gen(function* () {
      const { resolve } = yield* SagaDesk
      yield* on("last", "send-ticket", refused)
      yield* start("last")
      yield* untilStuck("last")
      yield* resolve({ id: yield* idOf("last"), by: "Grace", note: "sent by mail", result: "by mail" })
      assert.deepStrictEqual(yield* endsOf("last"), ["COMPLETED"])
    })
  )

  it.effect("has a saga taken back that was completed by hand after somebody had asked to cancel it", () =>
    Effect.gen(function* () {
      const { resolve } = yield* SagaDesk
      const { cancel } = yield* SagaEngine
      yield* on("cancelled-by-then", "send-ticket", refused, refused)
      yield* start("cancelled-by-then")
      yield* untilStuck("cancelled-by-then")
      yield* cancel([{ definition: "book-trip", key: "cancelled-by-then" }])
      yield* until(journalOf("cancelled-by-then"), (lines) => lines.length === 5)
      const id = yield* idOf("cancelled-by-then")
      const resolution = { id, by: "Grace", note: "sent by mail", result: "by mail" }
      yield* Effect.retry(resolve(resolution), { while: ({ _tag }) => _tag === "SagaBusy", times: 100 })
      assert.deepStrictEqual(yield* endsOf("cancelled-by-then"), ["COMPLETED COMPLETED"])
      assert.include(yield* callsOf("cancelled-by-then"), "refund")
    })
  )

  it.effect("resolves also what nobody could take back: its input cannot be read any more", () =>
    Effect.gen(function* () {
      const { resolve } = yield* SagaDesk
      const { administrator } = yield* TestDatabase
      yield* on("unreadable", "send-ticket", refused)
      yield* start("unreadable")
      yield* untilStuck("unreadable")
      yield* administrator`UPDATE orchestrator.sagas SET input = '{"tripId": 7}' WHERE key = 'unreadable'`
      yield* resolve({ id: yield* idOf("unreadable"), by: "Grace", note: "sent by mail", result: "by mail" })
      assert.deepStrictEqual(yield* endsOf("unreadable"), ["COMPLETED"])
    })
  )

  it.effect("does nothing with what is being worked on, has ended, or is not there", () =>
    Effect.gen(function* () {
      const { resolve, retryNow } = yield* SagaDesk
      const { administrator } = yield* TestDatabase
      const latch = yield* Latch.make(false)
      yield* on("busy", "book-flight", Effect.as(latch.await, "a seat"))
      yield* start("busy", "ended")
      yield* untilAsked("busy", "book-flight")
      yield* endsOf("ended")
      const before = yield* administrator`SELECT * FROM orchestrator.sagas WHERE key IN ('busy', 'ended') ORDER BY id`
      const ids = [yield* idOf("busy"), yield* idOf("ended"), "00000000-0000-7000-8000-000000000000"]
      for (const act of [retryNow, (id: string) => resolve({ id, by: "Grace", note: "no" })]) {
        const tags = yield* Effect.forEach(ids, (id) => Effect.map(Effect.flip(act(id)), ({ _tag }) => _tag))
        assert.deepStrictEqual(tags, ["SagaBusy", "SagaEnded", "SagaUnknown"])
      }
      assert.deepStrictEqual(
        yield* administrator`SELECT * FROM orchestrator.sagas WHERE key IN ('busy', 'ended') ORDER BY id`,
        before
      )
      yield* latch.open
      yield* endsOf("busy")
    })
  )

  it.effect("tells of due sagas that nobody has the definition of", () =>
    Effect.gen(function* () {
      const { vitals } = yield* SagaDesk
      const { administrator } = yield* TestDatabase
      yield* administrator`
        INSERT INTO orchestrator.sagas (definition, definition_version, key, status, step, input, version, due_at, deadline_at)
        VALUES ('book-trip', 7, 'of-tomorrow', 'RUNNING', 'fly', '{}', 1, now() - interval '1 hour', now())`
      const { oldestDueSeconds, unclaimable } = yield* vitals
      assert.strictEqual(unclaimable, 1)
      // Nobody here is to blame for its waiting.
      assert.isBelow(oldestDueSeconds, 3600)
    })
  )
})
