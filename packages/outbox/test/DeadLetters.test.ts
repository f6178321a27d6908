import { integers } from "@ecommerce/sets/Sets"
import { until } from "@ecommerce/testing/ServiceProcess"
import { TestDatabase } from "@ecommerce/testing/TestDatabase"
import { PgClient } from "@effect/sql-pg"
import { assert, layer } from "@effect/vitest"
import { Effect, Ref } from "effect"

import {
  desk,
  heard,
  layerOver,
  lettersOf,
  newTopic,
  type Options,
  placeOf,
  range,
  subscribe,
  tell,
  type Topic,
  unreadable,
  untilHeard,
  untilPaused,
  write
} from "./fixtures/Subscriber.ts"

const untilPutAside = (topic: Topic, count: number) =>
  until(Effect.map(lettersOf(topic), (letters) => letters.length >= count))

/** The code fails on this number. */
const fatal: NonNullable<Options["before"]> = (events) =>
  events.some(({ data }) => data.number === 666) ? Effect.die(new Error("Nobody can use 666")) : Effect.void

/** The driver cannot even write this one down. */
const unwritable: NonNullable<Options["before"]> = (events) =>
  Effect.gen(function* () {
    const sql = yield* PgClient.PgClient
    const halves = integers(events.map(({ data }) => (data.number === 13 ? 6.5 : data.number)))
    yield* sql`SELECT FROM unnest(${halves}) AS input (number)`
  })

layer(layerOver(TestDatabase.layer), { excludeTestServices: true })("an event that cannot be used", (it) => {
  it.effect("is put aside alone and with its error; all others of its batch are used once and in order", () =>
    Effect.gen(function* () {
      const topic = newTopic()
      const good = range(1, 701).filter((number) => ![13, 666].includes(number))
      yield* write([
        ...good.slice(0, 100).map((number) => topic.of(number)),
        unreadable(topic),
        ...good.slice(100, 333).map((number) => topic.of(number)),
        topic.of(-4242, "refused"),
        topic.of(666, "fatal"),
        ...good.slice(333).map((number) => topic.of(number)),
        topic.of(13, "unwritable")
      ])
      const reader = yield* subscribe(topic, {
        before: (events) => Effect.andThen(fatal(events), unwritable(events))
      })
      yield* untilHeard(topic, good.length)
      yield* untilPutAside(topic, 4)
      yield* tell(topic, 701)
      yield* untilHeard(topic, good.length + 1)
      assert.deepStrictEqual(yield* heard(topic), [...good, 701])
      const letters = yield* lettersOf(topic)
      assert.deepStrictEqual(
        letters.map(({ subject }) => subject),
        ["unreadable", "refused", "fatal", "unwritable"]
      )
      const [decoding, refusal, defect] = letters.map(({ error }) => error)
      assert.match(decoding ?? "", /number/)
      assert.match(refusal ?? "", /23514/)
      assert.match(defect ?? "", /Nobody can use 666/)
      // What PostgreSQL tells of the row is somebody's own.
      assert.notInclude(`${refusal} ${reader.logs.join(" ")}`, "4242")
      const errors = reader.logs.filter((line) => line.startsWith("Error:"))
      assert.strictEqual(errors.length, 4)
      assert.isFalse((yield* placeOf(topic)).isPaused)
      assert.isUndefined((yield* reader.state).trouble)
    })
  )

  it.effect("is put aside once when two replicas find it", () =>
    Effect.gen(function* () {
      const topic = newTopic()
      const slowly = () => Effect.sleep("5 millis")
      const readers = yield* Effect.all([subscribe(topic, { before: slowly }), subscribe(topic, { before: slowly })])
      yield* write([...range(0, 9).map((number) => topic.of(number)), topic.of(-1, "bad"), topic.of(9)])
      yield* untilHeard(topic, 10)
      assert.deepStrictEqual(yield* heard(topic), range(0, 10))
      yield* untilPutAside(topic, 1)
      assert.strictEqual((yield* lettersOf(topic)).length, 1)
      const errors = readers.flatMap(({ logs }) => logs.filter((line) => line.startsWith("Error:")))
      assert.strictEqual(errors.length, 1)
    })
  )

  it.effect("holds nobody up when PostgreSQL cannot store its error either", () =>
    Effect.gen(function* () {
      const topic = newTopic()
      yield* write([topic.of(1), topic.of(2, "bad"), topic.of(3)])
      yield* subscribe(topic, {
        before: (events) =>
          events.some(({ subject }) => subject === "bad") ? Effect.die(new Error("No \u0000 here")) : Effect.void
      })
      yield* untilHeard(topic, 2).pipe(Effect.timeout("100 seconds"))
      assert.deepStrictEqual(yield* heard(topic), [1, 3])
      assert.strictEqual((yield* lettersOf(topic)).length, 1)
    })
  )

  it.effect("is not one that meets a deadlock, a lock that is taken, or a time limit: it is tried again", () =>
    Effect.gen(function* () {
      const topic = newTopic()
      const failures = yield* Ref.make(["40P01", "55P03", "57014", "42501"])
      const reader = yield* subscribe(topic, {
        before: () =>
          Effect.gen(function* () {
            const sql = yield* PgClient.PgClient
            const [state] = yield* Ref.getAndUpdate(failures, (left) => left.slice(1))
            if (state === undefined) return
            yield* sql.unsafe(`DO $$ BEGIN RAISE EXCEPTION 'not now' USING ERRCODE = '${state}'; END $$`)
          })
      })
      // Alone in its batch: there is no half that might do better.
      yield* tell(topic, 1)
      yield* untilHeard(topic, 1)
      assert.deepStrictEqual(yield* heard(topic), [1])
      assert.deepStrictEqual(yield* lettersOf(topic), [])
      assert.strictEqual((yield* placeOf(topic)).deadInARow, 0)
      assert.isNotEmpty(reader.logs.filter((line) => line.startsWith("Warn:")))
      yield* until(Effect.map(reader.state, ({ trouble }) => trouble === undefined))
    })
  )
})

