import * as Database from "@ecommerce/chassis/Database"
import * as Migrations from "@ecommerce/chassis/Migrations"
import { provision } from "@ecommerce/chassis/Provision"
import { TestDatabase } from "@ecommerce/testing/TestDatabase"
import { NodeServices } from "@effect/platform-node"
import { PgClient } from "@effect/sql-pg"
import { assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem, Layer, Option, Path, Redacted, type Scope } from "effect"

const password = Redacted.make('it\'s a "secret"')

/** A folder with these files of one service, and what `npm run migrate` does with it. */
const folderWith = Effect.fn("folderWith")(function* (service: string, files: Readonly<Record<string, string>>) {
  const fileSystem = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const folder = yield* fileSystem.makeTempDirectoryScoped()
  yield* fileSystem.makeDirectory(path.join(folder, service))
  const write = (name: string, content: string) => fileSystem.writeFileString(path.join(folder, service, name), content)
  yield* Effect.forEach(Object.entries(files), ([name, content]) => write(name, content))

  const migrate = Effect.gen(function* () {
    const { administratorUrl } = yield* TestDatabase
    return yield* Effect.gen(function* () {
      yield* provision({ service, password: Option.some(password) })
      return yield* Migrations.apply(yield* Migrations.read(folder, service))
    }).pipe(
      Effect.provide(Database.layerFrom({ url: administratorUrl, applicationName: "migrate", maxConnections: 1 }))
    )
  })
  return { migrate, write }
})

const tablesIn = (schema: string) =>
  Effect.gen(function* () {
    const { administrator } = yield* TestDatabase
    const rows = yield* administrator<{ tablename: string }>`
      SELECT tablename FROM pg_tables WHERE schemaname = ${schema} AND tablename <> 'schema_migrations' ORDER BY 1`
    return rows.map((row) => row.tablename)
  })

const twoFiles = {
  "0001_letters.sql": "-- Letters; with a remark;\nCREATE TABLE letters (id int);\n\nCREATE TABLE stamps (id int);\n",
  "0002_parcels.sql": "CREATE TABLE parcels (id int);\n"
}

const withDatabase = <A, E>(
  test: Effect.Effect<A, E, TestDatabase | FileSystem.FileSystem | Path.Path | Scope.Scope>
) => test.pipe(Effect.scoped, Effect.provide([TestDatabase.layerEmpty, NodeServices.layer]))

describe("migrations", () => {
  it.live("are applied in order, each once, however many processes start together", () =>
    withDatabase(
      Effect.gen(function* () {
        const { migrate } = yield* folderWith("letters", twoFiles)
        const applied = yield* Effect.all(
          Array.from({ length: 10 }, () => migrate),
          { concurrency: "unbounded" }
        )
        assert.deepStrictEqual(applied.flat().toSorted(), ["0001_letters.sql", "0002_parcels.sql"])
        assert.deepStrictEqual(yield* tablesIn("letters"), ["letters", "parcels", "stamps"])
        assert.deepStrictEqual(yield* migrate, [])
      })
    )
  )

  it.live("that were edited after they were applied are refused by name", () =>
    withDatabase(
      Effect.gen(function* () {
        const { migrate, write } = yield* folderWith("letters", twoFiles)
        yield* migrate
        yield* write("0001_letters.sql", "CREATE TABLE letters (id bigint);")
        yield* write("0003_boxes.sql", "CREATE TABLE boxes (id int);")
        const error = yield* Effect.flip(migrate)
        assert.include(error.message, "migrations/letters/0001_letters.sql was edited after it was applied")
        assert.notInclude(yield* tablesIn("letters"), "boxes")
      })
    )
  )

  it.live("that fail leave nothing half done, and name file, statement and reason", () =>
    withDatabase(
      Effect.gen(function* () {
        const { migrate, write } = yield* folderWith("letters", {
          ...twoFiles,
          "0003_wrong.sql": "CREATE TABLE boxes (id int);\n\nCREATE TABEL lids (id int);\n"
        })
        const error = yield* Effect.flip(migrate)
        assert.include(
          error.message,
          "migrations/letters/0003_wrong.sql, statement 2 (CREATE TABEL lids (id int) …) failed"
        )
        assert.include(error.message, "syntax error")
        assert.deepStrictEqual(yield* tablesIn("letters"), ["letters", "parcels", "stamps"])

        yield* write("0003_wrong.sql", "CREATE TABLE boxes (id int);")
        assert.deepStrictEqual(yield* migrate, ["0003_wrong.sql"])
      })
    )
  )

  it.live("that arrive with a number below one already applied are refused", () =>
    withDatabase(
      Effect.gen(function* () {
        const { migrate, write } = yield* folderWith("letters", {
          "0002_parcels.sql": "CREATE TABLE parcels (id int);"
        })
        yield* migrate
        yield* write("0001_letters.sql", "CREATE TABLE letters (id int);")
        const error = yield* Effect.flip(migrate)
        assert.include(error.message, "0001_letters.sql comes too late: 0002_parcels.sql is applied already")
      })
    )
  )

  it.live("whose file is misnamed are refused", () =>
    withDatabase(
      Effect.gen(function* () {
        const { migrate } = yield* folderWith("letters", { "1_letters.sql": "CREATE TABLE letters (id int);" })
        assert.include((yield* Effect.flip(migrate)).message, "migrations/letters/1_letters.sql is misnamed")
      })
    )
  )
})

