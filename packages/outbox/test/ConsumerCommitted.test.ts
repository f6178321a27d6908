import { until } from "@ecommerce/testing/ServiceProcess"
import { TestDatabase } from "@ecommerce/testing/TestDatabase"
import { assert, layer } from "@effect/vitest"
import { Effect, Latch, Queue, Ref } from "effect"

import {
  desk,
  heard,
  layerOver,
  lettersOf,
  newTopic,
  range,
  subscribe,
  tell,
  type Topic,
  unreadable,
  untilHeard,
  write
} from "./fixtures/Subscriber.ts"

/** What was told after commits, and what was stored by then. */
const listener = (topic: Topic) =>
  Effect.gen(function* () {
    const database = yield* TestDatabase
    const told: Array<number> = []
    const early: Array<number> = []
    const committed = (numbers: ReadonlyArray<number>) =>
      Effect.gen(function* () {
        const stored = yield* heard(topic)
        told.push(...numbers)
        early.push(...numbers.filter((number) => !stored.includes(number)))
      }).pipe(Effect.provideService(TestDatabase, database), Effect.orDie)
    return { told, early, committed }
  })

layer(layerOver(TestDatabase.layer), { excludeTestServices: true })("what is done after a batch", (it) => {
  it.effect("comes once for each batch, when everybody can see what was made of it", () =>
    Effect.gen(function* () {
      const topic = newTopic()
      const { committed, early, told } = yield* listener(topic)
      yield* tell(topic, ...range(0, 700))
      yield* subscribe(topic, { committed })
      yield* until(Effect.sync(() => told.length >= 700))
      yield* tell(topic, 700)
      yield* until(Effect.sync(() => told.length >= 701))
      assert.deepStrictEqual(told, range(0, 701))
      assert.deepStrictEqual(early, [])
    })
  )

  it.effect("is not done for a transaction that is rolled back, and is for the halves that are used then", () =>
    Effect.gen(function* () {
      const topic = newTopic()
      const { committed, early, told } = yield* listener(topic)
      // Below zero is not to be stored, and what is unreadable is never applied.
      yield* write([topic.of(1), topic.of(-2), topic.of(3), unreadable(topic), topic.of(4)])
      yield* subscribe(topic, { committed })
      yield* until(Effect.sync(() => told.length >= 3))
      assert.deepStrictEqual(told, [1, 3, 4])
      assert.deepStrictEqual(early, [])
      assert.lengthOf(yield* lettersOf(topic), 2)
    })
  )

  it.effect("is not done where there was nothing to use", () =>
    Effect.gen(function* () {
      const topic = newTopic()
      const { committed, told } = yield* listener(topic)
      const calls: Array<number> = []
      yield* tell(newTopic(), 1, 2, 3)
      yield* subscribe(topic, {
        committed: (numbers) =>
          Effect.tap(
            committed(numbers),
            Effect.sync(() => void calls.push(numbers.length))
          )
      })
      yield* tell(topic, 4)
      yield* until(Effect.sync(() => told.length > 0))
      assert.deepStrictEqual([told, calls], [[4], [1]])
    })
  )

  it.effect("is done by the replica whose work was taken, and by no other", () =>
    Effect.gen(function* () {
      const topic = newTopic()
      const here = yield* listener(topic)
      const there = yield* listener(topic)
      yield* subscribe(topic, { committed: here.committed })
      yield* subscribe(topic, { committed: there.committed })
      yield* Effect.forEach(range(0, 40), (part) => tell(topic, part * 2, part * 2 + 1))
      yield* until(Effect.sync(() => here.told.length + there.told.length >= 80))
      assert.deepStrictEqual(
        [...here.told, ...there.told].toSorted((a, b) => a - b),
        range(0, 80)
      )
    })
  )

  it.effect("takes nothing back when it fails: the events are used, no letter is dead, and the log says so", () =>
    Effect.gen(function* () {
      const topic = newTopic()
      const reader = yield* subscribe(topic, { committed: () => Effect.die(new Error("nobody to wake")) })
      yield* tell(topic, 1)
      yield* untilHeard(topic, 1)
      yield* tell(topic, 2)
      yield* untilHeard(topic, 2)
      yield* until(Effect.sync(() => reader.logs.filter((line) => line.includes("nobody to wake")).length === 2))
      assert.deepStrictEqual(yield* heard(topic), [1, 2])
      assert.deepStrictEqual(yield* lettersOf(topic), [])
      assert.isUndefined((yield* reader.state).trouble)
    })
  )

  it.effect("is done for what is redriven too", () =>
    Effect.gen(function* () {
      const topic = newTopic()
      const { committed, told } = yield* listener(topic)
      const isBroken = yield* Ref.make(true)
      const before = () => Effect.flatMap(Ref.get(isBroken), (broken) => (broken ? Effect.die("broken") : Effect.void))
      yield* subscribe(topic, { before, committed, waitSeconds: 1 })
      yield* tell(topic, 1)
      yield* until(Effect.map(lettersOf(topic), ({ length }) => length === 1))
      assert.deepStrictEqual(told, [])
      yield* Ref.set(isBroken, false)
      const { redrive } = yield* desk()
      yield* redrive(topic.consumer)
      yield* until(Effect.sync(() => told.length > 0))
      assert.deepStrictEqual(told, [1])
    })
  )

  it.effect("ends with its consumer, however long it takes, and nothing is used twice for it", () =>
    Effect.gen(function* () {
      const topic = newTopic()
      const begun = yield* Queue.unbounded<number>()
      const never = yield* Latch.make(false)
      const reader = yield* subscribe(topic, {
        committed: ([number = 0]) => Effect.andThen(Queue.offer(begun, number), never.await)
      })
      yield* tell(topic, 1)
      assert.strictEqual(yield* Queue.take(begun), 1)
      yield* reader.stop
      const { committed, told } = yield* listener(topic)
      yield* subscribe(topic, { committed })
      yield* tell(topic, 2)
      yield* until(Effect.sync(() => told.length > 0))
      assert.deepStrictEqual([told, yield* heard(topic)], [[2], [1, 2]])
    })
  )
})
