/**
 * Whether the diagrams of the design show the tables and foreign keys that the migrations make.
 */
import { readFileSync } from "node:fs"

import { schemaOf } from "@ecommerce/chassis/Names"
import { topology } from "@ecommerce/stack/topology"
import { TestDatabase } from "@ecommerce/testing/TestDatabase"
import { assert, layer } from "@effect/vitest"
import { Effect, Schema } from "effect"

const design = readFileSync(new URL("../../../engineering-design.md", import.meta.url), "utf8")

/** What is under a heading, up to the next one of its rank or above. */
const sectionOf = (heading: string) =>
  design.split(/^#{2,3} /mu).find((text) => text.startsWith(`${heading}\n`)) ?? assert.fail(`no heading ${heading}`)

const Table = Schema.Struct({ schema: Schema.String, name: Schema.String })
const ForeignKey = Schema.Struct({
  schema: Schema.String,
  child: Schema.String,
  parent: Schema.String,
  columns: Schema.Array(Schema.String),
  /** At most one row refers to the same other one. */
  isUnique: Schema.Boolean,
  mayBeMissing: Schema.Boolean
})
type ForeignKey = typeof ForeignKey.Type

const schemas = topology.map(({ name }) => schemaOf(name))

const migrated = Effect.gen(function* () {
  const { administrator: sql } = yield* TestDatabase
  const tables = yield* sql`
    SELECT schemaname AS schema, tablename AS name FROM pg_tables
    WHERE schemaname = ANY(${schemas}) ORDER BY schemaname, tablename`
  const keys = yield* sql`
    SELECT child.relnamespace::regnamespace::text AS schema, child.relname AS child, parent.relname AS parent,
      ARRAY(
        SELECT attname::text FROM unnest(conkey) WITH ORDINALITY AS part (attnum, place)
        JOIN pg_attribute USING (attnum) WHERE attrelid = conrelid ORDER BY place
      ) AS columns,
      EXISTS (
        SELECT FROM pg_index WHERE indrelid = conrelid AND indisunique AND indpred IS NULL AND indkey::int2[] <@ conkey
      ) AS "isUnique",
      EXISTS (
        SELECT FROM pg_attribute WHERE attrelid = conrelid AND attnum = ANY(conkey) AND NOT attnotnull
      ) AS "mayBeMissing"
    FROM pg_constraint
    JOIN pg_class AS child ON child.oid = conrelid
    JOIN pg_class AS parent ON parent.oid = confrelid
    WHERE contype = 'f' AND child.relnamespace::regnamespace::text = ANY(${schemas})
    ORDER BY parent.relname, child.relname, conkey`
  return {
    tables: yield* Schema.decodeUnknownEffect(Schema.Array(Table))(tables),
    keys: yield* Schema.decodeUnknownEffect(Schema.Array(ForeignKey))(keys)
  }
})

const relation = ({ child, columns, isUnique, mayBeMissing, parent }: ForeignKey) =>
  `  ${parent} ${mayBeMissing ? "|o" : "||"}--${isUnique ? "o|" : "o{"} ${child} : "${columns.join(", ")}"`

const diagramOf = (tables: ReadonlyArray<string>, keys: ReadonlyArray<ForeignKey>) =>
  ["erDiagram", ...tables.map((table) => `  ${table}`), ...keys.map(relation)].join("\n")

layer(TestDatabase.layer)("the data model of the design", (it) => {
  const model = Effect.gen(function* () {
    const { keys, tables } = yield* migrated
    const tablesOf = (schema: string) => tables.filter((table) => table.schema === schema).map(({ name }) => name)
    const everywhere = tablesOf(schemas[0] ?? "").filter((name) =>
      schemas.every((schema) => tablesOf(schema).includes(name))
    )
    return { keys, tablesOf, everywhere }
  })

  it.effect.each(topology)("shows each table and foreign key of $name, and no other", ({ name }) =>
    Effect.gen(function* () {
      const { everywhere, keys, tablesOf } = yield* model
      const schema = schemaOf(name)
      const own = tablesOf(schema).filter((table) => !everywhere.includes(table))
      const section = sectionOf(`Data of ${name}`)
      assert.include(
        section,
        `\`\`\`mermaid\n${diagramOf(
          own,
          keys.filter((key) => key.schema === schema)
        )}\n\`\`\``
      )
      for (const table of own) assert.match(section, new RegExp(`^\\|.*\`${table}\`.*\\|.*\\|$`, "mu"))
    })
  )

  it.effect("tells of each table that every service has", () =>
    Effect.gen(function* () {
      const { everywhere } = yield* model
      assert.isNotEmpty(everywhere)
      const section = sectionOf("Data of every service")
      for (const table of everywhere) assert.match(section, new RegExp(`^\\| \`${table}\` +\\|`, "mu"))
    })
  )
})
