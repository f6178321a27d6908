import { until } from "@ecommerce/testing/ServiceProcess"
import { TestDatabase } from "@ecommerce/testing/TestDatabase"
import { assert, layer } from "@effect/vitest"
import { Effect, Ref } from "effect"

import {
  desk,
  heard,
  latest,
  layerOver,
  lettersOf,
  newTopic,
  range,
  subscribe,
  tell,
  type Topic,
  untilHeard,
  write
} from "./fixtures/Subscriber.ts"

const untilPutAside = (topic: Topic, count: number) =>
  until(Effect.map(lettersOf(topic), (letters) => letters.length >= count))

layer(layerOver(TestDatabase.layer), { excludeTestServices: true })("what was put aside", (it) => {
  /** Consumers refuse whatever is below this, until it is lowered. */
  const picky = Effect.map(Ref.make(0), (least) => ({
    least,
    before:
      (replica?: Effect.Effect<void>) => (events: ReadonlyArray<{ readonly data: { readonly number: number } }>) =>
        Effect.gen(function* () {
          const bound = yield* Ref.get(least)
          if (replica !== undefined) yield* replica
          if (events.some(({ data }) => data.number < bound)) yield* Effect.die(new Error(`less than ${bound}`))
        })
  }))

  it.effect("is used when it is redriven, and is gone then; what still fails stays, with its new error", () =>
    Effect.gen(function* () {
      const topic = newTopic()
      const { before, least } = yield* picky
      yield* Ref.set(least, 100)
      yield* subscribe(topic, { before: before(), waitSeconds: 1 })
      yield* write([1, 2, 3, 200, 4, 5].map((number) => topic.of(number, `number ${number}`)))
      yield* untilPutAside(topic, 5)
      assert.deepStrictEqual(yield* heard(topic), [200])

      yield* Ref.set(least, 3)
      const { redrive } = yield* desk()
      assert.strictEqual(yield* redrive(topic.consumer), 5)
      yield* untilHeard(topic, 4)
      yield* until(Effect.map(lettersOf(topic), (letters) => letters.every(({ isAsked }) => !isAsked)))
      assert.deepStrictEqual(yield* heard(topic), [200, 3, 4, 5])
      assert.deepStrictEqual(yield* lettersOf(topic), [
        { subject: "number 1", error: "less than 3", isAsked: false },
        { subject: "number 2", error: "less than 3", isAsked: false }
      ])
      // It is not tried again by itself.
      yield* Ref.set(least, 0)
      yield* tell(topic, 201)
      yield* untilHeard(topic, 5)
      assert.strictEqual((yield* lettersOf(topic)).length, 2)
    })
  )

  it.effect("is used once when two replicas are there to do it", () =>
    Effect.gen(function* () {
      const topic = newTopic()
      const { before, least } = yield* picky
      yield* Ref.set(least, 100)
      // Dead ones and good ones by turns, so that it is not paused.
      const numbers = range(0, 40).map((number) => (number % 2 === 0 ? number : number + 100))
      const slowly = Effect.sleep("20 millis")
      yield* Effect.all([1, 2].map(() => subscribe(topic, { before: before(slowly), waitSeconds: 1 })))
      yield* tell(topic, ...numbers)
      yield* untilPutAside(topic, 20)
      yield* untilHeard(topic, 20)
      yield* Ref.set(least, 0)
      const { redrive } = yield* desk()
      assert.strictEqual(yield* redrive(topic.consumer), 20)
      yield* until(Effect.map(lettersOf(topic), (letters) => letters.length === 0))
      yield* tell(topic, 1000)
      yield* untilHeard(topic, 41)
      assert.deepStrictEqual(
        (yield* heard(topic)).toSorted((a, b) => a - b),
        [...numbers, 1000].toSorted((a, b) => a - b)
      )
    })
  )

  it.effect("replaces nothing newer of its subject when it is redriven, where versions are looked at", () =>
    Effect.gen(function* () {
      const topic = newTopic()
      const { before, least } = yield* picky
      yield* Ref.set(least, 100)
      yield* subscribe(topic, { before: before(), waitSeconds: 1 })
      yield* write([topic.of(10, "cup", 1), topic.of(120, "cup", 2), topic.of(30, "pot", 5)])
      yield* untilPutAside(topic, 2)
      yield* Ref.set(least, 0)
      const { redrive } = yield* desk()
      yield* redrive(topic.consumer)
      yield* until(Effect.map(lettersOf(topic), (letters) => letters.length === 0))
      assert.deepStrictEqual(yield* latest(topic), [
        { subject: "cup", version: 2, number: 120 },
        { subject: "pot", version: 5, number: 30 }
      ])
    })
  )

  it.effect("keeps the consumer from saying that it has used all, until it is redriven", () =>
    Effect.gen(function* () {
      const topic = newTopic()
      const { before, least } = yield* picky
      yield* Ref.set(least, 100)
      const reader = yield* subscribe(topic, { before: before(), waitSeconds: 1 })
      yield* tell(topic, 1)
      yield* untilPutAside(topic, 1)
      const dead = Date.now()
      yield* tell(topic, 101)
      yield* untilHeard(topic, 1)
      // Time enough for an answer without news.
      yield* Effect.sleep("1500 millis")
      assert.isAtMost((yield* reader.state).caughtUpAt, dead)
      yield* Ref.set(least, 0)
      const { redrive } = yield* desk()
      yield* redrive(topic.consumer)
      yield* until(Effect.map(reader.state, ({ caughtUpAt }) => caughtUpAt > dead))
      assert.deepStrictEqual(yield* heard(topic), [101, 1])
    })
  )

  it.effect("is not lost when the database goes away while it is redriven", () =>
    Effect.gen(function* () {
      const topic = newTopic()
      const { cutConnections } = yield* TestDatabase
      const { before, least } = yield* picky
      const cuts = yield* Ref.make(0)
      yield* Ref.set(least, 100)
      const cutOnce = Effect.gen(function* () {
        if ((yield* Ref.get(least)) === 0 && (yield* Ref.getAndUpdate(cuts, (count) => count + 1)) === 0) {
          yield* Effect.orDie(cutConnections)
        }
      })
      yield* subscribe(topic, { before: before(cutOnce), waitSeconds: 1 })
      yield* tell(topic, 1, 2, 3)
      yield* untilPutAside(topic, 3)
      yield* Ref.set(least, 0)
      const { redrive } = yield* desk()
      yield* redrive(topic.consumer)
      yield* until(Effect.map(lettersOf(topic), (letters) => letters.length === 0))
      assert.isAbove(yield* Ref.get(cuts), 1)
      assert.deepStrictEqual(yield* heard(topic), [1, 2, 3])
    })
  )
})
