import { Announcements } from "@ecommerce/outbox/Announcements"
import { Feed } from "@ecommerce/outbox/Feed"
import { EmbeddedPostgres } from "@ecommerce/stack/EmbeddedPostgres"
import { TestDatabase } from "@ecommerce/testing/TestDatabase"
import * as TestService from "@ecommerce/testing/TestService"
import type { PgClient } from "@effect/sql-pg"
import { assert, layer } from "@effect/vitest"
import { Context, Effect, Layer, Schedule } from "effect"

import {
  another,
  append,
  ask,
  commit,
  endOf,
  eventually,
  Producer,
  producerOnItsOwn,
  read,
  readAll,
  settled,
  subjectsOf,
  tell
} from "./fixtures/Producer.ts"

/** As after a long life: the transactions of a new cluster have far smaller numbers. */
const useManyNumbers = (sql: PgClient.PgClient) =>
  sql`DO 'BEGIN FOR i IN 1..30000 LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END'`.unprepared

/** The tables of the feed, as a dump has them. */
const dumped = [
  ["outbox", "generation, xid, seq, type, subject, version, data, traceparent, created_at"],
  [
    "outbox_origin",
    "generation, system_identifier, timeline, trimmed_generation, trimmed_xid, trimmed_seq, is_only_one"
  ],
  ["outbox_consumers", "name, generation, xid, seq, seen_at"]
] as const

/** There is no pg_dump among the binaries: this takes over every row and where the sequence is, as a restore of one does. */
const restore = Effect.fn("restore")(function* (from: PgClient.PgClient, to: PgClient.PgClient) {
  for (const [table, columns] of dumped) {
    const [row] = yield* from.unsafe<{ rows: string }>(
      `SELECT coalesce(json_agg(copied), '[]')::text AS rows FROM (SELECT ${columns} FROM inventory.${table}) AS copied`
    )
    yield* to.unsafe(`DELETE FROM inventory.${table}`)
    yield* to.unsafe(
      `INSERT INTO inventory.${table} (${columns}) OVERRIDING SYSTEM VALUE
       SELECT ${columns} FROM json_populate_recordset(NULL::inventory.${table}, $1::text::json)`,
      [row?.rows]
    )
  }
  yield* to`SELECT setval('inventory.outbox_seq_seq', (SELECT coalesce(max(seq), 1) FROM inventory.outbox))::text`
})

/** A new cluster with a copy of this producer's database, which no service has seen yet. */
const restored = Effect.gen(function* () {
  const { administrator } = yield* TestDatabase
  const there = yield* Layer.build(Layer.fresh(TestDatabase.layerOwnServer))
  yield* restore(administrator, Context.get(there, TestDatabase).administrator)
  return there
})

const generation = Effect.gen(function* () {
  const { administrator } = yield* TestDatabase
  const [row] = yield* administrator<{
    generation: string
  }>`SELECT generation::text AS generation FROM inventory.outbox_origin`
  return Number(row?.generation ?? assert.fail("no generation"))
})

const firstXid = Effect.gen(function* () {
  const { administrator } = yield* TestDatabase
  const [row] = yield* administrator<{ xid: string }>`SELECT pg_snapshot_xmax(pg_current_snapshot())::text AS xid`
  return Number(row?.xid)
})

layer(producerOnItsOwn(), { excludeTestServices: true })("a database that was restored into a new cluster", (it) => {
  it.effect(
    "goes on behind all that was before, though its transactions have smaller numbers, and holds nobody up",
    () =>
      Effect.gen(function* () {
        yield* useManyNumbers((yield* TestDatabase).administrator)
        const before = yield* endOf("ahead")
        yield* tell("old-1", "old-2")
        const old = yield* readAll("ahead", before)
        assert.deepStrictEqual(subjectsOf(old), ["old-1", "old-2"])
        yield* Effect.flatMap(Producer, ({ feed }) => feed.acknowledge)
        const [oldGeneration, oldXid] = [yield* generation, yield* firstXid]

        const there = yield* restored
        yield* Effect.gen(function* () {
          assert.isBelow(yield* firstXid, oldXid)
          const producer = yield* another()
          yield* Effect.gen(function* () {
            yield* eventually(Effect.map(generation, (now) => now > oldGeneration))
            yield* tell("new-1", "new-2")
            const all = yield* readAll("ahead", before)
            assert.deepStrictEqual(subjectsOf(all), ["old-1", "old-2", "new-1", "new-2"])
            assert.deepStrictEqual(subjectsOf(yield* read("ahead", old[0]?.cursor)), ["old-2", "new-1", "new-2"])
            assert.deepStrictEqual(subjectsOf(yield* read("ahead", old[1]?.cursor)), ["new-1", "new-2"])
            assert.deepStrictEqual(yield* read("ahead", all[3]?.cursor), [])
            yield* producer.feed.acknowledge
            const lags = yield* producer.feed.lags
            assert.deepStrictEqual(
              lags.map(({ consumer, seconds }) => [consumer, seconds]),
              [["ahead", 0]]
            )
            assert.strictEqual(new Set(all.map(({ id }) => id)).size, 4)
          }).pipe(Effect.provideService(Producer, producer))
        }).pipe(Effect.provide(there))
      })
  )

  it.effect("knows a cursor that it cannot have given, refuses it, and remembers nobody by it", () =>
    Effect.gen(function* () {
      const { administrator } = yield* TestDatabase
      const { feed } = yield* Producer
      yield* tell("here")
      const now = yield* generation
      // Of a database with a longer history, and of one that was begun later: this one was put back, or made anew.
      for (const place of [`${now}.99999999.1`, `${now + 1}.1.1`]) {
        const { body, status } = yield* ask({
          consumer: "from-elsewhere",
          after: Buffer.from(place).toString("base64url")
        })
        assert.strictEqual(status, 410)
        assert.containSubset(body, { error: "cursor_gone" })
      }
      yield* feed.acknowledge
      const known = yield* administrator`SELECT FROM inventory.outbox_consumers WHERE name = 'from-elsewhere'`
      assert.lengthOf(known, 0)
      assert.include(subjectsOf(yield* readAll("from-elsewhere")), "here")
    })
  )

  it.effect("has its first events in the new generation, also when they are written before its service begins", () =>
    Effect.gen(function* () {
      yield* useManyNumbers((yield* TestDatabase).administrator)
      const ahead = yield* endOf("ahead")
      const there = yield* restored
      yield* Effect.gen(function* () {
        // It may be refused, but not be given a number that readers have passed.
        const early = append(["early"]).pipe(Effect.provide(TestService.database("inventory")))
        const isWritten = yield* Effect.isSuccess(early)
        const producer = yield* another()
        yield* Effect.gen(function* () {
          yield* eventually(Effect.isSuccess(Effect.sandbox(commit("later"))))
          yield* settled
          const subjects = subjectsOf(yield* readAll("ahead", ahead)).filter((subject) => subject !== "later")
          assert.deepStrictEqual(subjects, isWritten ? ["early"] : [])
        }).pipe(Effect.provideService(Producer, producer))
      }).pipe(Effect.provide(there))
    })
  )

  it.effect("never shares its generation with another restore of the same dump, begun in the same moment", () =>
    Effect.gen(function* () {
      const copies = yield* Effect.all([restored, restored], { concurrency: 2 })
      const generations = yield* Effect.forEach(
        copies,
        (there) =>
          Effect.gen(function* () {
            const before = yield* generation
            yield* another()
            yield* eventually(Effect.map(generation, (now) => now > before))
            return yield* generation
          }).pipe(Effect.provide(there)),
        { concurrency: 2 }
      )
      assert.strictEqual(new Set([...generations, yield* generation]).size, 3)
    })
  )
})

