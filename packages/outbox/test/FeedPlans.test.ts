import { Announcements } from "@ecommerce/outbox/Announcements"
import type { Position } from "@ecommerce/outbox/Cursor"
import { Feed } from "@ecommerce/outbox/Feed"
import * as FeedDesk from "@ecommerce/outbox/FeedDesk"
import type { CloudEvent } from "@ecommerce/outbox/FeedEndpoint"
import { Long, rowsOf } from "@ecommerce/sets/Sets"
import * as Plans from "@ecommerce/testing/Plans"
import { TestDatabase } from "@ecommerce/testing/TestDatabase"
import { assert, layer } from "@effect/vitest"
import { Duration, Effect, Layer, Schema } from "effect"

import { append, begin, producerOnItsOwn, read, settled } from "./fixtures/Producer.ts"

/** Over one connection, so that the plans that it keeps are met again. */
const feed = Feed.layer({ source: "inventory", aside: (waiting) => waiting, stopping: Effect.never }).pipe(
  Layer.provideMerge(Announcements.layer),
  Layer.provideMerge(Plans.database("inventory"))
)

/** Of one table by one operation: some thousand deleted in a portion, 500 read. Far below a million. */
const mostRowsRead = 25_000
const overreadBy = Plans.overread("inventory", mostRowsRead)

/** It counts up to ten thousand for each of a dozen consumers. */
const overreadAtTheDesk = Plans.overread("inventory", 250_000)

const inTheMiddle = 500_000
const placeRows = rowsOf(Schema.Struct({ generation: Long, xid: Schema.String, seq: Schema.String }))

/** The place of the nth event from the start: of the last where there are fewer. */
const placeOf = Effect.fn("placeOf")(function* (nth: number) {
  const { administrator } = yield* TestDatabase
  // Half of the table is read by this.
  const [place] = yield* Plans.beside(
    placeRows(administrator`
      SELECT generation, xid::text AS xid, seq::text AS seq FROM inventory.outbox WHERE seq <= ${nth}::int
      ORDER BY generation DESC, xid DESC, seq DESC LIMIT 1`)
  )
  return place ?? { generation: 1, xid: "1", seq: "1" }
})

/** Every operation once, with readers at the beginning, in the middle and at the end. */
const operations = Effect.fn("operations")(function* (turn: number) {
  const { acknowledge, lags, read, trim } = yield* Feed
  const { readers } = yield* FeedDesk.make
  // One portion is trimmed each time: the beginning moves on.
  const ends: ReadonlyArray<readonly [string, Position | undefined]> = [
    ["the beginning", undefined],
    ["the middle", yield* placeOf(inTheMiddle)],
    ["the end", yield* placeOf(2_000_000)]
  ]
  const readings = yield* Effect.forEach(ends, ([name, after]) =>
    overreadBy(
      `reading from ${name}`,
      read({ consumer: `reader-${turn}`, limit: 500, ...(after === undefined ? {} : { after }) })
    )
  )
  return [
    ...readings.flat(),
    ...(yield* overreadBy("acknowledging", acknowledge)),
    ...(yield* overreadBy("lags", lags)),
    ...(yield* overreadAtTheDesk("the desk", readers)),
    ...(yield* overreadBy("trimming nothing", trim(Duration.days(3650)))),
    ...(yield* overreadBy("trimming", trim(Duration.days(7))))
  ]
})

