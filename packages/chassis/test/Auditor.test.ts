import * as Database from "@ecommerce/chassis/Database"
import { auditor } from "@ecommerce/chassis/Names"
import { admitAuditor, provision } from "@ecommerce/chassis/Provision"
import * as Databases from "@ecommerce/stack/Databases"
import { TestDatabase } from "@ecommerce/testing/TestDatabase"
import { PgClient } from "@effect/sql-pg"
import { assert, layer } from "@effect/vitest"
import { Effect, Layer, Option, Redacted } from "effect"

const services = ["attic", "cellar"]

/** A shelf was there before the auditor was let in, the other came afterwards, as with a migration. */
const prepare = Effect.gen(function* () {
  const { administratorUrl } = yield* TestDatabase
  yield* Effect.gen(function* () {
    const sql = yield* PgClient.PgClient
    for (const service of services) {
      yield* provision({ service, password: Option.some(Redacted.make("theirs")) })
      yield* sql.unsafe(`CREATE TABLE ${service}.shelf (id bigint GENERATED ALWAYS AS IDENTITY, content text)`)
        .unprepared
      yield* admitAuditor({ service, password: Option.none() })
      yield* sql.unsafe(`CREATE TABLE ${service}.later (id int)`).unprepared
    }
  }).pipe(Effect.provide(Database.layerFrom({ url: administratorUrl, applicationName: "test", maxConnections: 1 })))
})

const refusals = [
  ["INSERT INTO attic.shelf (content) VALUES ('a')", "permission denied for table shelf"],
  ["UPDATE attic.later SET id = 1", "permission denied for table later"],
  ["DELETE FROM cellar.shelf", "permission denied for table shelf"],
  ["TRUNCATE cellar.later", "permission denied for table later"],
  ["SELECT * FROM cellar.shelf FOR UPDATE", "permission denied for table shelf"],
  ["SELECT nextval('attic.shelf_id_seq')", "permission denied for sequence shelf_id_seq"],
  ["CREATE TABLE attic.more (id int)", "permission denied for schema attic"],
  ["CREATE TABLE public.more (id int)", "permission denied for schema public"],
  ["CREATE TEMPORARY TABLE more (id int)", "permission denied to create temporary tables"],
  ["CREATE SCHEMA more", "permission denied for database"],
  ["DROP TABLE attic.shelf", "must be owner of table shelf"],
  ["ALTER TABLE attic.shelf ADD COLUMN more text", "must be owner of table shelf"],
  ["SET ROLE ecommerce_attic", 'permission denied to set role "ecommerce_attic"']
] as const

layer(TestDatabase.layerEmpty, { excludeTestServices: true })("the auditor's role", (it) => {
  it.effect("sees what every service has stored and will store, and changes nothing, whatever it sets itself", () =>
    Effect.gen(function* () {
      yield* prepare
      const { urlOf } = yield* TestDatabase
      yield* Effect.gen(function* () {
        const sql = yield* PgClient.PgClient
        const refusal = (statement: string) =>
          Effect.map(Effect.flip(sql.unsafe(statement).unprepared), Database.describe)
        for (const service of services) {
          assert.deepStrictEqual(yield* sql.unsafe(`SELECT * FROM ${service}.shelf, ${service}.later`), [])
        }
        assert.include(
          yield* refusal("INSERT INTO attic.shelf (content) VALUES ('a')"),
          "cannot execute INSERT in a read-only transaction"
        )
        yield* sql`SET default_transaction_read_only = off`.unprepared
        for (const [statement, reason] of refusals) assert.include(yield* refusal(statement), reason, statement)
      }).pipe(Effect.provide(Database.layerFrom({ url: urlOf(auditor), applicationName: "test", maxConnections: 1 })))
    })
  )

  it.effect("shows no service what another one has stored", () =>
    Effect.gen(function* () {
      yield* prepare
      const { administratorUrl } = yield* TestDatabase
      const url = Databases.urlOf(administratorUrl, "attic", Redacted.make("theirs"))
      yield* Effect.gen(function* () {
        const sql = yield* PgClient.PgClient
        const error = yield* Effect.flip(sql`SELECT * FROM cellar.shelf`)
        assert.include(Database.describe(error), "permission denied for schema cellar")
      }).pipe(Effect.provide(Database.layerFrom({ url, applicationName: "test", maxConnections: 1 })))
    }).pipe(Effect.provide(Layer.fresh(TestDatabase.layerEmpty)))
  )
})