/** Nothing but reading: no worker of a service asks which server this is. */
const feedAlone = Feed.layer({ source: "inventory", aside: (waiting) => waiting, stopping: Effect.never }).pipe(
  Layer.provide(Announcements.layer),
  Layer.provideMerge(TestService.database("inventory")),
  Layer.provideMerge(TestDatabase.layer)
)

layer(feedAlone, { excludeTestServices: true })("the first to ask after a promotion", (it) => {
  it.effect(
    "is given what comes behind its place in the longer history of before, though nothing was written since",
    () =>
      Effect.gen(function* () {
        const { administrator } = yield* TestDatabase
        const { read: readFeed } = yield* Feed
        const now = yield* generation
        yield* administrator`UPDATE inventory.outbox_origin SET timeline = '0000ffff'`
        const after = { generation: now, xid: "99999999", seq: "1" }
        assert.deepStrictEqual((yield* readFeed({ consumer: "first", after })).body, [])
        assert.isAbove(yield* generation, now)
        yield* append(["behind it"])
        yield* settled
        assert.deepStrictEqual(subjectsOf((yield* readFeed({ consumer: "first", after })).body), ["behind it"])
        // One that no server can have given is refused as before.
        const never = { ...after, generation: (yield* generation) + 1 }
        assert.strictEqual((yield* Effect.flip(readFeed({ consumer: "first", after: never })))._tag, "CursorGone")
      })
  )
})

/** The connections of before are lost with a server that starts anew: each is noticed by whoever uses it first. */
const persistently = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.retry(Effect.sandbox(effect), { times: 200, schedule: Schedule.spaced("50 millis") })

layer(producerOnItsOwn(), { excludeTestServices: true })("a generation", (it) => {
  it.effect("is the same as long as the cluster is, however often it and the service start", () =>
    Effect.gen(function* () {
      const { restart } = yield* EmbeddedPostgres
      const { feed } = yield* Producer
      const before = yield* generation
      for (const mode of ["fast", "immediate"] as const) {
        yield* restart(mode)
        yield* persistently(feed.begin)
      }
      const other = yield* another()
      yield* persistently(other.feed.begin)
      assert.strictEqual(yield* persistently(generation), before)
    })
  )
})

layer(producerOnItsOwn(), { excludeTestServices: true })("a promotion", (it) => {
  it.effect("begins a generation, once for all processes, and running services go on in it by themselves", () =>
    Effect.gen(function* () {
      const { restart } = yield* EmbeddedPostgres
      const { administrator } = yield* TestDatabase
      yield* another()
      const after = yield* endOf("promoted")
      yield* tell("before")
      const old = yield* generation

      // Recovery from an archive that is empty ends at once, and on a new timeline, as that of a promoted copy does.
      yield* administrator`ALTER SYSTEM SET restore_command = 'false'`.unprepared
      const [signal] = yield* administrator<{
        path: string
      }>`SELECT current_setting('data_directory') || '/recovery.signal' AS path`
      yield* administrator.unsafe(`COPY (SELECT '') TO '${signal?.path}'`).unprepared
      yield* restart("fast")

      const timeline = administrator<{ at: string }>`SELECT substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) AS at`
      assert.strictEqual((yield* persistently(timeline))[0]?.at, "00000002")
      yield* eventually(Effect.map(persistently(generation), (now) => now > old))
      const now = yield* persistently(generation)
      yield* persistently(commit("after"))
      yield* persistently(settled)
      assert.deepStrictEqual(subjectsOf(yield* persistently(readAll("promoted", after))), ["before", "after"])
      yield* Effect.sleep("1 second")
      assert.strictEqual(yield* persistently(generation), now)
    })
  )
})
