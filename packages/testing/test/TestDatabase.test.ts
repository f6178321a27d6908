import * as Database from "@ecommerce/chassis/Database"
import * as Migrations from "@ecommerce/chassis/Migrations"
import { roleOf, schemaOf } from "@ecommerce/chassis/Names"
import * as Databases from "@ecommerce/stack/Databases"
import { NodeServices } from "@effect/platform-node"
import { PgClient } from "@effect/sql-pg"
import { assert, describe, it, layer } from "@effect/vitest"
import { Effect, Layer, Option, Redacted } from "effect"

import { TestDatabase } from "../src/TestDatabase.ts"

const tables = Effect.gen(function* () {
  const { administrator } = yield* TestDatabase
  return yield* administrator<{ name: string }>`
    SELECT table_schema || '.' || table_name AS name FROM information_schema.tables
    WHERE table_schema NOT IN ('pg_catalog', 'information_schema')`.pipe(
    Effect.map((rows) => rows.map(({ name }) => name))
  )
})

const addProduct = (sku: string) =>
  Effect.gen(function* () {
    const { administrator } = yield* TestDatabase
    yield* administrator`INSERT INTO inventory.products (name, sku, price_cents) VALUES ('Mouse', ${sku}, 1)`
  })

const skus = Effect.gen(function* () {
  const { administrator } = yield* TestDatabase
  const rows = yield* administrator<{ sku: string }>`SELECT sku FROM inventory.products`
  return rows.map(({ sku }) => sku)
})

const databasesOnServer = Effect.gen(function* () {
  const { administrator } = yield* TestDatabase
  const rows = yield* administrator<{ name: string }>`SELECT datname AS name FROM pg_database`
  return rows.map(({ name }) => name)
})

/** The client of a service, as its process would have it. */
const loggedInAs = (service: string) =>
  Layer.unwrap(
    Effect.gen(function* () {
      const { urlOf } = yield* TestDatabase
      return Database.layerFrom({ url: urlOf(service), applicationName: service, maxConnections: 1 })
    })
  )

/** Another database than the test's own. */
const another = Effect.provide(Layer.fresh(TestDatabase.layer))

layer(TestDatabase.layer)("a test database", (it) => {
  it.effect.each(Databases.all)("has the tables of every service, as its migrations make them: %s", (service) =>
    Effect.gen(function* () {
      const { administrator } = yield* TestDatabase
      const migrations = yield* Migrations.read(yield* Migrations.directory, service)
      const ledger = administrator(`${schemaOf(service)}.schema_migrations`)
      const applied = yield* administrator<{ name: string }>`SELECT name FROM ${ledger} ORDER BY name`
      assert.deepStrictEqual(
        applied.map(({ name }) => name),
        migrations.map(({ name }) => name)
      )
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.effect("begins without rows", () =>
    Effect.gen(function* () {
      assert.include(yield* tables, "inventory.products")
      assert.isEmpty(yield* skus)
    })
  )

  it.effect("does not see what happens in another one, nor the other way round", () =>
    Effect.gen(function* () {
      yield* addProduct("HERE")
      const there = yield* addProduct("THERE").pipe(Effect.andThen(skus), another)
      assert.deepStrictEqual(there, ["THERE"])
      assert.deepStrictEqual(yield* skus, ["HERE"])
    })
  )

  it.effect("is there as long as its layer, and dropped with it, connections and all", () =>
    Effect.gen(function* () {
      const name = yield* Effect.gen(function* () {
        const { name } = yield* TestDatabase
        const sql = yield* PgClient.PgClient
        yield* sql`SELECT 1`
        assert.include(yield* databasesOnServer, name)
        return name
      }).pipe(Effect.provide(loggedInAs("inventory")), another)
      assert.notInclude(yield* databasesOnServer, name)
    })
  )

  it.effect("is dropped also when the test has failed", () =>
    Effect.gen(function* () {
      const name = yield* TestDatabase.use(({ name }) => Effect.fail(name)).pipe(another, Effect.flip)
      assert.notInclude(yield* databasesOnServer, name)
    })
  )

  it.effect.each(Databases.all)("lets a service log in as its role, with its own tables before it: %s", (service) =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      const [session] = yield* sql`SELECT current_user AS role, current_schema AS schema, current_database() AS name`
      const { name } = yield* TestDatabase
      assert.deepStrictEqual(session, { role: roleOf(service), schema: schemaOf(service), name })
    }).pipe(Effect.provide(loggedInAs(service)))
  )

  it.effect("lets nobody in with the administrator's rights but the administrator", () =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      const error = yield* Effect.flip(sql`CREATE TABLE inventory.mine (id int)`)
      assert.include(Database.describe(error), "permission denied")
    }).pipe(Effect.provide(loggedInAs("inventory")))
  )
})

layer(TestDatabase.layerEmpty)("an empty test database", (it) => {
  it.effect("has no tables, and takes those that a test makes", () =>
    Effect.gen(function* () {
      const { administrator } = yield* TestDatabase
      assert.isEmpty(yield* tables)
      yield* administrator`CREATE TABLE mine (id int)`
      assert.deepStrictEqual(yield* tables, ["public.mine"])
    })
  )

  it.effect("gets the tables of every service from what npm run migrate does", () =>
    Effect.gen(function* () {
      const { administratorUrl } = yield* TestDatabase
      yield* Databases.prepare({ url: administratorUrl, services: Databases.all, passwordOf: () => Option.none() })
      assert.include(yield* tables, "inventory.products")
    }).pipe(Effect.provide(NodeServices.layer))
  )
})

describe("a test database on a server of its own", () => {
  it.live("shares no server with the others, and has the same tables", () =>
    Effect.gen(function* () {
      const server = TestDatabase.use(({ administratorUrl }) =>
        Effect.succeed(new URL(Redacted.value(administratorUrl)).host)
      )
      const own = yield* Effect.all([server, tables]).pipe(Effect.provide(TestDatabase.layerOwnServer))
      const common = yield* Effect.all([server, tables]).pipe(Effect.provide(TestDatabase.layer))
      assert.notStrictEqual(own[0], common[0])
      assert.sameMembers(own[1], common[1])
    })
  )
})
