import { createServer } from "node:http"

import * as Database from "@ecommerce/chassis/Database"
import { rowsOf } from "@ecommerce/sets/Sets"
import * as CrashPoints from "@ecommerce/testing/CrashPoints"
import * as HttpTap from "@ecommerce/testing/CrashPoints/HttpTap"
import * as PostgresTap from "@ecommerce/testing/CrashPoints/PostgresTap"
import type { Moment } from "@ecommerce/testing/CrashPoints/Tap"
import { TestDatabase } from "@ecommerce/testing/TestDatabase"
import { assert, layer } from "@effect/vitest"
import { Effect, Exit, Redacted, Schema } from "effect"
import { Reactivity } from "effect/reactivity"

const countRows = rowsOf(Schema.Struct({ count: Schema.Int }))

/** A table, and a client of it that dies at this point. */
const dying = Effect.fn("dying")(function* (what: string, when: Moment["when"]) {
  const { administrator, administratorUrl } = yield* TestDatabase
  yield* administrator`DROP TABLE IF EXISTS notes`
  yield* administrator`CREATE TABLE notes (note text)`
  const points = CrashPoints.make()
  const life = points.live("writer")
  const url = new URL(Redacted.value(administratorUrl))
  const there = { life: undefined, port: Number(url.port) }
  url.port = String(yield* points.line({ from: life, to: () => there, tap: () => PostgresTap.make("writer") }))
  const sql = yield* Effect.provide(
    Database.make({ url: Redacted.make(url.href), applicationName: "writer", maxConnections: 1 }),
    Reactivity.layer
  )
  yield* sql`SELECT 1`
  let deaths = 0
  points.arm({ service: "writer", what, when }, () => (deaths += 1))
  const notes = Effect.map(
    countRows(administrator`SELECT count(*)::integer AS count FROM notes`),
    ([row]) => row?.count
  )
  return { sql, life, notes, deaths: () => deaths, seen: () => [...points.takeSeen().keys()] }
})

layer(TestDatabase.layer, { excludeTestServices: true })("a point at which somebody dies", (it) => {
  for (const [when, written] of [
    ["before", 0],
    ["after", 2]
  ] as const) {
    it.effect(`${when} a commit leaves ${written === 0 ? "nothing" : "everything"} of the transaction behind`, () =>
      Effect.gen(function* () {
        const { deaths, life, notes, sql } = yield* dying("commits notes", when)
        const inserted = yield* sql`INSERT INTO notes VALUES ('one')`.pipe(
          Effect.andThen(sql`INSERT INTO notes VALUES ('two')`),
          sql.withTransaction,
          Effect.exit
        )
        assert.isTrue(Exit.isFailure(inserted))
        assert.strictEqual(deaths(), 1)
        assert.isTrue(life.isDead())
        assert.strictEqual(yield* notes, written)
        // It is not heard any more, whatever it tries.
        assert.isTrue(Exit.isFailure(yield* Effect.exit(sql`INSERT INTO notes VALUES ('three')`)))
        assert.strictEqual(yield* notes, written)
      })
    )

    it.effect(`${when} a statement that commits by itself is the same`, () =>
      Effect.gen(function* () {
        const { notes, sql } = yield* dying("commits notes (news)", when)
        const inserted = sql`WITH news AS (SELECT * FROM unnest(ARRAY['one', 'two'])) INSERT INTO notes SELECT * FROM news`
        assert.isTrue(Exit.isFailure(yield* Effect.exit(inserted)))
        assert.strictEqual(yield* notes, written)
      })
    )
  }

  it.effect("is none where nothing is written, where it is rolled back, or where PostgreSQL refuses it", () =>
    Effect.gen(function* () {
      const { deaths, seen, sql } = yield* dying("commits notes", "after")
      yield* sql.withTransaction(sql`SELECT * FROM notes FOR UPDATE`)
      yield* Effect.exit(
        sql`INSERT INTO notes VALUES ('one')`.pipe(Effect.andThen(Effect.fail("no")), sql.withTransaction)
      )
      yield* Effect.exit(sql.withTransaction(sql`INSERT INTO notes VALUES (1 / 0)`))
      assert.deepStrictEqual(seen(), [])
      assert.strictEqual(deaths(), 0)
      assert.deepStrictEqual(yield* sql`SELECT * FROM notes`, [])
    })
  )

  for (const [service, what, when, asked, isAnswered] of [
    ["buyer", "asks shop for POST /orders/:id", "before", 0, false],
    ["buyer", "asks shop for POST /orders/:id", "after", 1, false],
    ["shop", "answers POST /orders/:id", "before", 1, false],
    ["shop", "answers POST /orders/:id", "after", 1, true]
  ] as const) {
    it.effect(`is also where the ${service} dies ${when} it ${what}`, () =>
      Effect.gen(function* () {
        let requests = 0
        const server = createServer((_request, response) => {
          requests += 1
          response.end("yes")
        })
        yield* Effect.callback<void>((resume) => void server.listen(0, "127.0.0.1", () => resume(Effect.void)))
        const address = server.address()
        const points = CrashPoints.make()
        const shop = {
          life: points.live("shop"),
          port: address === null || typeof address === "string" ? 0 : address.port
        }
        const port = yield* points.line({
          from: points.live("buyer"),
          to: () => shop,
          tap: () => HttpTap.make("buyer", "shop")
        })
        let deaths = 0
        points.arm({ service, what, when }, () => (deaths += 1))
        const ask = Effect.exit(
          Effect.tryPromise(() =>
            fetch(`http://127.0.0.1:${port}/orders/0192e4a0-0000-7000-8000-00000000ada0?wait=1`, {
              method: "POST"
            }).then((response) => response.text())
          )
        )
        assert.strictEqual(Exit.isSuccess(yield* ask), isAnswered)
        assert.strictEqual(deaths, 1)
        assert.strictEqual(requests, asked)
        assert.isTrue(Exit.isFailure(yield* ask))
        assert.strictEqual(requests, asked)
        server.close()
      })
    )
  }
})
