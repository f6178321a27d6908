import * as FeedDesk from "@ecommerce/outbox/FeedDesk"
import { rowsOf } from "@ecommerce/sets/Sets"
import { TestDatabase } from "@ecommerce/testing/TestDatabase"
import { PgClient } from "@effect/sql-pg"
import { assert, layer } from "@effect/vitest"
import { Duration, Effect, Schema } from "effect"

import {
  another,
  ask,
  empty,
  Producer,
  producer,
  read,
  readAll,
  readUpTo,
  subjectsOf,
  tell,
  tellDaysAgo
} from "./fixtures/Producer.ts"

const subjectRows = rowsOf(Schema.Struct({ subject: Schema.String }))

/** What is kept, in order. */
const kept = Effect.gen(function* () {
  const { sql } = yield* Producer
  const rows = yield* subjectRows(sql`SELECT subject FROM outbox ORDER BY generation, xid, seq`)
  return rows.map(({ subject }) => subject)
})

/** What the service does each minute; answers how many were deleted each time. */
const trim = Effect.gen(function* () {
  const { feed } = yield* Producer
  const portions: Array<number> = []
  do portions.push(yield* feed.trim(Duration.days(7)))
  while (portions.at(-1) !== 0)
  return portions
})

const desk = Effect.flatMap(Producer, ({ sql }) => Effect.provideService(FeedDesk.make, PgClient.PgClient, sql))

const codeOf = Schema.decodeUnknownSync(Schema.Struct({ error: Schema.String, status: Schema.Int }))

