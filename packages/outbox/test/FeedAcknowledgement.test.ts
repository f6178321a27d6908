import * as FeedDesk from "@ecommerce/outbox/FeedDesk"
import { rowsOf } from "@ecommerce/sets/Sets"
import { PgClient } from "@effect/sql-pg"
import { assert, layer } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { HttpClientRequest } from "effect/http"

import {
  another,
  empty,
  eventually,
  Producer,
  producer,
  read,
  readUpTo,
  tell,
  tellDaysAgo
} from "./fixtures/Producer.ts"

const healthRows = Schema.decodeUnknownEffect(Schema.Struct({ checks: Schema.Record(Schema.String, Schema.String) }))
const consumerRows = rowsOf(Schema.Struct({ name: Schema.String, events: Schema.Int }))

/** How many events each consumer has acknowledged, as it is written down. */
const acknowledged = Effect.gen(function* () {
  const { sql } = yield* Producer
  const rows = yield* consumerRows(sql`
    SELECT name, (
      SELECT count(*)::int FROM outbox
      WHERE (outbox.generation, outbox.xid, outbox.seq) <= (known.generation, known.xid, known.seq)
    ) AS events FROM outbox_consumers AS known`)
  return Object.fromEntries(rows.map(({ events, name }) => [name, events]))
})

layer(producer(), { excludeTestServices: true })("how far a consumer is", (it) => {
  it.effect("is known from when it first asks, and is what it said last, whichever process it told", () =>
    Effect.gen(function* () {
      const { feed } = yield* Producer
      const other = yield* another()
      yield* empty
      yield* tell("one", "two", "three", "four")
      const [one, two, three] = (yield* read("reader")).map(({ cursor }) => cursor)
      assert.deepStrictEqual(yield* acknowledged, { reader: 0 })

      yield* read("reader", one)
      yield* read("reader", two)
      yield* feed.acknowledge
      assert.deepStrictEqual(yield* acknowledged, { reader: 2 })

      yield* Effect.provideService(read("reader", three), Producer, other)
      yield* other.feed.acknowledge
      // Nobody has asked this one again.
      yield* feed.acknowledge
      assert.deepStrictEqual(yield* acknowledged, { reader: 3 })
    })
  )

  it.effect("goes back with a consumer that begins anew, so that it is seen to be behind and nothing is deleted", () =>
    Effect.gen(function* () {
      const { feed } = yield* Producer
      yield* empty
      yield* tell("one", "two", "three")
      const [one, , three] = (yield* read("anew")).map(({ cursor }) => cursor)
      yield* read("anew", three)
      yield* feed.acknowledge
      assert.deepStrictEqual(yield* acknowledged, { anew: 3 })
      yield* read("anew", one)
      yield* feed.acknowledge
      assert.deepStrictEqual(yield* acknowledged, { anew: 1 })
      yield* read("anew")
      yield* feed.acknowledge
      assert.deepStrictEqual(yield* acknowledged, { anew: 0 })
      const [lag] = yield* feed.lags
      assert.isAbove(lag?.seconds ?? 0, 0)
    })
  )

  it.effect("is written down by the service itself within seconds, each by itself", () =>
    Effect.gen(function* () {
      yield* empty
      yield* tell("one", "two", "three")
      const [one, two] = (yield* read("first")).map(({ cursor }) => cursor)
      yield* read("second")
      yield* read("first", two)
      yield* read("second", one)
      yield* read("third")
      yield* eventually(
        Effect.map(acknowledged, ({ first, second, third }) => first === 2 && second === 1 && third === 0)
      )
    })
  )

  it.effect("is its lag, the age of the oldest event that it has not read, and told in health", () =>
    Effect.gen(function* () {
      const { client, feed } = yield* Producer
      yield* empty
      yield* tellDaysAgo(2, "old")
      yield* tellDaysAgo(1, "older than new")
      yield* tell("new")
      yield* read("none")
      yield* readUpTo("one", "old")
      yield* readUpTo("all", "new")
      const hours = (yield* feed.lags).map(({ consumer, seconds }) => [consumer, Math.round(seconds / 3600)])
      assert.deepStrictEqual(hours, [
        ["all", 0],
        ["none", 48],
        ["one", 24]
      ])
      assert.strictEqual((yield* feed.lags)[0]?.seconds, 0)
      const health = yield* client.get("/health")
      assert.strictEqual(health.status, 200)
      const { checks } = yield* Effect.flatMap(health.json, healthRows)
      assert.match(checks["feed"] ?? "", /^all is 0 s behind, none is 1728\d\d s behind, one is 864\d\d s behind$/u)
    })
  )

  it.effect("is a metric too, and no longer one that alarms when the consumer has been removed", () =>
    Effect.gen(function* () {
      const { client, sql, token } = yield* Producer
      const lagOf = (consumer: string) =>
        Effect.gen(function* () {
          const response = yield* client.execute(
            HttpClientRequest.get("/metrics").pipe(HttpClientRequest.bearerToken(token))
          )
          const said = new RegExp(`feed_lag_seconds\\{consumer="${consumer}"\\} (.+)`, "u").exec(yield* response.text)
          return said === null ? undefined : Number(said[1])
        })
      yield* empty
      yield* tellDaysAgo(1, "old")
      yield* read("gone")
      yield* eventually(Effect.map(lagOf("gone"), (seconds = 0) => seconds > 80_000))
      const { remove } = yield* Effect.provideService(FeedDesk.make, PgClient.PgClient, sql)
      assert.strictEqual(yield* remove("gone"), 1)
      yield* eventually(Effect.map(lagOf("gone"), (seconds) => seconds === 0))
    })
  )
})
