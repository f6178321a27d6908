import { TestDatabase } from "@ecommerce/testing/TestDatabase"
import { assert, layer } from "@effect/vitest"
import { Effect, Exit, Fiber, Layer, Scope } from "effect"

import {
  another,
  append,
  ask,
  begin,
  commit,
  endOf,
  eventually,
  Producer,
  producerOnItsOwn,
  read,
  subjectsOf,
  tell
} from "./fixtures/Producer.ts"
import { commitInSilence, hint, listening, medianDelivery, millisOf, waitingReader } from "./fixtures/Waiting.ts"

layer(producerOnItsOwn(), { excludeTestServices: true })("waiting for events", (it) => {
  it.effect("ends at once where there are some already", () =>
    Effect.gen(function* () {
      const after = yield* endOf("waiting")
      yield* tell("there")
      const { millis, result } = yield* millisOf(read("waiting", after, { wait: 30 }))
      assert.deepStrictEqual(subjectsOf(result), ["there"])
      assert.isBelow(millis, 20_000)
    })
  )

  it.effect("ends within milliseconds of a commit in the same process", () =>
    Effect.gen(function* () {
      yield* listening(1)
      assert.isBelow(yield* medianDelivery(yield* Producer), 500)
    })
  )

  it.effect("ends within milliseconds of a commit in another process", () =>
    Effect.gen(function* () {
      const other = yield* another()
      yield* listening(2)
      assert.isBelow(yield* medianDelivery(other), 500)
    })
  )

  it.effect("ends with nothing after its time", () =>
    Effect.gen(function* () {
      const after = yield* endOf("waiting")
      const { millis, result } = yield* millisOf(read("waiting", after, { wait: 1 }))
      assert.deepStrictEqual(result, [])
      assert.isAtLeast(millis, 950)
      assert.isBelow(millis, 30_000)
    })
  )

  it.effect("goes on while nothing but rolled back transactions, and other work, come by", () =>
    Effect.gen(function* () {
      const { administrator } = yield* TestDatabase
      const { sql } = yield* Producer
      const after = yield* endOf("waiting")
      const reading = yield* waitingReader(after)
      const undone = yield* begin(sql, append(["undone"]))
      yield* undone.end("roll back")
      yield* administrator`SELECT pg_current_xact_id()::text`
      yield* Effect.sleep("100 millis")
      assert.isUndefined(reading.pollUnsafe())
      yield* commit("done")
      assert.deepStrictEqual(subjectsOf((yield* Fiber.join(reading)).events), ["done"])
    })
  )

  it.effect("sees what was committed without a word to anybody, a little later", () =>
    Effect.gen(function* () {
      const reading = yield* waitingReader(yield* endOf("waiting"), 20)
      const { millis, result } = yield* millisOf(Effect.andThen(commitInSilence("silent"), Fiber.join(reading)))
      assert.deepStrictEqual(subjectsOf(result.events), ["silent"])
      assert.isBelow(millis, 18_000)
    })
  )

  it.effect("loses nothing by a hint that comes before its commit", () =>
    Effect.gen(function* () {
      const { administrator } = yield* TestDatabase
      const { sql } = yield* Producer
      const reading = yield* waitingReader(yield* endOf("waiting"), 20)
      const early = yield* begin(sql, append(["early"]))
      const [row] = yield* administrator<{ xid: string }>`SELECT pg_snapshot_xmax(pg_current_snapshot())::text AS xid`
      yield* hint(administrator, row?.xid ?? "")
      yield* Effect.sleep("1500 millis")
      assert.isUndefined(reading.pollUnsafe())
      const { millis, result } = yield* millisOf(Effect.andThen(early.end("commit"), Fiber.join(reading)))
      assert.deepStrictEqual(subjectsOf(result.events), ["early"])
      assert.isBelow(millis, 18_000)
    })
  )

  it.effect("is not disturbed by hints that are none", () =>
    Effect.gen(function* () {
      const { administrator } = yield* TestDatabase
      const after = yield* endOf("waiting")
      const reading = yield* waitingReader(after)
      for (const words of ["", "garbage", "-1", "1.5", "0", "9".repeat(50)]) yield* hint(administrator, words)
      yield* Effect.sleep("100 millis")
      assert.isUndefined(reading.pollUnsafe())
      yield* commit("after the garbage")
      assert.deepStrictEqual(subjectsOf((yield* Fiber.join(reading)).events), ["after the garbage"])
    })
  )

  it.effect("goes on when the connection that listens is cut, and hears of other processes again afterwards", () =>
    Effect.gen(function* () {
      const { cutConnections } = yield* TestDatabase
      const other = yield* another()
      yield* listening(2)
      const reading = yield* waitingReader(yield* endOf("waiting"), 20)
      assert.isAbove(yield* cutConnections, 0)
      yield* eventually(Effect.isSuccess(commitInSilence("while cut")))
      // The connections of its pool are cut with it: a reader in the middle of a statement may be told to come again.
      const exit = yield* Fiber.await(reading)
      if (Exit.isSuccess(exit)) assert.strictEqual(exit.value.events[0]?.subject, "while cut")
      yield* listening(2)
      yield* eventually(Effect.map(Effect.sandbox(medianDelivery(other)), (millis) => millis < 100))
    })
  )

  it.effect("hears of new events also after a hint of a higher number, as is left from before a restore", () =>
    Effect.gen(function* () {
      const { administrator, cutConnections } = yield* TestDatabase
      yield* hint(administrator, String(2n ** 62n))
      yield* Effect.sleep("100 millis")
      yield* cutConnections
      yield* listening(1)
      yield* Effect.sleep("1100 millis")
      assert.isBelow(yield* medianDelivery(yield* Producer), 500)
    })
  )
})

