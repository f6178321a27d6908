import { until } from "@ecommerce/testing/ServiceProcess"
import { TestDatabase } from "@ecommerce/testing/TestDatabase"
import { PgClient } from "@effect/sql-pg"
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"

import {
  desk,
  heard,
  layerOver,
  lettersOf,
  newTopic,
  placeOf,
  subscribe,
  tell,
  type Topic,
  unreadable,
  untilHeard,
  write
} from "./fixtures/Subscriber.ts"

/** Forgets what it has heard, and says that it has. */
const forgetting = (topic: Topic) => {
  const forgot: Array<number> = []
  const forget = Effect.gen(function* () {
    const sql = yield* PgClient.PgClient
    const rows = yield* sql`DELETE FROM heard WHERE consumer = ${topic.consumer} RETURNING 1 AS one`
    forgot.push(rows.length)
  })
  return { forget, forgot }
}

/** All that was written up to now is deleted. */
const trim = Effect.gen(function* () {
  const { administrator: sql } = yield* TestDatabase
  yield* sql`
    WITH gone AS (DELETE FROM inventory.outbox RETURNING generation, xid, seq),
    last AS (SELECT generation, xid, seq FROM gone ORDER BY generation DESC, xid DESC, seq DESC LIMIT 1)
    UPDATE inventory.outbox_origin SET trimmed_generation = last.generation, trimmed_xid = last.xid, trimmed_seq = last.seq
    FROM last`
})

/** The producer's database is another one than it was, and its service has begun there. */
const moveToAnotherServer = Effect.gen(function* () {
  const { administrator: sql } = yield* TestDatabase
  yield* sql`UPDATE inventory.outbox_origin SET timeline = '0000ffff'`
  yield* sql`SELECT inventory.outbox_begin()`
})

layer(layerOver(TestDatabase.layer), { excludeTestServices: true })("a consumer that keeps a copy", (it) => {
  it.effect("forgets it when it is told to begin anew, also where nothing is kept from which it could be learnt", () =>
    Effect.gen(function* () {
      const topic = newTopic()
      const { forget, forgot } = forgetting(topic)
      const { resumeAnew } = yield* desk()
      yield* tell(topic, 1, 2)
      const reader = yield* subscribe(topic, { forget, waitSeconds: 1 })
      yield* untilHeard(topic, 2)
      yield* tell(topic, 3)
      yield* untilHeard(topic, 3)
      assert.deepStrictEqual([forgot, yield* heard(topic)], [[0], [1, 2, 3]])

      // They are told again, to one that has forgotten them.
      yield* resumeAnew(topic.consumer)
      yield* until(Effect.sync(() => forgot.length === 2))
      yield* untilHeard(topic, 3)
      assert.deepStrictEqual(
        [forgot, yield* heard(topic)],
        [
          [0, 3],
          [1, 2, 3]
        ]
      )

      yield* trim
      yield* resumeAnew(topic.consumer)
      yield* until(Effect.sync(() => forgot.length === 3))
      yield* until(Effect.map(placeOf(topic), ({ cursor }) => cursor !== null))
      const began = Date.now()
      yield* until(Effect.map(reader.state, ({ caughtUpAt }) => caughtUpAt > began))
      assert.deepStrictEqual([forgot, yield* heard(topic)], [[0, 3, 3], []])
      yield* tell(topic, 4)
      yield* untilHeard(topic, 1)
      assert.deepStrictEqual([forgot, yield* heard(topic)], [[0, 3, 3], [4]])
      assert.deepStrictEqual([(yield* reader.state).trouble, reader.logs], [undefined, []])
    })
  )

  it.effect("forgets it once when the feed is on another server, before anything is told there", () =>
    Effect.gen(function* () {
      const topic = newTopic()
      const { forget, forgot } = forgetting(topic)
      yield* tell(topic, 1, 2)
      const reader = yield* subscribe(topic, { forget, waitSeconds: 1 })
      yield* untilHeard(topic, 2)
      const { cursor } = yield* placeOf(topic)

      yield* moveToAnotherServer
      yield* until(Effect.sync(() => forgot.length === 2))
      yield* until(Effect.map(placeOf(topic), (place) => place.cursor !== cursor))
      const began = Date.now()
      yield* until(Effect.map(reader.state, ({ caughtUpAt }) => caughtUpAt > began))
      assert.deepStrictEqual([forgot, yield* heard(topic)], [[0, 2], []])
      yield* tell(topic, 3)
      yield* untilHeard(topic, 1)
      assert.deepStrictEqual([forgot, yield* heard(topic)], [[0, 2], [3]])
      assert.deepStrictEqual([(yield* reader.state).trouble, reader.logs], [undefined, []])
    })
  )

  it.effect("forgets it before it uses what is told there, also when the first of that cannot be used", () =>
    Effect.gen(function* () {
      const topic = newTopic()
      const { forget, forgot } = forgetting(topic)
      yield* tell(topic, 1, 2)
      const first = yield* subscribe(topic, { forget })
      yield* untilHeard(topic, 2)
      yield* first.stop

      yield* moveToAnotherServer
      yield* write([unreadable(topic), topic.of(3)])
      yield* subscribe(topic, { forget })
      yield* until(Effect.map(heard(topic), (numbers) => numbers.join() === "3"))
      assert.deepStrictEqual(forgot, [0, 2])
      assert.strictEqual((yield* lettersOf(topic)).length, 1)
    })
  )

  it.effect("forgets nothing that is not committed with the place from which it goes on", () =>
    Effect.gen(function* () {
      const topic = newTopic()
      const { forget, forgot } = forgetting(topic)
      const { resumeAnew } = yield* desk()
      let isBroken = false
      // With an error that is tried again.
      const before = () =>
        Effect.gen(function* () {
          const sql = yield* PgClient.PgClient
          if (isBroken) yield* sql.unsafe("DO $$ BEGIN RAISE EXCEPTION 'not now' USING ERRCODE = '55P03'; END $$")
        })
      yield* tell(topic, 1)
      yield* subscribe(topic, { before, forget, waitSeconds: 1 })
      yield* untilHeard(topic, 1)
      isBroken = true
      yield* resumeAnew(topic.consumer)
      yield* until(Effect.sync(() => forgot.length >= 3))
      assert.deepStrictEqual([yield* heard(topic), (yield* placeOf(topic)).cursor], [[1], null])
      isBroken = false
      yield* until(Effect.map(placeOf(topic), ({ cursor }) => cursor !== null))
      assert.deepStrictEqual(yield* heard(topic), [1])
    })
  )
})