layer(layerOver(TestDatabase.layer), { excludeTestServices: true })("a batch for which the time is too short", (it) => {
  /** As `statement_timeout` does it. */
  const slow =
    (most: number): NonNullable<Options["before"]> =>
    (events) =>
      Effect.gen(function* () {
        const sql = yield* PgClient.PgClient
        if (events.length <= most) return
        yield* sql.unsafe("DO $$ BEGIN RAISE EXCEPTION 'too long' USING ERRCODE = '57014'; END $$")
      })

  it.effect("is used in smaller ones, once and in order, and nothing of it is put aside", () =>
    Effect.gen(function* () {
      const topic = newTopic()
      yield* tell(topic, ...range(0, 1000))
      const reader = yield* subscribe(topic, { before: slow(100) })
      yield* untilHeard(topic, 1000)
      assert.deepStrictEqual(yield* heard(topic), range(0, 1000))
      assert.deepStrictEqual([yield* lettersOf(topic), reader.logs], [[], []])
    })
  )

  it.effect("is tried again from where it stands when the time is too short for one alone", () =>
    Effect.gen(function* () {
      const topic = newTopic()
      let isSlow = true
      const before: typeof fatal = (events) =>
        isSlow && events.some(({ data }) => data.number === 40) ? slow(0)(events) : Effect.void
      yield* tell(topic, ...range(0, 50))
      const reader = yield* subscribe(topic, { before })
      yield* untilHeard(topic, 40)
      yield* until(Effect.map(reader.state, ({ trouble }) => trouble !== undefined))
      assert.deepStrictEqual([yield* heard(topic), yield* lettersOf(topic)], [range(0, 40), []])
      isSlow = false
      yield* untilHeard(topic, 50)
      assert.deepStrictEqual([yield* heard(topic), yield* lettersOf(topic)], [range(0, 50), []])
    })
  )
})

