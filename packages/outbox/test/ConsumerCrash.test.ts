import * as Outbox from "@ecommerce/outbox/Outbox"
import { rowsOf } from "@ecommerce/sets/Sets"
import { until, untilHeldUp } from "@ecommerce/testing/ServiceProcess"
import { TestDatabase } from "@ecommerce/testing/TestDatabase"
import { PgClient } from "@effect/sql-pg"
import { assert, layer } from "@effect/vitest"
import { Effect, Fiber, Latch, Ref, Schema } from "effect"
import * as fc from "fast-check"

import {
  heard,
  layerOver,
  lettersOf,
  newDatabaseRelay,
  newRelay,
  newTopic,
  Producer,
  range,
  subscribe,
  tell,
  type Topic,
  untilHeard
} from "./fixtures/Subscriber.ts"

/** From now on each commit of what this topic's consumer writes down takes so long, until the scope ends. */
const slowCommits = Effect.fn("slowCommits")(function* (topic: Topic, seconds: number) {
  const { administrator: sql } = yield* TestDatabase
  yield* sql.unsafe(`
    CREATE FUNCTION edge_api.hold_up() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN PERFORM pg_sleep(${seconds}); RETURN NEW; END $$`).unprepared
  yield* sql.unsafe(`
    CREATE CONSTRAINT TRIGGER hold_up AFTER INSERT ON edge_api.heard DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (NEW.consumer = '${topic.consumer}') EXECUTE FUNCTION edge_api.hold_up()`).unprepared
  yield* Effect.addFinalizer(() => Effect.orDie(sql.unsafe("DROP FUNCTION edge_api.hold_up() CASCADE").unprepared))
})

/** Another process takes over, and something more is told. */
const goOn = Effect.fn("goOn")(function* (topic: Topic) {
  yield* subscribe(topic)
  yield* tell(topic, 4)
  yield* untilHeard(topic, 4)
  yield* tell(topic, 5)
  yield* untilHeard(topic, 5)
  assert.deepStrictEqual(yield* heard(topic), [1, 2, 3, 4, 5])
  assert.deepStrictEqual(yield* lettersOf(topic), [])
})

layer(layerOver(TestDatabase.layer), { excludeTestServices: true })(
  "a consumer whose process ends uses every event once",
  (it) => {
    it.effect("when it waits for news", () =>
      Effect.gen(function* () {
        const topic = newTopic()
        const asked = yield* Latch.make(false)
        const { stop } = yield* subscribe(topic, { onRequest: asked.open })
        yield* asked.await
        yield* stop
        yield* tell(topic, 1, 2, 3)
        yield* goOn(topic)
      })
    )

    it.effect("before it has its answer", () =>
      Effect.gen(function* () {
        const topic = newTopic()
        const relay = yield* newRelay
        yield* relay.be("silent")
        yield* tell(topic, 1, 2, 3)
        const { stop } = yield* subscribe(topic, { url: relay.url })
        yield* until(Effect.map(relay.connections, (connections) => connections > 0))
        yield* Effect.sleep("100 millis")
        yield* stop
        yield* goOn(topic)
      })
    )

    it.effect("when it has read the answer, and has not begun with it", () =>
      Effect.gen(function* () {
        const topic = newTopic()
        const reader: { interrupt: () => void } = { interrupt: () => {} }
        const { fiber, stop } = yield* subscribe(topic, { onRead: () => reader.interrupt() })
        reader.interrupt = () => fiber.interruptUnsafe()
        yield* tell(topic, 1, 2, 3)
        yield* Fiber.await(fiber)
        assert.deepStrictEqual(yield* heard(topic), [])
        yield* stop
        yield* goOn(topic)
      })
    )

    for (const place of ["before", "after"] as const) {
      it.effect(`in its transaction, ${place} what it makes of them`, () =>
        Effect.gen(function* () {
          const topic = newTopic()
          const there = yield* Latch.make(false)
          yield* tell(topic, 1, 2, 3)
          const { stop } = yield* subscribe(topic, { [place]: () => Effect.andThen(there.open, Effect.never) })
          yield* there.await
          yield* stop
          // Its place may be behind what others were told before, where this was held back for a moment; nothing of this is used.
          assert.deepStrictEqual(yield* heard(topic), [])
          yield* goOn(topic)
        })
      )
    }

    it.effect("while it commits", () =>
      Effect.gen(function* () {
        const topic = newTopic()
        yield* Effect.scoped(
          Effect.gen(function* () {
            yield* slowCommits(topic, 0.2)
            yield* tell(topic, 1, 2, 3)
            const { stop } = yield* subscribe(topic)
            yield* untilHeldUp("edge-api")
            yield* stop
          })
        )
        yield* goOn(topic)
      })
    )

    it.effect("right after its commit, of which it has not heard", () =>
      Effect.gen(function* () {
        const topic = newTopic()
        const database = yield* newDatabaseRelay
        yield* Effect.scoped(
          Effect.gen(function* () {
            yield* slowCommits(topic, 0.3)
            yield* tell(topic, 1, 2, 3)
            const { fiber, logs } = yield* subscribe(topic, { database })
            yield* untilHeldUp("edge-api")
            // PostgreSQL commits what it was told to; only its answer comes to nobody.
            yield* database.be("away")
            yield* until(Effect.sync(() => logs.length > 0))
            yield* untilHeard(topic, 3)
            yield* Fiber.interrupt(fiber)
          })
        )
        assert.deepStrictEqual(yield* heard(topic), [1, 2, 3])
        yield* goOn(topic)
      })
    )

    for (const place of ["before", "after"] as const) {
      it.effect(`when the database is lost in its transaction, ${place} what it makes of them`, () =>
        Effect.gen(function* () {
          const topic = newTopic()
          const { cutConnections } = yield* TestDatabase
          const isCut = yield* Ref.make(false)
          const cutOnce = Effect.gen(function* () {
            if (!(yield* Ref.getAndSet(isCut, true))) yield* Effect.orDie(cutConnections)
          })
          yield* tell(topic, 1, 2, 3)
          const { logs } = yield* subscribe(topic, { [place]: () => cutOnce })
          yield* untilHeard(topic, 3)
          yield* goOn(topic)
          assert.isTrue(logs.some((line) => line.startsWith("Warn:")))
        })
      )
    }

    it.effect("when the database is lost while it commits", () =>
      Effect.gen(function* () {
        const topic = newTopic()
        const { cutConnections } = yield* TestDatabase
        yield* Effect.scoped(
          Effect.gen(function* () {
            yield* slowCommits(topic, 0.2)
            yield* tell(topic, 1, 2, 3)
            yield* subscribe(topic)
            yield* untilHeldUp("edge-api")
            yield* cutConnections
          })
        )
        yield* goOn(topic)
      })
    )
  }
)

