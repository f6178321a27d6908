import * as Event from "@ecommerce/outbox/Event"
import * as Outbox from "@ecommerce/outbox/Outbox"
import { TestDatabase } from "@ecommerce/testing/TestDatabase"
import { PgClient } from "@effect/sql-pg"
import { assert, layer } from "@effect/vitest"
import { Effect, Fiber, Schema } from "effect"

import { ask, commit, endOf, Producer, producerOnItsOwn, read, settled, subjectsOf, tell } from "./fixtures/Producer.ts"

const parcelLost = Event.make("parcel.lost", Schema.Struct({}))
const types = parcelLost.type

/** Commits word of each parcel that is lost; returns when readers may have it. */
const lose = Effect.fn("lose")(function* (...subjects: ReadonlyArray<string>) {
  const { sql } = yield* Producer
  const events = subjects.map((subject) => parcelLost.of({ subject, version: 1, data: {} }))
  yield* Outbox.append(events).pipe(Effect.provideService(PgClient.PgClient, sql), sql.withTransaction)
  yield* settled
})

const askLost = (consumer: string, after: string, wait = 0) => ask({ consumer, after, types, wait, limit: 3 })

layer(producerOnItsOwn(), { excludeTestServices: true })("a reader of some types", (it) => {
  it.effect("gets events of those alone, in their order", () =>
    Effect.gen(function* () {
      const after = yield* endOf("some")
      yield* tell("sent-1")
      yield* lose("lost-1", "lost-2")
      yield* tell("sent-2")
      yield* lose("lost-3")
      const both = `${types},parcel.sent`
      const order = ["sent-1", "lost-1", "lost-2", "sent-2", "lost-3"]
      assert.deepStrictEqual(subjectsOf(yield* read("some", after, { types: both })), order)
      assert.deepStrictEqual(subjectsOf(yield* read("some", after, { types })), ["lost-1", "lost-2", "lost-3"])
    })
  )

  it.effect("is told how far it has passed over others, and goes on from there", () =>
    Effect.gen(function* () {
      const after = yield* endOf("passing")
      yield* tell("sent-1", "sent-2", "sent-3", "sent-4")
      const { body, headers } = yield* askLost("passing", after)
      assert.deepStrictEqual(body, [])
      assert.strictEqual(headers["feed-complete"], "false")
      const passed = headers["feed-cursor"] ?? ""
      assert.deepStrictEqual(subjectsOf(yield* read("passing", passed)), ["sent-4"])
      const next = yield* askLost("passing", passed)
      assert.strictEqual(next.headers["feed-complete"], "true")
      assert.deepStrictEqual(subjectsOf(yield* read("passing", next.headers["feed-cursor"])), [])
    })
  )

  it.effect("waits past pages that are full of others", () =>
    Effect.gen(function* () {
      const after = yield* endOf("pages")
      yield* tell(...Array.from({ length: 20 }, (_, n) => `sent-${n}`))
      yield* lose("lost-behind")
      const found = yield* read("pages", after, { types, wait: 20, limit: 3 })
      assert.deepStrictEqual(subjectsOf(found), ["lost-behind"])
    })
  )

  it.effect("waits while others are told, hears soon how far they have come, and is there when one of its own is", () =>
    Effect.gen(function* () {
      const after = yield* endOf("waits")
      const waiting = yield* Effect.forkChild(askLost("waits", after, 30))
      yield* Effect.sleep("100 millis")
      yield* tell("sent-meanwhile")
      const { body, headers } = yield* Effect.timeout(Fiber.join(waiting), "20 seconds")
      assert.deepStrictEqual(body, [])
      assert.deepStrictEqual(subjectsOf(yield* read("waits", headers["feed-cursor"])), [])
      const again = yield* Effect.forkChild(read("waits", headers["feed-cursor"], { types, wait: 30 }))
      yield* Effect.sleep("100 millis")
      yield* lose("lost-meanwhile")
      assert.deepStrictEqual(subjectsOf(yield* Fiber.join(again)), ["lost-meanwhile"])
    })
  )

  it.effect("looks seldom while others are told, however many they are", () =>
    Effect.gen(function* () {
      const { administrator } = yield* TestDatabase
      yield* administrator.unsafe("ALTER SYSTEM SET track_functions = 'all'").unprepared
      yield* administrator`SELECT pg_reload_conf()`
      const looks = Effect.gen(function* () {
        // PostgreSQL counts a second late.
        yield* Effect.sleep("1500 millis")
        const [row] = yield* administrator<{ calls: number }>`
          SELECT coalesce(sum(calls), 0)::int AS calls FROM pg_stat_user_functions WHERE funcname = 'outbox_after'`
        return row?.calls ?? 0
      })
      let after = yield* endOf("seldom")
      const before = yield* looks
      const began = performance.now()
      yield* Effect.forkChild(
        Effect.forever(
          Effect.map(
            ask({ consumer: "seldom", after, types, wait: 20 }),
            ({ headers }) => (after = headers["feed-cursor"] ?? after)
          )
        )
      )
      const busy = Effect.whileLoop({
        while: () => performance.now() < began + 4000,
        body: () => commit("sent-again"),
        step: () => {}
      })
      yield* Effect.all([busy, busy, busy, busy], { concurrency: 4 })
      const seconds = (performance.now() - began) / 1000
      assert.isBelow((yield* looks) - before, 60 * (seconds + 3))
    })
  )

  it.effect("has not read what it was not told of: its place is where it has said", () =>
    Effect.gen(function* () {
      const { feed, sql } = yield* Producer
      const after = yield* endOf("place")
      yield* askLost("place", after)
      yield* feed.acknowledge
      const placeOf = sql`SELECT generation, xid::text AS xid, seq FROM outbox_consumers WHERE name = 'place'`
      const before = yield* placeOf
      yield* tell("sent-unheard")
      yield* askLost("place", after)
      yield* feed.acknowledge
      assert.deepStrictEqual(yield* placeOf, before)
    })
  )

  it.effect("names types, and nothing else", () =>
    Effect.gen(function* () {
      for (const wrong of ["", ",", "Parcel Lost", "parcel.lost,", "parcel.lost'--"]) {
        const { status } = yield* ask({ consumer: "wrong", types: wrong })
        assert.strictEqual(status, 400, wrong)
      }
    })
  )
})
