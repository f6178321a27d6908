import { Remembered } from "@ecommerce/outbox/Announcements"
import { TestDatabase } from "@ecommerce/testing/TestDatabase"
import type { PgClient } from "@effect/sql-pg"
import { assert, layer } from "@effect/vitest"
import { Duration, Effect, Layer, Queue } from "effect"

import { another, commit, eventually, Producer, producerOnItsOwn, tell } from "./fixtures/Producer.ts"
import { commitInSilence, hint, listening, medianDelivery, millisOf } from "./fixtures/Waiting.ts"

type Words = Effect.Success<ReturnType<PgClient.PgClient["listen"]>>

/** What is said next, without the name of the process that says it. */
const nextWord = (words: Words) =>
  Effect.map(Effect.timeout(Queue.take(words), "60 seconds"), ({ payload }) => payload.replace(/^\S+ /u, ""))

const untilSaid = (words: Words, what: string) => Effect.repeat(nextWord(words), { until: (word) => word === what })

layer(producerOnItsOwn(), { excludeTestServices: true })("a process of a service", (it) => {
  it.effect("says nothing while it is alone, answers whoever comes, and tells of its commits from then on", () =>
    Effect.gen(function* () {
      const { administrator } = yield* TestDatabase
      yield* listening(1)
      const words = yield* administrator.listen("outbox_inventory")
      yield* tell("nobody hears")
      yield* Effect.sleep("300 millis")
      const said = yield* Queue.clear(words)
      assert.isTrue(said.every(({ payload }) => payload.endsWith(" comes")))
      yield* another()
      yield* untilSaid(words, "comes")
      // At once, and not when it says so the next time.
      yield* Effect.timeout(untilSaid(words, "is here"), "10 seconds")
      yield* commit("somebody hears")
      assert.match(yield* nextWord(words), /^[0-9]+$/u)
    })
  )

  it.effect(
    "tells another one of a thousand commits in a burst by far fewer words, the last of them with the highest",
    () =>
      Effect.gen(function* () {
        const { administrator } = yield* TestDatabase
        const { sql } = yield* Producer
        yield* listening(1)
        const words = yield* administrator.listen("outbox_inventory")
        yield* hint(administrator, "somebody comes")
        yield* untilSaid(words, "is here")
        const { millis } = yield* millisOf(
          Effect.forEach(
            Array.from({ length: 1000 }, (_, n) => `burst-${n}`),
            (subject) => commit(subject),
            { concurrency: 8 }
          )
        )
        const [highest] = yield* sql<{ xid: string }>`SELECT max(xid)::text AS xid FROM outbox`
        const heard: Array<string> = []
        while (heard.at(-1) !== highest?.xid) {
          heard.push(yield* nextWord(words))
        }
        assert.isAtMost(heard.length, Math.min(500, millis / 20 + 10))
        assert.deepStrictEqual(
          heard,
          heard.toSorted((one, other) => Number(one) - Number(other))
        )
      })
  )

  it.effect("sends no word inside of the transactions that append", () =>
    Effect.gen(function* () {
      const { administrator } = yield* TestDatabase
      const words = yield* administrator.listen("outbox_inventory")
      for (const subject of ["silent-1", "silent-2", "silent-3"]) yield* commitInSilence(subject)
      yield* hint(administrator, "0")
      assert.strictEqual((yield* Effect.timeout(Queue.take(words), "60 seconds")).payload, "0")
    })
  )
})

const forgetful = Layer.succeed(Remembered, Duration.seconds(1))

layer(producerOnItsOwn().pipe(Layer.provideMerge(forgetful)), { excludeTestServices: true })("two processes", (it) => {
  it.effect("that were away at the same time, longer than they remember each other, hear of each other again", () =>
    Effect.gen(function* () {
      const other = yield* another()
      yield* listening(2)
      const backAt = performance.now() + 2500
      while (performance.now() < backAt);
      yield* eventually(Effect.map(medianDelivery(other), (millis) => millis < 400))
    })
  )
})