layer(producerOnItsOwn({ REQUESTS_AT_ONCE: "2" }), { excludeTestServices: true })("those who wait", (it) => {
  it.effect("hold no place at the gate", () =>
    Effect.gen(function* () {
      const after = yield* endOf("waiting")
      // More than there are places for, those included that are kept for readers.
      const readers = yield* Effect.forEach(Array.from({ length: 24 }), () =>
        Effect.tap(Effect.forkChild(read("waiting", after, { wait: 30 })), () => Effect.sleep("60 millis"))
      )
      for (let time = 0; time < 5; time++) assert.strictEqual((yield* ask({ consumer: "other", limit: 1 })).status, 200)
      yield* commit("for all")
      for (const reader of readers) assert.deepStrictEqual(subjectsOf(yield* Fiber.join(reader)), ["for all"])
      const both = yield* Effect.all([ask({ consumer: "other", limit: 1 }), ask({ consumer: "other", limit: 1 })], {
        concurrency: 2
      })
      assert.deepStrictEqual(
        both.map(({ status }) => status),
        [200, 200]
      )
    })
  )

  it.effect("are answered at once when the service stops", () =>
    Effect.gen(function* () {
      const after = yield* endOf("waiting")
      const scope = yield* Scope.make()
      const stopping = yield* Layer.buildWithScope(
        Layer.fresh(Producer.layer({ SHUTDOWN_TIMEOUT: "30 seconds" })),
        scope
      )
      const reading = yield* Effect.forkChild(Effect.provide(read("waiting", after, { wait: 30 }), stopping))
      yield* Effect.sleep("200 millis")
      const { millis, result } = yield* millisOf(Effect.andThen(Scope.close(scope, Exit.void), Fiber.join(reading)))
      assert.deepStrictEqual(result, [])
      assert.isBelow(millis, 25_000)
    })
  )

  it.effect("may go away: what they waited with is given back", () =>
    Effect.gen(function* () {
      const after = yield* endOf("waiting")
      for (let time = 0; time < 24; time++) {
        const reading = yield* Effect.forkChild(read("waiting", after, { wait: 30 }))
        yield* Effect.sleep("50 millis")
        yield* Fiber.interrupt(reading)
      }
      yield* Effect.sleep("100 millis")
      const both = yield* Effect.all([ask({ consumer: "other", limit: 1 }), ask({ consumer: "other", limit: 1 })], {
        concurrency: 2
      })
      assert.deepStrictEqual(
        both.map(({ status }) => status),
        [200, 200]
      )
    })
  )
})
