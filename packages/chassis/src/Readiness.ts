/**
 * The checks that every service with a database has: it answers, and its tables are as this code expects them.
 */
import { rowsOf } from "@ecommerce/sets/Sets"
import { PgClient } from "@effect/sql-pg"
import { Effect, Layer, Schema } from "effect"
import type { SqlError } from "effect/sql"

import { Health } from "./Health.ts"
import * as Migrations from "./Migrations.ts"

const nameRows = rowsOf(Schema.Struct({ name: Schema.String }))
const writesRows = rowsOf(Schema.Struct({ takesWrites: Schema.Boolean }))

export const layer = (service: string) =>
  Layer.effectDiscard(
    Effect.gen(function* () {
      const health = yield* Health
      const sql = yield* PgClient.PgClient
      const expected = yield* Migrations.read(yield* Migrations.directory, service)

      const takesWrites = writesRows(sql`SELECT NOT current_setting('transaction_read_only')::boolean AS takes_writes`)
      const applied = nameRows(sql`SELECT name FROM schema_migrations`)

      yield* health.register({
        name: "database",
        // One that is read from only is no reason to turn away those who read.
        run: Effect.map(Effect.mapError(takesWrites, whyNot), ([row]) =>
          row?.takesWrites === false ? "is read from, and takes no writes at the moment" : undefined
        )
      })

      yield* health.register({
        name: "migrations",
        run: Effect.gen(function* () {
          const names = new Set((yield* applied).map((row) => row.name))
          const missing = expected.filter((migration) => !names.has(migration.name)).length
          if (missing > 0) return yield* Effect.fail(`${missing} not applied yet: npm run migrate`)
        }).pipe(Effect.mapError((reason) => (typeof reason === "string" ? reason : "cannot be read")))
      })
    })
  )

/** In words that may leave the service: neither addresses nor names. */
const whyNot = (error: SqlError.SqlError) =>
  error.reason._tag === "AuthenticationError" ? "refuses our role or its password" : "cannot be reached"
