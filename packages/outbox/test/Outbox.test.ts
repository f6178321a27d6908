import * as Event from "@ecommerce/outbox/Event"
import * as Outbox from "@ecommerce/outbox/Outbox"
import { Long, rowsOf } from "@ecommerce/sets/Sets"
import { TestDatabase } from "@ecommerce/testing/TestDatabase"
import * as TestService from "@ecommerce/testing/TestService"
import { PgClient } from "@effect/sql-pg"
import { assert, describe, it, layer } from "@effect/vitest"
import { DateTime, Effect, Layer, Redacted, Schema } from "effect"

const parcelSent = Event.make(
  "parcel.sent",
  Schema.Struct({ label: Schema.String, weight: Schema.Int, sentAt: Schema.DateTimeUtc })
)
const sentAt = DateTime.makeUnsafe("2026-11-21T08:33:36.743Z")
const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

const sent = (subject: string, version = 1) =>
  parcelSent.of({ subject, version, data: { label: `for ${subject}`, weight: 3, sentAt } })

const outboxRows = rowsOf(
  Schema.Struct({
    generation: Long,
    xid: Schema.String,
    seq: Schema.BigInt,
    type: Schema.String,
    subject: Schema.String,
    version: Schema.BigInt,
    data: Schema.Unknown,
    traceparent: Schema.NullOr(Schema.String),
    createdAt: Schema.Date
  })
)

/** What is in the outbox of these subjects, in the order of writing. */
const written = Effect.fn("written")(function* (...subjects: ReadonlyArray<string>) {
  const sql = yield* PgClient.PgClient
  return yield* outboxRows(sql`
    SELECT generation, xid::text, seq, type, subject, version, data, traceparent, created_at
    FROM outbox WHERE subject = ANY(${subjects}::text[]) ORDER BY seq`)
})

/** As a service has it, with the tables that its migrations made. */
const inventory = TestService.database("inventory").pipe(Layer.provideMerge(TestDatabase.layer))

layer(inventory, { excludeTestServices: true })("an outbox", (it) => {
  it.effect("keeps events as they are given, with the time and the number of their transaction", () =>
    Effect.gen(function* () {
      yield* Outbox.append([{ ...sent("as-given", 2 ** 40), traceparent }, sent("as-given", 2 ** 40 + 1)])
      const [first, second] = yield* written("as-given")
      const { createdAt, generation, seq, xid, ...rest } = first ?? assert.fail("no event")
      assert.deepStrictEqual(rest, {
        type: "parcel.sent",
        subject: "as-given",
        version: 2n ** 40n,
        data: { label: "for as-given", weight: 3, sentAt: "2026-11-21T08:33:36.743Z" },
        traceparent
      })
      // Numbered by the time at which this database was made.
      assert.isBelow(Math.abs(Date.now() - generation / 1000), 3_600_000)
      assert.isAbove(Number(xid), 0)
      assert.isBelow(Math.abs(Date.now() - createdAt.getTime()), 60_000)
      assert.strictEqual(second?.version, 2n ** 40n + 1n)
      assert.isNull(second?.traceparent)
      assert.isTrue(second.seq > seq)
    })
  )

  it.effect("keeps them in their order, however many there are", () =>
    Effect.gen(function* () {
      const subjects = Array.from({ length: 1000 }, (_, index) => `order-${(index * 7919) % 1000}`)
      yield* Outbox.append(subjects.map((subject) => sent(subject)))
      const rows = yield* written(...subjects)
      assert.deepStrictEqual(
        rows.map(({ subject }) => subject),
        subjects
      )
    })
  )

  it.effect("gives all events of a transaction its number, and those of another one another", () =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      const [{ xid }] = yield* sql
        .withTransaction(
          Effect.gen(function* () {
            yield* Outbox.append([sent("first"), sent("second")])
            yield* Outbox.append([sent("third")])
            return yield* sql<{ xid: string }>`SELECT pg_current_xact_id()::text AS xid`
          })
        )
        .pipe(Effect.map(([row]) => [row ?? assert.fail("no number")] as const))
      yield* Outbox.append([sent("later")])
      const rows = yield* written("first", "second", "third", "later")
      assert.deepStrictEqual(
        rows.map((row) => [row.subject, row.xid === xid]),
        [
          ["first", true],
          ["second", true],
          ["third", true],
          ["later", false]
        ]
      )
    })
  )

  it.effect("has no event of a transaction that was rolled back", () =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      const changeOfMind = Outbox.append([sent("undone")]).pipe(Effect.andThen(Effect.fail("changed my mind")))
      assert.strictEqual(yield* Effect.flip(sql.withTransaction(changeOfMind)), "changed my mind")
      assert.deepStrictEqual(yield* written("undone"), [])
    })
  )

  it.effect("takes with it the whole transaction when it cannot store an event", () =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      for (const poison of [
        sent("poison", 0),
        sent("poison\u0000"),
        { ...sent("poison"), data: { label: "\u0000" } }
      ]) {
        const transaction = Effect.andThen(Outbox.append([sent("beside")]), Outbox.append([sent("poison"), poison]))
        assert.strictEqual((yield* Effect.flip(sql.withTransaction(transaction)))._tag, "SqlError")
      }
      assert.deepStrictEqual(yield* written("beside", "poison"), [])
    })
  )

  it.effect("needs neither a row nor a statement for no events", () =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      const count = Effect.map(sql`SELECT FROM outbox`, (rows) => rows.length)
      const before = yield* count
      yield* Outbox.append([])
      assert.strictEqual(yield* count, before)
      const nowhere = PgClient.layer({ url: Redacted.make("postgres://nobody:secret@127.0.0.1:1/nothing") })
      yield* Effect.provide(Outbox.append([]), nowhere)
    })
  )
})

describe("an event", () => {
  it("has its data encoded as JSON, and no trace where none is known", () => {
    assert.deepStrictEqual(sent("a", 3), {
      type: "parcel.sent",
      subject: "a",
      version: 3,
      data: { label: "for a", weight: 3, sentAt: "2026-11-21T08:33:36.743Z" },
      traceparent: null
    })
    const traced = parcelSent.of({ subject: "a", version: 3, data: { label: "", weight: 3, sentAt }, traceparent })
    assert.strictEqual(traced.traceparent, traceparent)
  })

  it("is read with the schema that it was written with", () => {
    const decode = Schema.decodeUnknownSync(Schema.toCodecJson(parcelSent.data))
    assert.deepStrictEqual(decode(sent("a").data), { label: "for a", weight: 3, sentAt })
  })

  it("refuses data of another shape", () => {
    const heavy = { label: "", weight: 1.5, sentAt }
    assert.throws(() => parcelSent.of({ subject: "a", version: 1, data: heavy }), /weight/)
    assert.throws(() => parcelSent.of({ subject: "a", version: 1, data: JSON.parse('{"label": 1}') }), /label/)
  })

  it("carries nothing that its declaration does not name", () => {
    const more = { label: "", weight: 1, sentAt, secret: "hush" }
    const { data } = parcelSent.of({ subject: "a", version: 1, data: more })
    assert.deepStrictEqual(data, { label: "", weight: 1, sentAt: "2026-11-21T08:33:36.743Z" })
  })
})
