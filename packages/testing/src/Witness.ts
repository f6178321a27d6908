/**
 * Looks at all that a service has stored, and gets in the way of it, whatever its tables are: for tests that hold for
 * every service.
 */
import { schemaOf } from "@ecommerce/chassis/Names"
import { rowsOf } from "@ecommerce/sets/Sets"
import { Effect, Schema } from "effect"

import { TestDatabase } from "./TestDatabase.ts"

const nameRows = rowsOf(Schema.Struct({ name: Schema.String }))
const digestRows = rowsOf(Schema.Struct({ digest: Schema.NullOr(Schema.String) }))
const countRows = rowsOf(Schema.Struct({ count: Schema.BigInt }))

export const make = Effect.fn("Witness.make")(function* (service: string) {
  const { administrator: sql } = yield* TestDatabase
  const schema = schemaOf(service)
  const tables = yield* nameRows(sql`
    SELECT tablename AS name FROM pg_tables
    WHERE schemaname = ${schema} AND tablename <> 'schema_migrations' ORDER BY tablename`)
  const overTables = <A, E>(look: (table: string) => Effect.Effect<A, E>) =>
    Effect.forEach(tables, ({ name }) => look(`${schema}.${name}`))

  /** Equal for two moments between which nothing was stored, changed or deleted. */
  const snapshot = overTables((table) =>
    Effect.map(
      digestRows(sql`
        SELECT md5(string_agg(content, ',' ORDER BY content)) AS digest
        FROM (SELECT to_jsonb(stored)::text AS content FROM ${sql(table)} AS stored) AS contents`),
      ([row]) => `${table} ${row?.digest ?? "empty"}`
    )
  )

  /** In which tables, and how often, this key is spoken of. */
  const mentions = (key: string) =>
    overTables((table) =>
      Effect.map(
        countRows(sql`
          SELECT count(*) AS count FROM ${sql(table)} AS stored WHERE position(${key} IN to_jsonb(stored)::text) > 0`),
        ([row]) => `${table} ${row?.count ?? 0n}`
      )
    )

  /** From now on whatever is written about this key does this first; one key at a time. */
  const ambush = Effect.fn("Witness.ambush")(function* (key: string, statement: string) {
    yield* sql.unsafe(`
      CREATE OR REPLACE FUNCTION ${schema}.ambush() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN
        IF position('${key}' IN to_jsonb(NEW)::text) > 0 THEN ${statement}; END IF;
        RETURN NEW;
      END $$`).unprepared
    yield* overTables(
      (table) =>
        sql.unsafe(`
          CREATE OR REPLACE TRIGGER ambush BEFORE INSERT OR UPDATE ON ${table}
          FOR EACH ROW EXECUTE FUNCTION ${schema}.ambush()`).unprepared
    )
    // One table a statement: what drops all of them at once, as CASCADE does, waits for a service that waits for it.
    const clearUp = Effect.andThen(
      overTables((table) => sql.unsafe(`DROP TRIGGER IF EXISTS ambush ON ${table}`).unprepared),
      sql.unsafe(`DROP FUNCTION ${schema}.ambush()`).unprepared
    )
    yield* Effect.addFinalizer(() => Effect.orDie(clearUp))
  })

  return {
    snapshot,
    mentions,
    /** PostgreSQL refuses to store anything about this key. */
    poison: (key: string) => ambush(key, "RAISE EXCEPTION 'poison' USING ERRCODE = 'data_exception'"),
    /** Writing about this key takes this long, each time. */
    delay: (key: string, seconds: number) => ambush(key, `PERFORM pg_sleep(${seconds})`),
    /** Whether somebody is at such a delay now. */
    isDelayed: Effect.map(
      sql`SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'`,
      (rows) => rows.length > 0
    )
  }
})