layer(producer(), { excludeTestServices: true })("events are kept", (it) => {
  it.effect("while they are young, and while a known consumer has not read them, however old they are", () =>
    Effect.gen(function* () {
      yield* empty
      yield* tellDaysAgo(30, "read-1", "read-2", "unread-1", "unread-2")
      yield* tell("young")
      yield* readUpTo("slow", "read-2")
      yield* readUpTo("fast", "young")
      assert.deepStrictEqual(yield* trim, [2, 0])
      assert.deepStrictEqual(yield* kept, ["unread-1", "unread-2", "young"])
      yield* readUpTo("slow", "young")
      assert.deepStrictEqual(yield* trim, [2, 0])
      assert.deepStrictEqual(yield* kept, ["young"])
    })
  )

  it.effect("as long as the age says to the hour", () =>
    Effect.gen(function* () {
      const { administrator } = yield* TestDatabase
      yield* empty
      yield* tellDaysAgo(7, "old", "nearly-old")
      yield* administrator`
        UPDATE inventory.outbox SET created_at = created_at + interval '1 hour' WHERE subject = 'nearly-old'`
      yield* administrator`UPDATE inventory.outbox SET created_at = created_at - interval '1 hour' WHERE subject = 'old'`
      assert.deepStrictEqual(yield* trim, [1, 0])
      assert.deepStrictEqual(yield* kept, ["nearly-old"])
    })
  )

  it.effect("from the middle of a transaction on for one who has read half of it", () =>
    Effect.gen(function* () {
      const { administrator } = yield* TestDatabase
      yield* empty
      yield* tell("half-1", "half-2", "half-3")
      yield* administrator`UPDATE inventory.outbox SET created_at = created_at - interval '30 days'`
      yield* readUpTo("half", "half-2")
      assert.deepStrictEqual(yield* trim, [2, 0])
      assert.deepStrictEqual(yield* kept, ["half-3"])
    })
  )

  it.effect("for nobody when nobody is known: whatever is old goes", () =>
    Effect.gen(function* () {
      yield* empty
      yield* tellDaysAgo(30, "nobody-1", "nobody-2")
      yield* tell("young")
      assert.deepStrictEqual(yield* trim, [2, 0])
      assert.deepStrictEqual(yield* kept, ["young"])
    })
  )

  it.effect("for one that has asked and has acknowledged nothing yet", () =>
    Effect.gen(function* () {
      yield* empty
      yield* tellDaysAgo(30, "new-1")
      yield* read("brand-new")
      assert.deepStrictEqual(yield* trim, [0])
      assert.deepStrictEqual(yield* kept, ["new-1"])
    })
  )

  it.effect("no more, when there are many, in portions: each a short transaction, and two processes do not meet", () =>
    Effect.gen(function* () {
      const { administrator } = yield* TestDatabase
      const other = yield* another()
      yield* empty
      yield* administrator`
        INSERT INTO inventory.outbox (type, subject, version, data, created_at)
        SELECT 'parcel.sent', 'many', 1, '{}', now() - interval '30 days' FROM generate_series(1, 12000)`
      yield* tell("young")
      const portions = yield* Effect.all([trim, Effect.provideService(trim, Producer, other)], { concurrency: 2 })
      assert.isAtLeast(portions.flat().filter((count) => count > 0).length, 3)
      assert.isAtMost(Math.max(...portions.flat()), 5000)
      assert.strictEqual(
        portions.flat().reduce((sum, count) => sum + count, 0),
        12_000
      )
      assert.deepStrictEqual(yield* kept, ["young"])
    })
  )

  it.effect("no more for a consumer that was removed", () =>
    Effect.gen(function* () {
      const { readers, remove } = yield* desk
      yield* empty
      yield* tellDaysAgo(30, "held-1", "held-2")
      yield* read("gone-for-good")
      yield* readUpTo("busy", "held-2")
      assert.deepStrictEqual(yield* trim, [0])
      assert.deepStrictEqual(
        (yield* readers).map(({ eventsBehind, name }) => [name, eventsBehind]),
        [
          ["busy", 0],
          ["gone-for-good", 2]
        ]
      )
      yield* Effect.flatMap(Producer, ({ feed }) => feed.acknowledge)
      assert.strictEqual(yield* remove("gone-for-good"), 1)
      assert.strictEqual(yield* remove("gone-for-good"), 0)
      assert.deepStrictEqual(yield* trim, [2, 0])
    })
  )

  it.effect("again for one that was removed and is not gone, as soon as it is seen to ask", () =>
    Effect.gen(function* () {
      const { readers, remove } = yield* desk
      const { feed } = yield* Producer
      yield* empty
      yield* tellDaysAgo(30, "back-1", "back-2")
      const cursor = yield* readUpTo("not-gone", "back-1")
      yield* remove("not-gone")
      yield* read("not-gone", cursor)
      // What it has asked by now does not bring it back: it may be gone.
      yield* feed.acknowledge
      assert.deepStrictEqual(yield* readers, [])
      yield* read("not-gone", cursor)
      assert.deepStrictEqual(
        (yield* readers).map(({ eventsBehind, name }) => [name, eventsBehind]),
        [["not-gone", 1]]
      )
      assert.deepStrictEqual(yield* trim, [1, 0])
      assert.deepStrictEqual(yield* kept, ["back-2"])
    })
  )

  it.effect("from the beginning for one that was removed and begins anew", () =>
    Effect.gen(function* () {
      const { remove } = yield* desk
      const { feed } = yield* Producer
      yield* empty
      yield* tellDaysAgo(30, "anew-1", "anew-2")
      yield* readUpTo("anew", "anew-2")
      yield* remove("anew")
      yield* read("anew", undefined, { limit: 1 })
      yield* feed.acknowledge
      yield* read("anew", undefined, { limit: 1 })
      yield* feed.acknowledge
      assert.deepStrictEqual(yield* trim, [0])
      assert.deepStrictEqual(yield* kept, ["anew-1", "anew-2"])
    })
  )

  it.effect(
    "or else who asks after an older cursor hears that it is gone, and a new consumer begins with the oldest",
    () =>
      Effect.gen(function* () {
        yield* empty
        yield* tellDaysAgo(30, "cut-1", "cut-2", "cut-3")
        yield* tell("left-1", "left-2")
        const [first, , third] = yield* readAll("reader")
        yield* read("reader", third?.cursor)
        yield* Effect.flatMap(Producer, ({ feed }) => feed.acknowledge)
        assert.deepStrictEqual(yield* trim, [3, 0])
        for (const wait of [0, 20]) {
          const { body, status } = yield* ask({ consumer: "reader", after: first?.cursor ?? "", wait })
          assert.strictEqual(status, 410)
          assert.deepStrictEqual(codeOf(body), { error: "cursor_gone", status: 410 })
        }
        const other = yield* another()
        const elsewhere = yield* Effect.provideService(
          ask({ consumer: "reader", after: first?.cursor ?? "" }),
          Producer,
          other
        )
        assert.strictEqual(elsewhere.status, 410)
        assert.deepStrictEqual(subjectsOf(yield* read("reader", third?.cursor)), ["left-1", "left-2"])
        assert.deepStrictEqual(subjectsOf(yield* read("newcomer")), ["left-1", "left-2"])
      })
  )

  it.effect("or else one who waits hears so too, though everything is deleted", () =>
    Effect.gen(function* () {
      yield* empty
      yield* tellDaysAgo(30, "all-1", "all-2")
      const [first, second] = yield* readAll("waiter")
      yield* empty
      yield* tellDaysAgo(30, "all-3")
      assert.deepStrictEqual(yield* trim, [1, 0])
      const { status } = yield* ask({ consumer: "waiter", after: second?.cursor ?? "", wait: 20 })
      assert.strictEqual(status, 410)
      assert.strictEqual((yield* ask({ consumer: "waiter", after: first?.cursor ?? "" })).status, 410)
      assert.deepStrictEqual(yield* read("waiter"), [])
    })
  )
})