const numbers = rowsOf(Schema.Struct({ number: Schema.Int }))

/** A transaction that writes in two portions; it may come late, and be rolled back in the end. */
const writer = fc.record({
  portions: fc.tuple(fc.integer({ min: 1, max: 8 }), fc.integer({ min: 0, max: 8 })),
  beginsAfter: fc.nat(400),
  takes: fc.nat(150),
  isRolledBack: fc.boolean()
})
/** A replica that is interrupted after so many milliseconds, and started again, each time. */
const replica = fc.record({ lives: fc.array(fc.nat(80), { minLength: 4, maxLength: 10 }), isSlow: fc.boolean() })
const story = fc.record({
  writers: fc.array(writer, { minLength: 5, maxLength: 25 }),
  replicas: fc.array(replica, { minLength: 2, maxLength: 2 })
})
type Story = typeof story extends fc.Arbitrary<infer Value> ? Value : never

const atOnce = { concurrency: "unbounded" } as const

layer(layerOver(TestDatabase.layerOwnServer), { excludeTestServices: true })(
  "whoever writes late or changes their mind, and whenever its replicas end,",
  (it) => {
    it.effect("a consumer has used exactly what was committed, each event once, in the order of the feed", () =>
      Effect.gen(function* () {
        const context = yield* Effect.context<Producer | TestDatabase>()
        const { administrator } = yield* TestDatabase
        const sql = yield* Effect.flatMap(Producer, (producer) => producer.sql)

        const check = Effect.fn("check")(function* ({ replicas, writers }: Story) {
          const topic = newTopic()
          let next = 0
          const some = (count: number) => range(next, (next += count)).map((number) => topic.of(number))
          const append = (count: number) =>
            Effect.suspend(() => Effect.provideService(Outbox.append(some(count)), PgClient.PgClient, sql))

          const writing = Effect.forEach(
            writers,
            ({ beginsAfter, isRolledBack, portions: [first, second], takes }) =>
              append(first).pipe(
                Effect.andThen(Effect.sleep(takes)),
                Effect.andThen(append(second)),
                Effect.andThen(isRolledBack ? Effect.fail("changed my mind") : Effect.void),
                sql.withTransaction,
                Effect.catchIf(
                  (error) => error === "changed my mind",
                  () => Effect.void
                ),
                Effect.delay(beginsAfter)
              ),
            atOnce
          )
          const reading = Effect.forEach(
            replicas,
            ({ isSlow, lives }) =>
              Effect.forEach(lives, (millis) =>
                Effect.gen(function* () {
                  const slowly = () => Effect.sleep(isSlow ? "10 millis" : 0)
                  const { stop } = yield* subscribe(topic, { before: slowly, after: slowly, waitSeconds: 1 })
                  yield* Effect.sleep(millis)
                  yield* stop
                })
              ),
            atOnce
          )
          yield* Effect.all([writing, reading], atOnce)

          const committed = yield* numbers(administrator`
            SELECT (data->>'number')::integer AS number FROM inventory.outbox WHERE type = ${topic.event.type}
            ORDER BY generation, xid, seq`)
          const { stop } = yield* subscribe(topic, { waitSeconds: 1 })
          yield* untilHeard(topic, committed.length)
          yield* tell(topic, next)
          yield* untilHeard(topic, committed.length + 1)
          yield* stop
          assert.deepStrictEqual(yield* heard(topic), [...committed.map(({ number }) => number), next])
          assert.deepStrictEqual(yield* lettersOf(topic), [])
        })

        yield* Effect.promise(() =>
          fc.assert(
            fc.asyncProperty(story, (told) => Effect.runPromiseWith(context)(Effect.scoped(check(told)))),
            { numRuns: 12, endOnFailure: true }
          )
        )
      })
    )
  }
)