describe("a service's role", () => {
  it.live("can be given to several databases of one server at once", () =>
    Effect.gen(function* () {
      const { migrate } = yield* folderWith("letters", twoFiles)
      const applied = yield* Effect.all(
        Array.from({ length: 4 }, () => Effect.provide(migrate, Layer.fresh(TestDatabase.layerEmpty))),
        { concurrency: "unbounded" }
      )
      assert.deepStrictEqual(
        applied,
        Array.from({ length: 4 }, () => Object.keys(twoFiles))
      )
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
  )

  it.live("sees its own tables and nobody else's, may not change them, and has limits on its time", () =>
    withDatabase(
      Effect.gen(function* () {
        yield* (yield* folderWith("letters", twoFiles)).migrate
        yield* (yield* folderWith("post-office", { "0001_counters.sql": "CREATE TABLE counters (id int);" })).migrate
        const { administratorUrl } = yield* TestDatabase
        const url = new URL(Redacted.value(administratorUrl))
        url.username = "ecommerce_post_office"
        url.password = encodeURIComponent(Redacted.value(password))
        const role = Database.layerFrom({ url: Redacted.make(url.href), applicationName: "test", maxConnections: 1 })

        yield* Effect.gen(function* () {
          const sql = yield* PgClient.PgClient
          const refusal = (statement: string) => Effect.map(Effect.flip(sql.unsafe(statement)), Database.describe)
          assert.deepStrictEqual(yield* sql`SELECT * FROM counters`, [])
          yield* sql`INSERT INTO counters VALUES (1)`
          assert.include(yield* refusal("SELECT * FROM letters.parcels"), "permission denied for schema letters")
          assert.include(yield* refusal("DROP TABLE counters"), "must be owner of table counters")
          assert.include(yield* refusal("CREATE TABLE more (id int)"), "permission denied for schema post_office")
          assert.include(yield* refusal("CREATE TABLE public.more (id int)"), "permission denied for schema public")
          assert.include(
            yield* refusal("DELETE FROM schema_migrations"),
            "permission denied for table schema_migrations"
          )
          assert.include(yield* refusal("SELECT pg_sleep(20)"), "statement timeout")
          const limits =
            yield* sql`SELECT current_setting('transaction_timeout') AS transaction, current_setting('lock_timeout') AS lock`
          assert.deepStrictEqual(limits, [{ transaction: "15s", lock: "3s" }])
        }).pipe(Effect.provide(role))
      })
    )
  )
})
