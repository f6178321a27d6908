import { until } from "@ecommerce/testing/ServiceProcess"
import { TestDatabase } from "@ecommerce/testing/TestDatabase"
import { assert, layer } from "@effect/vitest"
import { Effect, Fiber, Latch } from "effect"

import {
  desk,
  heard,
  layerOver,
  newTopic,
  placeOf,
  subscribe,
  tell,
  untilHeard,
  untilPaused
} from "./fixtures/Subscriber.ts"

layer(layerOver(TestDatabase.layer), { excludeTestServices: true })("a consumer that has missed events", (it) => {
  /** As if they had been deleted long ago: everything that is written up to now. */
  const trim = Effect.gen(function* () {
    const { administrator: sql } = yield* TestDatabase
    yield* sql`
      WITH gone AS (DELETE FROM inventory.outbox RETURNING generation, xid, seq),
      last AS (SELECT generation, xid, seq FROM gone ORDER BY generation DESC, xid DESC, seq DESC LIMIT 1)
      UPDATE inventory.outbox_origin SET trimmed_generation = last.generation, trimmed_xid = last.xid, trimmed_seq = last.seq
      FROM last`
  })

  it.effect("is paused and says so; told to begin anew, it goes on from the oldest that is kept", () =>
    Effect.gen(function* () {
      const topic = newTopic()
      const first = yield* subscribe(topic)
      yield* tell(topic, 1)
      yield* untilHeard(topic, 1)
      yield* first.stop
      yield* tell(topic, 2, 3)
      yield* trim
      yield* tell(topic, 4, 5)
      const second = yield* subscribe(topic)
      yield* until(Effect.map(second.state, ({ trouble }) => trouble === "paused"))
      assert.isTrue((yield* placeOf(topic)).isPaused)
      assert.isTrue(second.logs.some((line) => line.startsWith("Error:") && line.includes("has missed events")))
      assert.deepStrictEqual(yield* heard(topic), [1])

      const { resume, resumeAnew } = yield* desk()
      // It has missed them, whoever lets it go on.
      yield* resume(topic.consumer)
      yield* Effect.sleep("1500 millis")
      yield* untilPaused(topic)
      assert.strictEqual(yield* resumeAnew(topic.consumer), 1)
      yield* untilHeard(topic, 3)
      yield* until(Effect.map(second.state, ({ trouble }) => trouble === undefined))
      yield* tell(topic, 6)
      yield* untilHeard(topic, 4)
      assert.deepStrictEqual(yield* heard(topic), [1, 4, 5, 6])
    })
  )

  it.effect("is another one than a replica that asks late, when the others have read them", () =>
    Effect.gen(function* () {
      const topic = newTopic()
      yield* subscribe(topic).pipe(
        Effect.tap(() => tell(topic, 1)),
        Effect.tap(() => untilHeard(topic, 1)),
        Effect.flatMap(({ stop }) => stop)
      )
      // It has looked where it is, and its request is on the way.
      const gate = yield* Latch.make(false)
      const asking = yield* Latch.make(false)
      const late = yield* subscribe(topic, { onRequest: Effect.andThen(asking.open, gate.await) })
      yield* asking.await
      yield* tell(topic, 2)
      const quick = yield* subscribe(topic)
      yield* untilHeard(topic, 2)
      yield* trim
      yield* gate.open
      yield* tell(topic, 3)
      yield* untilHeard(topic, 3)
      // Its late answer has come by now.
      yield* Effect.sleep("500 millis")
      assert.isFalse((yield* placeOf(topic)).isPaused)
      assert.deepStrictEqual([late.logs, quick.logs], [[], []])
      assert.isUndefined(late.fiber.pollUnsafe())
      yield* Fiber.interrupt(late.fiber)
    })
  )
})

layer(layerOver(TestDatabase.layer), { excludeTestServices: true })("a backlog of 100,000 events", (it) => {
  it.effect("is worked off in bounded memory", () =>
    Effect.gen(function* () {
      const topic = newTopic()
      const { administrator: sql } = yield* TestDatabase
      const all = 100_000
      // More than 100 MB as JSON, if somebody held it as a whole.
      yield* sql`
        INSERT INTO inventory.outbox (generation, type, subject, version, data)
        SELECT inventory.outbox_generation(), ${topic.event.type}, number::text, 1,
          jsonb_build_object('number', number, 'more', repeat(number::text, 200))
        FROM generate_series(0, ${all - 1}) AS number`
      const before = process.memoryUsage().heapUsed
      let most = 0
      yield* subscribe(topic, {
        before: () => Effect.sync(() => void (most = Math.max(most, process.memoryUsage().heapUsed - before)))
      })
      yield* untilHeard(topic, all)
      const [order] = yield* sql<{ isRight: boolean }>`
        SELECT array_agg(number ORDER BY id) = (SELECT array_agg(n) FROM generate_series(0, ${all - 1}) AS n) AS is_right
        FROM edge_api.heard WHERE consumer = ${topic.consumer}`
      assert.deepStrictEqual(order, { isRight: true })
      assert.isBelow(most / 1e6, 300, "MB")
    })
  )
})
