import * as Outbox from "@ecommerce/outbox/Outbox"
import { Long, rowsOf } from "@ecommerce/sets/Sets"
import { PgClient } from "@effect/sql-pg"
import { assert, layer } from "@effect/vitest"
import { Effect, Schema } from "effect"

import {
  ask,
  commit,
  endOf,
  Producer,
  producer,
  read,
  readAll,
  sent,
  settled,
  subjectsOf,
  tell
} from "./fixtures/Producer.ts"

const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

const placeRows = rowsOf(
  Schema.Struct({ generation: Long, xid: Schema.String, seq: Schema.String, createdAt: Schema.Date })
)

/** Where the events of this subject are in the outbox. */
const placeOf = Effect.fn("placeOf")(function* (subject: string) {
  const { sql } = yield* Producer
  const [row] = yield* placeRows(
    sql`SELECT generation, xid::text AS xid, seq::text AS seq, created_at FROM outbox WHERE subject = ${subject}`
  )
  return row ?? assert.fail(`no event of ${subject}`)
})

const encoded = (text: string) => Buffer.from(text).toString("base64url")

const decodeProblem = Schema.decodeUnknownSync(
  Schema.Struct({
    error: Schema.String,
    errors: Schema.optionalKey(Schema.Array(Schema.Struct({ in: Schema.String, field: Schema.String })))
  })
)

