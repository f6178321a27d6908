import { until } from "@ecommerce/testing/ServiceProcess"
import { TestDatabase } from "@ecommerce/testing/TestDatabase"
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"

import {
  desk,
  heard,
  layerOver,
  lettersOf,
  newTopic,
  placeOf,
  range,
  subscribe,
  tell,
  unreadable,
  untilHeard,
  write
} from "./fixtures/Subscriber.ts"

layer(layerOver(TestDatabase.layer), { excludeTestServices: true })("an operator", (it) => {
  it.effect("sees who reads a feed, and how far behind each is", () =>
    Effect.gen(function* () {
      const topic = newTopic()
      const { readers } = yield* desk("inventory")
      const reader = Effect.map(readers, (all) => all.find(({ name }) => name === topic.consumer))
      const subscriber = yield* subscribe(topic, { waitSeconds: 1 })
      yield* tell(topic, 1)
      yield* until(Effect.map(reader, (seen) => seen?.eventsBehind === 0))
      yield* subscriber.stop
      yield* tell(topic, ...range(0, 30))
      yield* Effect.sleep("1200 millis")
      const late = (yield* reader) ?? assert.fail("It is not known")
      assert.strictEqual(late.eventsBehind, 30)
      assert.isAbove(late.secondsBehind, 1)
      assert.isAbove(late.seenSecondsAgo, 1)
      yield* subscribe(topic, { waitSeconds: 1 })
      yield* until(Effect.map(reader, (seen) => seen?.eventsBehind === 0 && seen.secondsBehind === 0))
    })
  )

  it.effect("removes a reader, for whom nothing is kept any more; one that is not gone is there again", () =>
    Effect.gen(function* () {
      const topic = newTopic()
      const { readers, remove } = yield* desk("inventory")
      const isThere = Effect.map(readers, (all) => all.some(({ name }) => name === topic.consumer))
      const { stop } = yield* subscribe(topic, { waitSeconds: 1 })
      yield* until(isThere)
      yield* stop
      assert.strictEqual(yield* remove(topic.consumer), 1)
      // Also when what it asked last is written down afterwards.
      yield* Effect.sleep("1500 millis")
      assert.isFalse(yield* isThere)
      assert.strictEqual(yield* remove(topic.consumer), 0)
      yield* subscribe(topic, { waitSeconds: 1 })
      yield* tell(topic, 1)
      yield* untilHeard(topic, 1)
      yield* until(isThere)
    })
  )

  it.effect("sees a service's consumers, and what they could not use", () =>
    Effect.gen(function* () {
      const topic = newTopic()
      const { letters, subscriptions } = yield* desk()
      const mine = Effect.map(subscriptions, (all) => all.find(({ name }) => name === topic.consumer))
      yield* subscribe(topic)
      yield* write([topic.of(1), unreadable(topic, "cup"), topic.of(-5, "pot")])
      yield* until(Effect.map(mine, (seen) => seen?.deadLetters === 2))
      const { movedSecondsAgo, ...seen } = (yield* mine) ?? assert.fail("It is not known")
      assert.deepStrictEqual(seen, { name: topic.consumer, isPaused: false, deadLetters: 2 })
      assert.isBelow(movedSecondsAgo, 30)
      const own = (yield* letters).filter(({ consumer }) => consumer === topic.consumer)
      assert.deepStrictEqual(
        own.map(({ subject, type }) => [subject, type]),
        [
          ["cup", topic.event.type],
          ["pot", topic.event.type]
        ]
      )
      assert.strictEqual(new Set(own.map(({ eventId }) => eventId)).size, 2)
      assert.isTrue(own.every(({ error }) => error.length > 0 && !error.includes("-5")))
    })
  )

  it.effect("pauses a consumer and lets it go on: nothing is lost, and nothing comes twice", () =>
    Effect.gen(function* () {
      const topic = newTopic()
      const { pause, resume, subscriptions } = yield* desk()
      const reader = yield* subscribe(topic, { waitSeconds: 1 })
      yield* tell(topic, 1)
      yield* untilHeard(topic, 1)
      assert.strictEqual(yield* pause(topic.consumer), 1)
      yield* tell(topic, 2, 3)
      yield* until(Effect.map(reader.state, ({ trouble }) => trouble === "paused"))
      const place = yield* placeOf(topic)
      yield* Effect.sleep("1500 millis")
      assert.deepStrictEqual([yield* heard(topic), yield* placeOf(topic)], [[1], place])
      assert.isTrue((yield* subscriptions).find(({ name }) => name === topic.consumer)?.isPaused)
      assert.strictEqual(yield* resume(topic.consumer), 1)
      yield* untilHeard(topic, 3)
      assert.deepStrictEqual(yield* heard(topic), [1, 2, 3])
      yield* until(Effect.map(reader.state, ({ trouble }) => trouble === undefined))
      assert.isFalse((yield* subscriptions).find(({ name }) => name === topic.consumer)?.isPaused)
    })
  )

  it.effect("touches no other consumer, and none that there is not", () =>
    Effect.gen(function* () {
      const topic = newTopic()
      const other = newTopic()
      yield* subscribe(topic)
      yield* subscribe(other)
      yield* write([topic.of(-1), other.of(-1), topic.of(1), other.of(1)])
      yield* untilHeard(topic, 1)
      yield* untilHeard(other, 1)
      const { pause, redrive, resume, resumeAnew } = yield* desk()
      assert.strictEqual(yield* redrive(topic.consumer), 1)
      assert.strictEqual(yield* pause(topic.consumer), 1)
      assert.deepStrictEqual(
        (yield* lettersOf(other)).map(({ isAsked }) => isAsked),
        [false]
      )
      assert.isFalse((yield* placeOf(other)).isPaused)
      const nobody = "edge-api.nobody"
      const changed = [redrive(nobody), pause(nobody), resume(nobody), resumeAnew(nobody)]
      assert.deepStrictEqual(yield* Effect.all(changed), [0, 0, 0, 0])
    })
  )

  it.effect("finds nothing where a service has no consumers, and no error", () =>
    Effect.gen(function* () {
      const { letters, pause, redrive, resume, resumeAnew, subscriptions } = yield* desk("inventory")
      assert.deepStrictEqual([yield* subscriptions, yield* letters], [[], []])
      const changed = [redrive("a"), pause("a"), resume("a"), resumeAnew("a")]
      assert.deepStrictEqual(yield* Effect.all(changed), [0, 0, 0, 0])
    })
  )
})