layer(layerOver(TestDatabase.layer), { excludeTestServices: true })("ten events in a row that cannot be used", (it) => {
  it.effect("pause the consumer, which says so, and moves no more until it is told to", () =>
    Effect.gen(function* () {
      const topic = newTopic()
      yield* tell(topic, 1, ...range(-12, 0), 2)
      const reader = yield* subscribe(topic)
      yield* until(Effect.map(reader.state, ({ trouble }) => trouble === "paused"))
      const place = yield* placeOf(topic)
      assert.isTrue(place.isPaused)
      assert.deepStrictEqual([yield* heard(topic), (yield* lettersOf(topic)).length], [[1], 10])
      assert.isTrue(
        reader.logs.some((line) => line.startsWith("Error:") && /paused?/u.test(line) && line.includes(topic.consumer)),
        "nothing in the log says that it is paused"
      )

      yield* tell(topic, 3)
      yield* Effect.sleep("1500 millis")
      assert.deepStrictEqual(yield* placeOf(topic), place)

      const { resume } = yield* desk()
      assert.strictEqual(yield* resume(topic.consumer), 1)
      yield* untilHeard(topic, 3)
      yield* until(Effect.map(reader.state, ({ trouble }) => trouble === undefined))
      assert.deepStrictEqual(yield* heard(topic), [1, 2, 3])
      assert.strictEqual((yield* lettersOf(topic)).length, 12)
    })
  )

  it.effect("pause it also when others of types that it does not know are between them", () =>
    Effect.gen(function* () {
      const topic = newTopic()
      const foreign = newTopic()
      yield* subscribe(topic)
      yield* Effect.forEach(range(0, 10), (number) =>
        Effect.andThen(write([topic.of(-1, `bad-${number}`), foreign.of(number)]), tell(foreign, number))
      )
      yield* tell(topic, 1)
      yield* untilPaused(topic)
      assert.deepStrictEqual([yield* heard(topic), (yield* lettersOf(topic)).length], [[], 10])
    })
  )

  it.effect("are not nine, and then a good one, however often", () =>
    Effect.gen(function* () {
      const topic = newTopic()
      const nineAndOne = (number: number) => [...range(0, 9).map(() => topic.of(-1)), topic.of(number)]
      yield* write([...nineAndOne(0), ...nineAndOne(1)])
      yield* subscribe(topic)
      yield* untilHeard(topic, 2)
      yield* write(nineAndOne(2))
      yield* untilHeard(topic, 3)
      assert.deepStrictEqual(yield* heard(topic), [0, 1, 2])
      assert.strictEqual((yield* lettersOf(topic)).length, 27)
      assert.containSubset(yield* placeOf(topic), { deadInARow: 0, isPaused: false })
    })
  )

  it.effect("are ten also when the process is another one after each", () =>
    Effect.gen(function* () {
      const topic = newTopic()
      yield* Effect.forEach(range(1, 11), (count) =>
        Effect.gen(function* () {
          const { stop } = yield* subscribe(topic)
          yield* tell(topic, -1)
          yield* untilPutAside(topic, count)
          yield* stop
        })
      )
      assert.containSubset(yield* placeOf(topic), { isPaused: true })
    })
  )

  it.effect("leave unread what comes behind them, and the consumer does not say that it has read that", () =>
    Effect.gen(function* () {
      const topic = newTopic()
      yield* tell(topic, ...range(-10, 0), 1)
      const reader = yield* subscribe(topic)
      yield* until(Effect.map(reader.state, ({ trouble }) => trouble === "paused"))
      assert.deepStrictEqual(yield* heard(topic), [])
      assert.strictEqual((yield* reader.state).caughtUpAt, 0)
    })
  )
})