layer(producer(), { excludeTestServices: true })("a feed", (it) => {
  it.effect("has nothing to tell where nothing has happened", () =>
    Effect.gen(function* () {
      const { body, status } = yield* ask({ consumer: "early" })
      assert.strictEqual(status, 200)
      assert.deepStrictEqual(body, [])
    })
  )

  it.effect("answers a batch of CloudEvents, with all that is known of each", () =>
    Effect.gen(function* () {
      const { sql } = yield* Producer
      const after = yield* endOf("cloud")
      yield* Outbox.append([{ ...sent("traced", 2 ** 40), traceparent }, sent("untraced", 7)]).pipe(
        Effect.provideService(PgClient.PgClient, sql),
        sql.withTransaction
      )
      yield* settled
      const { body, headers, status } = yield* ask({ consumer: "cloud", after })
      assert.strictEqual(status, 200)
      assert.match(headers["content-type"] ?? "", /^application\/cloudevents-batch\+json(?:;|$)/u)
      const [first, second] = [yield* placeOf("traced"), yield* placeOf("untraced")]
      const eventAt = ({ createdAt, generation, seq, xid }: typeof first) => ({
        specversion: "1.0",
        id: `${generation}.${xid}.${seq}`,
        source: "/inventory",
        type: "parcel.sent",
        time: createdAt.toISOString(),
        datacontenttype: "application/json",
        cursor: encoded(`${generation}.${xid}.${seq}`)
      })
      assert.deepStrictEqual(body, [
        { ...eventAt(first), subject: "traced", version: 2 ** 40, data: { label: "for traced" }, traceparent },
        { ...eventAt(second), subject: "untraced", version: 7, data: { label: "for untraced" } }
      ])
    })
  )

  it.effect("is for services only", () =>
    Effect.gen(function* () {
      const { client } = yield* Producer
      const { body, status } = yield* ask({ consumer: "stranger" }, "not the token of this house")
      assert.strictEqual(status, 401)
      assert.strictEqual(decodeProblem(body).error, "unauthorized")
      const without = yield* client.get("/feed?consumer=stranger")
      assert.strictEqual(without.status, 401)
      const { sql } = yield* Producer
      assert.deepStrictEqual(yield* sql`SELECT name FROM outbox_consumers WHERE name = 'stranger'`, [])
    })
  )

  it.effect("gives the events page by page, each once and in one order, whatever the size of the pages", () =>
    Effect.gen(function* () {
      const after = yield* endOf("pages")
      const told = Array.from({ length: 40 }, (_, transaction) =>
        Array.from({ length: 1 + (transaction % 4) }, (_, place) => `page-${transaction}-${place}`)
      )
      for (const subjects of told) yield* commit(...subjects)
      yield* settled
      for (const limit of [1, 2, 3, 7, 99, 100, 1000]) {
        assert.deepStrictEqual(subjectsOf(yield* readAll("pages", after, limit)), told.flat(), `pages of ${limit}`)
      }
    })
  )

  it.effect("gives no more at once than was asked for, and 500 where nothing was", () =>
    Effect.gen(function* () {
      const after = yield* endOf("limits")
      yield* tell(...Array.from({ length: 1100 }, (_, index) => `limited-${index}`))
      for (const limit of [1, 2, 499, 1000]) {
        assert.lengthOf(yield* read("limits", after, { limit }), limit)
      }
      assert.lengthOf(yield* read("limits", after), 500)
    })
  )

  it.effect("keeps the events of a transaction in their order, also when it appends several times", () =>
    Effect.gen(function* () {
      const { sql } = yield* Producer
      const after = yield* endOf("order")
      const subjects = Array.from({ length: 60 }, (_, index) => `order-${(index * 37) % 60}`)
      yield* Effect.forEach([0, 20, 40], (from) =>
        Outbox.append(subjects.slice(from, from + 20).map((subject) => sent(subject)))
      ).pipe(Effect.provideService(PgClient.PgClient, sql), sql.withTransaction)
      yield* settled
      assert.deepStrictEqual(subjectsOf(yield* readAll("order", after, 7)), subjects)
    })
  )

  it.effect("gives the same again to whoever asks again after the same cursor", () =>
    Effect.gen(function* () {
      const after = yield* endOf("again")
      yield* tell("again-1", "again-2")
      const once = yield* read("again", after)
      assert.deepStrictEqual(yield* read("again", after), once)
      assert.deepStrictEqual(yield* read("someone-else", after), once)
      assert.deepStrictEqual(subjectsOf(yield* read("again", once[0]?.cursor)), ["again-2"])
      assert.deepStrictEqual(yield* read("again", once.at(-1)?.cursor), [])
    })
  )

  const bad: ReadonlyArray<readonly [name: string, query: string, field: string]> = [
    ["nobody who asks", "", "consumer"],
    ["an empty consumer", "consumer=", "consumer"],
    ["a consumer in capitals", "consumer=Edge", "consumer"],
    ["a consumer with a blank", "consumer=a%20b", "consumer"],
    ["a consumer that begins with a dot", "consumer=.a", "consumer"],
    ["a consumer of 101 characters", `consumer=${"a".repeat(101)}`, "consumer"],
    ["a consumer with SQL behind it", "consumer=a'--", "consumer"],
    ["a consumer with NUL", "consumer=a%00", "consumer"],
    ["a consumer with a line break", "consumer=a%0A", "consumer"],
    ["two consumers", "consumer=a&consumer=b", "consumer"],
    ["an empty cursor", "consumer=bad&after=", "after"],
    ["a cursor of garbage", "consumer=bad&after=garbage", "after"],
    ["a cursor that is no base64", "consumer=bad&after=%25%25", "after"],
    ["a cursor of two numbers", `consumer=bad&after=${encoded("1.2")}`, "after"],
    ["a cursor with SQL", `consumer=bad&after=${encoded("1.2.3;--")}`, "after"],
    ["a cursor of a generation too large", `consumer=bad&after=${encoded("9007199254740992.1.1")}`, "after"],
    ["a cursor of a transaction too large", `consumer=bad&after=${encoded("1.99999999999999999999.1")}`, "after"],
    ["a cursor of a place too large", `consumer=bad&after=${encoded("1.1.9999999999999999999")}`, "after"],
    ["a limit of 0", "consumer=bad&limit=0", "limit"],
    ["a limit of 1001", "consumer=bad&limit=1001", "limit"],
    ["a limit below 0", "consumer=bad&limit=-1", "limit"],
    ["half a limit", "consumer=bad&limit=1.5", "limit"],
    ["a limit in words", "consumer=bad&limit=many", "limit"],
    ["a limit of 1e1", "consumer=bad&limit=1e1", "limit"],
    ["two limits", "consumer=bad&limit=1&limit=2", "limit"],
    ["an empty limit", "consumer=bad&limit=", "limit"],
    ["to wait for 31 seconds", "consumer=bad&wait=31", "wait"],
    ["to wait for less than nothing", "consumer=bad&wait=-1", "wait"],
    ["to wait for half a second", "consumer=bad&wait=0.5", "wait"],
    ["to wait for ever", "consumer=bad&wait=Infinity", "wait"]
  ]

  it.effect.each(bad)("refuses %s with 400, and names the field", ([, query, field]) =>
    Effect.gen(function* () {
      const { body, status } = yield* ask(query)
      assert.strictEqual(status, 400, JSON.stringify(body))
      const { errors = [] } = decodeProblem(body)
      const named = new Set(errors.map((error) => `${error.in} ${error.field}`))
      assert.deepStrictEqual([...named], [`query ${field}`], JSON.stringify(body))
    })
  )

  it.effect("remembers nobody who was refused", () =>
    Effect.gen(function* () {
      const { sql } = yield* Producer
      assert.deepStrictEqual(yield* sql`SELECT name FROM outbox_consumers WHERE name LIKE 'bad%'`, [])
    })
  )

  it.effect("takes the longest name, the smallest and the largest limit, and no wait at all", () =>
    Effect.gen(function* () {
      for (const more of [{ limit: 1 }, { limit: 1000 }, { wait: 0 }]) {
        yield* read("a".repeat(100), undefined, more)
      }
    })
  )
})