layer(feed, { excludeTestServices: true })("a feed of a million old events", (it) => {
  const grow = (prepare: "SELECT" | "ANALYZE", count: number) =>
    Plans.overreadWhileGrowing(
      {
        service: "inventory",
        tables: ["outbox", "outbox_consumers"],
        begin: append(Array.from({ length: 5 }, (_, n) => `young-${n}`)),
        operations,
        rows: [
          // Ten events a transaction, of the generation before, some of them too young to go.
          `outbox (generation, xid, seq, type, subject, version, data, created_at) OVERRIDING SYSTEM VALUE
           SELECT 1, (10 + n / 10)::text::xid8, 1000 + n, 'parcel.sent', 'parcel', 1, '{}',
             now() - interval '30 days' * (1 - n / ${count}::float8)`,
          "outbox_consumers (name, generation, xid, seq) SELECT 'old-' || n, 1, (10 + n / 10)::text::xid8, 1000 + n"
        ],
        count,
        leastKept: 5
      },
      prepare
    )

  it.effect("is read with plans that were made when it was empty", () =>
    Effect.gen(function* () {
      const { administrator } = yield* TestDatabase
      // What is older comes before what is written here, whatever its numbers.
      yield* administrator`UPDATE inventory.outbox_origin SET generation = 2`
      // Consumers are few: those of the series but a handful are gone before anything is measured.
      yield* administrator`
        CREATE FUNCTION inventory.few() RETURNS trigger LANGUAGE plpgsql AS
        'BEGIN RETURN CASE WHEN NEW.name ~ ''^old-.*[1-9]0{5}$'' OR NEW.name !~ ''^old-'' THEN NEW END; END'`.unprepared
      yield* administrator`
        CREATE TRIGGER few BEFORE INSERT ON inventory.outbox_consumers
        FOR EACH ROW EXECUTE FUNCTION inventory.few()`.unprepared
      yield* administrator`ALTER TABLE inventory.outbox_consumers ENABLE ALWAYS TRIGGER few`.unprepared
      assert.deepStrictEqual(yield* grow("SELECT", 1_000_000), Plans.allWell)
    })
  )

  it.effect("is read with plans that were made on the statistics of a handful of events", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* grow("ANALYZE", 200_000), Plans.allWell)
    })
  )

  it.effect("is trimmed portion by portion, each of which reads not much more than it deletes", () =>
    Effect.gen(function* () {
      const { administrator } = yield* TestDatabase
      const { trim } = yield* Feed
      yield* administrator`DELETE FROM inventory.outbox_consumers`
      const over = yield* Effect.forEach([1, 2, 3, 4, 5], () => overreadBy("trimming", trim(Duration.days(7))))
      assert.deepStrictEqual(over.flat(), [])
    })
  )
})

const writeBacklog = Effect.gen(function* () {
  const { administrator } = yield* TestDatabase
  yield* administrator`
    INSERT INTO inventory.outbox (type, subject, version, data)
    SELECT 'parcel.sent', 'parcel-' || n, n, jsonb_build_object('label', repeat('x', 200))
    FROM generate_series(1, 100000) AS n`
})

layer(feed, { excludeTestServices: true })("a backlog behind an open transaction", (it) => {
  it.effect("costs those nothing who look whether there is something", () =>
    Effect.gen(function* () {
      const { administrator } = yield* TestDatabase
      const { read } = yield* Feed
      yield* append(["last"])
      yield* settled
      const after = yield* placeOf(2_000_000)
      const open = yield* begin(administrator, administrator`SELECT pg_current_xact_id()::text`)
      yield* writeBacklog
      for (let time = 0; time < 8; time++) {
        const look = Effect.map(read({ consumer: "looker", after }), ({ body }) => assert.deepStrictEqual(body, []))
        assert.deepStrictEqual(yield* Plans.overread("inventory", 1000)("looking", look), [])
      }
      yield* open.end("commit")
    })
  )
})

layer(producerOnItsOwn(), { excludeTestServices: true })("a backlog", (it) => {
  it.effect("of 100,000 events is read page by page in seconds, and in bounded memory", () =>
    Effect.gen(function* () {
      yield* writeBacklog
      yield* settled
      const memory = () => process.memoryUsage().heapUsed + process.memoryUsage().external
      const [began, before] = [performance.now(), memory()]
      let [after, count, most]: [string | undefined, number, number] = [undefined, 0, 0]
      for (;;) {
        const page: ReadonlyArray<CloudEvent> = yield* read("backlog", after, { limit: 1000 })
        for (const { version } of page) assert.strictEqual(version, (count += 1))
        most = Math.max(most, memory() - before)
        if (page.length === 0) break
        after = page.at(-1)?.cursor
      }
      assert.strictEqual(count, 100_000)
      assert.isBelow(performance.now() - began, 100_000)
      assert.isBelow(most, 300_000_000)
    })
  )
})
