import { until } from "@ecommerce/testing/ServiceProcess"
import { TestDatabase } from "@ecommerce/testing/TestDatabase"
import { assert, layer } from "@effect/vitest"
import { Effect, Latch, Queue, Random } from "effect"
import { SqlError } from "effect/sql"

import {
  heard,
  latest,
  layerOver,
  lettersOf,
  newRelay,
  newTopic,
  placeOf,
  Producer,
  range,
  subscribe,
  tell,
  untilHeard,
  write
} from "./fixtures/Subscriber.ts"

const cut = new SqlError.SqlError({
  reason: new SqlError.ConnectionError({ cause: new Error("cut"), message: "cut", operation: "query" })
})

layer(layerOver(TestDatabase.layer), { excludeTestServices: true })("a consumer", (it) => {
  it.effect("uses every event once and in order, in sets of 500 at most", () =>
    Effect.gen(function* () {
      const topic = newTopic()
      yield* tell(topic, ...range(0, 3))
      yield* tell(topic, ...range(3, 1203))
      const sizes: Array<number> = []
      yield* subscribe(topic, { before: (events) => Effect.sync(() => void sizes.push(events.length)) })
      yield* untilHeard(topic, 1203)
      yield* tell(topic, 1203)
      yield* untilHeard(topic, 1204)
      assert.deepStrictEqual(yield* heard(topic), range(0, 1204))
      assert.strictEqual(Math.max(...sizes), 500)
      assert.isAtMost(sizes.length, 5)
    })
  )

  it.effect("passes over events of types that it does not know, and does not read them again", () =>
    Effect.gen(function* () {
      const topic = newTopic()
      const foreign = newTopic()
      const reader = yield* subscribe(topic)
      yield* tell(topic, 1)
      yield* untilHeard(topic, 1)
      const before = yield* placeOf(topic)
      yield* tell(foreign, ...range(0, 700))
      yield* until(Effect.map(placeOf(topic), ({ cursor }) => cursor !== before.cursor))
      yield* tell(topic, 2)
      yield* untilHeard(topic, 2)
      assert.deepStrictEqual(yield* heard(topic), [1, 2])
      assert.deepStrictEqual(yield* lettersOf(topic), [])
      assert.deepStrictEqual(yield* heard(foreign), [])
      assert.isUndefined((yield* reader.state).trouble)
    })
  )

  it.effect("hears of an event within milliseconds of its commit when there is nothing else to do", () =>
    Effect.gen(function* () {
      const topic = newTopic()
      const arrivals = yield* Queue.unbounded<number>()
      yield* subscribe(topic, { after: () => Effect.asVoid(Queue.offer(arrivals, performance.now())) })
      yield* tell(topic, 0)
      yield* Queue.take(arrivals)
      const taken = yield* Effect.forEach(range(1, 21), (number) =>
        Effect.gen(function* () {
          yield* Effect.sleep("20 millis")
          yield* tell(topic, number)
          const committed = performance.now()
          return (yield* Queue.take(arrivals)) - committed
        })
      )
      const median = taken.toSorted((a, b) => a - b)[10] ?? Infinity
      assert.isBelow(median, 500)
    })
  )

  it.effect("gets 10,000 events that are written while it reads, in a few seconds", () =>
    Effect.gen(function* () {
      const topic = newTopic()
      yield* subscribe(topic)
      const began = performance.now()
      yield* Effect.forEach(range(0, 100), (part) => tell(topic, ...range(part * 100, part * 100 + 100)))
      yield* untilHeard(topic, 10_000)
      assert.isBelow(performance.now() - began, 50_000)
      assert.deepStrictEqual(yield* heard(topic), range(0, 10_000))
    })
  )

  it.effect("goes on when the producer cannot be reached, is cut off in the middle, or is started again", () =>
    Effect.gen(function* () {
      const topic = newTopic()
      const producer = yield* Producer
      const relay = yield* newRelay
      const reader = yield* subscribe(topic, { url: relay.url })
      const isTroubled = Effect.map(reader.state, ({ trouble }) => trouble !== undefined)
      yield* tell(topic, 1)
      yield* untilHeard(topic, 1)

      yield* relay.be("away")
      yield* tell(topic, 2)
      yield* until(isTroubled)
      yield* relay.be("open")
      yield* untilHeard(topic, 2)
      yield* until(Effect.map(isTroubled, (troubled) => !troubled))

      // The answer is lost: it has asked already, and what it gets does not come through.
      yield* relay.be("silent")
      const asked = yield* relay.connections
      yield* until(Effect.map(relay.connections, (connections) => connections > asked))
      yield* tell(topic, 3)
      yield* relay.be("open")
      yield* untilHeard(topic, 3)

      yield* producer.stop
      yield* until(isTroubled)
      yield* producer.start
      yield* tell(topic, 4)
      yield* untilHeard(topic, 4)
      yield* until(Effect.map(isTroubled, (troubled) => !troubled))
      assert.deepStrictEqual(yield* heard(topic), [1, 2, 3, 4])
      assert.isTrue(reader.logs.some((line) => line.startsWith("Warn:") && line.includes(topic.consumer)))
    })
  )

  it.effect("uses again at once what was not committed: it does not believe that its place has moved", () =>
    Effect.gen(function* () {
      const topic = newTopic()
      let isLost = false
      const loseOnce = Effect.suspend(() => {
        if (isLost) return Effect.void
        isLost = true
        return Effect.fail(cut)
      })
      yield* subscribe(topic, { after: () => loseOnce, waitSeconds: 30 })
      yield* tell(topic, 1)
      yield* Effect.timeout(untilHeard(topic, 1), "20 seconds")
      assert.isTrue(isLost)
    })
  )

  it.effect("does not wait for ever for a producer that says nothing", () =>
    Effect.gen(function* () {
      const topic = newTopic()
      const relay = yield* newRelay
      yield* relay.be("stuck")
      const reader = yield* subscribe(topic, { url: relay.url, waitSeconds: 0 })
      yield* until(Effect.map(reader.state, ({ trouble }) => trouble !== undefined))
      yield* tell(topic, 1)
      yield* relay.be("open")
      yield* untilHeard(topic, 1)
      assert.deepStrictEqual(yield* heard(topic), [1])
    })
  )

  for (const replicas of [2, 3]) {
    it.effect(`uses each event once when ${replicas} replicas of it run side by side`, () =>
      Effect.gen(function* () {
        const topic = newTopic()
        // All of them read, and are slow at what they do, so that they are at the same events.
        const before = () => Effect.flatMap(Random.nextIntBetween(0, 10), (millis) => Effect.sleep(millis))
        yield* Effect.forEach(range(0, replicas), () => subscribe(topic, { before }))
        const version = (number: number) => (number * 7919) % 600
        yield* Effect.forEach(range(0, 60), (part) =>
          write(range(part * 10, part * 10 + 10).map((number) => topic.of(number, "one", version(number) + 1)))
        )
        yield* untilHeard(topic, 600)
        yield* tell(topic, 600)
        yield* untilHeard(topic, 601)
        assert.deepStrictEqual(yield* heard(topic), range(0, 601))
        assert.deepStrictEqual(yield* latest(topic), [
          { subject: "one", version: 600, number: range(0, 600).find((number) => version(number) === 599) ?? -1 }
        ])
        assert.strictEqual((yield* placeOf(topic)).deadInARow, 0)
      })
    )
  }

  it.effect("throws away what it has read when another replica was quicker, and says nothing of trouble", () =>
    Effect.gen(function* () {
      const topic = newTopic()
      const gate = yield* Latch.make(false)
      const slow = yield* subscribe(topic, { before: () => gate.await })
      yield* tell(topic, 1, 2)
      // It has moved the cursor in a transaction that stays open; the others wait for it, and find it moved.
      const reads: Array<string> = []
      const quick = yield* subscribe(topic, { onRead: () => reads.push("quick") })
      yield* until(Effect.sync(() => reads.length >= 2))
      yield* gate.open
      yield* tell(topic, 3)
      yield* untilHeard(topic, 3)
      assert.deepStrictEqual(yield* heard(topic), [1, 2, 3])
      for (const one of [slow, quick]) {
        assert.deepStrictEqual([(yield* one.state).trouble, one.logs], [undefined, []])
      }
    })
  )

  it.effect("tells since when it has read all, and keeps to it while it cannot read", () =>
    Effect.gen(function* () {
      const topic = newTopic()
      const relay = yield* newRelay
      yield* relay.be("away")
      const began = Date.now()
      const reader = yield* subscribe(topic, { url: relay.url, waitSeconds: 1 })
      yield* until(Effect.map(reader.state, ({ trouble }) => trouble !== undefined))
      assert.strictEqual((yield* reader.state).caughtUpAt, 0)
      yield* relay.be("open")
      yield* until(Effect.map(reader.state, ({ caughtUpAt }) => caughtUpAt >= began))
      assert.isUndefined((yield* reader.state).trouble)
      // Answers without news say so as well.
      const first = (yield* reader.state).caughtUpAt
      yield* until(Effect.map(reader.state, ({ caughtUpAt }) => caughtUpAt > first))
      yield* relay.be("away")
      yield* until(Effect.map(reader.state, ({ trouble }) => trouble !== undefined))
      const { caughtUpAt } = yield* reader.state
      const unread = Date.now()
      yield* tell(topic, 1)
      yield* Effect.sleep("1200 millis")
      assert.isAtMost((yield* reader.state).caughtUpAt, unread)
      assert.strictEqual((yield* reader.state).caughtUpAt, caughtUpAt)
    })
  )
})
