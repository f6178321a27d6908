/**
 * Plain SQL files under `migrations/<service>/`, applied once each and in the order of their numbers.
 *
 * A statement ends with `;` and a blank line; `\ir other.sql` includes another file. Each file runs in a transaction of its own, under a lock of its service,
 * together with the row that records it and its checksum: any number of processes may start together, and a file that
 * fails leaves nothing behind. A file that was edited after it was applied is refused.
 */
import { createHash } from "node:crypto"

import { rowsOf } from "@ecommerce/sets/Sets"
import { PgClient } from "@effect/sql-pg"
import { Effect, FileSystem, Path, type PlatformError, Schema } from "effect"
import type { SqlError } from "effect/sql"

import * as Database from "./Database.ts"
import { roleOf, schemaOf } from "./Names.ts"
import { StartupError } from "./StartupError.ts"

export interface Migration {
  readonly service: string
  readonly name: string
  readonly checksum: string
  readonly statements: ReadonlyArray<string>
}

const Applied = Schema.Struct({ name: Schema.String, checksum: Schema.String })
const appliedRows = rowsOf(Applied)

/** The repository's own folder of migrations. */
export const directory = Effect.gen(function* () {
  const path = yield* Path.Path
  return path.join(path.dirname(yield* path.fromFileUrl(new URL(import.meta.url))), "../../../migrations")
}).pipe(Effect.orDie)

/** Reads a service's files, in order. */
export const read = Effect.fn("Migrations.read")(
  function* (folder: string, service: string) {
    const fileSystem = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const names = (yield* fileSystem.readDirectory(path.join(folder, service))).filter((name) => name.endsWith(".sql"))
    const misnamed = names.find((name) => !/^\d{4}_[a-z0-9_]+\.sql$/.test(name))
    if (misnamed !== undefined) {
      return yield* new StartupError({
        message: `migrations/${service}/${misnamed} is misnamed: a migration is called like 0001_products.sql.`
      })
    }
    return yield* Effect.forEach(names.toSorted(), (name) =>
      Effect.map(readFile(path.join(folder, service, name)), (content): Migration => ({
        service,
        name,
        checksum: createHash("sha256").update(content).digest("hex"),
        statements: toStatements(content)
      }))
    )
  },
  Effect.catchTag(
    "PlatformError",
    (error) => new StartupError({ message: `The migrations cannot be read: ${error.message}` })
  )
)

/** The file with what it includes: a line `\\ir other.sql` stands for that file beside it, as it does in psql. */
const readFile: (
  file: string
) => Effect.Effect<string, PlatformError.PlatformError, FileSystem.FileSystem | Path.Path> = Effect.fn(
  "Migrations.readFile"
)(function* (file: string) {
  const fileSystem = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const lines = (yield* fileSystem.readFileString(file)).split("\n")
  const included = yield* Effect.forEach(lines, (line) => {
    const [, other] = /^\\ir\s+(\S+)\s*$/u.exec(line) ?? []
    return other === undefined ? Effect.succeed(line) : readFile(path.join(path.dirname(file), other))
  })
  return included.join("\n")
})

const toStatements = (content: string) =>
  content
    .split(/;[ \t]*\r?\n[ \t]*\r?\n/)
    .map((statement) => statement.trim().replace(/;$/, ""))
    .filter((statement) => statement.replaceAll(/^\s*--.*$/gm, "").trim() !== "")

/** Applies what is missing and answers its names. The client must be allowed to create tables in the service's schema. */
export const apply = Effect.fn("Migrations.apply")(function* (migrations: ReadonlyArray<Migration>) {
  const sql = yield* PgClient.PgClient
  const [first] = migrations
  if (first === undefined) return []
  const { service } = first
  const ledger = sql(`${schemaOf(service)}.schema_migrations`)

  const applied = appliedRows(sql`SELECT name, checksum FROM ${ledger}`)

  const lock = sql`SELECT pg_advisory_xact_lock(hashtext(${`migrations of ${service}`}))`

  // The service itself may look at its ledger and not touch it.
  yield* sql.withTransaction(
    Effect.all([
      lock,
      sql`CREATE TABLE IF NOT EXISTS ${ledger} (
        name text PRIMARY KEY,
        checksum text NOT NULL,
        applied_at timestamptz NOT NULL DEFAULT now()
      )`,
      sql`REVOKE INSERT, UPDATE, DELETE ON ${ledger} FROM ${sql(roleOf(service))}`
    ])
  )

  const applyOne = Effect.fn("Migrations.applyOne")(function* (migration: Migration) {
    yield* lock
    const before = yield* applied
    if (before.some((row) => row.name === migration.name)) return []
    yield* refuseDisorder(migration, before)
    yield* sql`SET LOCAL search_path = ${sql(schemaOf(service))}`
    yield* Effect.forEach(migration.statements, (statement, index) =>
      sql
        .unsafe(statement)
        .unprepared.pipe(Effect.catchTag("SqlError", (error) => failedStatement(migration, index, error)))
    )
    yield* sql`INSERT INTO ${ledger} ${sql.insert({ name: migration.name, checksum: migration.checksum })}`
    return [migration.name]
  })

  const before = yield* applied
  yield* refuseEdits(migrations, before)
  const names = new Set(before.map((row) => row.name))
  const missing = migrations.filter((migration) => !names.has(migration.name))
  return (yield* Effect.forEach(missing, (migration) => sql.withTransaction(applyOne(migration)))).flat()
})

const refuseEdits = (migrations: ReadonlyArray<Migration>, applied: ReadonlyArray<typeof Applied.Type>) => {
  const checksums = new Map(applied.map((row) => [row.name, row.checksum]))
  const edited = migrations.find(({ name, checksum }) => checksums.has(name) && checksums.get(name) !== checksum)
  return edited === undefined
    ? Effect.void
    : new StartupError({
        message: `migrations/${edited.service}/${edited.name} was edited after it was applied: undo the edit and write a new migration.`
      })
}

const refuseDisorder = (migration: Migration, applied: ReadonlyArray<typeof Applied.Type>) => {
  const later = applied.find((row) => row.name > migration.name)
  return later === undefined
    ? Effect.void
    : new StartupError({
        message: `migrations/${migration.service}/${migration.name} comes too late: ${later.name} is applied already. Give it a higher number.`
      })
}

const failedStatement = (migration: Migration, index: number, error: SqlError.SqlError) => {
  const statement = migration.statements[index]?.replaceAll(/\s+/g, " ").slice(0, 80)
  return new StartupError({
    message: `migrations/${migration.service}/${migration.name}, statement ${index + 1} (${statement} …) failed: ${Database.describe(error)}. Nothing of this file was applied.`
  })
}
