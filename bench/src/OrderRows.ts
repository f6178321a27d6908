/**
 * The rows that one order leaves behind, in the tables of every service, outboxes and journals included: read from an order
 * that was really brought to its end, so that they are what the services write and not what somebody thinks they do.
 *
 * With ids of its own, the same rows make another order. That is how tables are filled, and how the limit is measured: all
 * rows of an order written by hand.
 */
import { randomUUID } from "node:crypto"

import { rowsOf } from "@ecommerce/sets/Sets"
import { Effect, Schema } from "effect"

import type { BenchDatabase } from "./Server.ts"

export interface Column {
  readonly name: string
  readonly type: string
}

/** A value is text around the ids that differ from order to order: even places are text, odd ones the number of an id. */
export type Value = ReadonlyArray<string | number> | null

export interface TableRows {
  readonly table: string
  readonly columns: ReadonlyArray<Column>
  readonly rows: ReadonlyArray<ReadonlyArray<Value>>
}

export interface OrderRows {
  /** In an order in which foreign keys find what they point to. */
  readonly tables: ReadonlyArray<TableRows>
  /** How many ids an order has: first its own, then its product's, then its saga's, its payment's, … */
  readonly ids: number
}

const Columns = rowsOf(
  Schema.Struct({ table: Schema.String, column: Schema.String, type: Schema.String, isGiven: Schema.Boolean })
)
const Rows = rowsOf(Schema.Struct({ row: Schema.Record(Schema.String, Schema.NullOr(Schema.String)) }))

const isId = /[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}/g
const bare = (id: string) => id.replaceAll("-", "")

/** Numbers the ids of one order as they turn up. What it shares with other orders stays as it is. */
class Ids {
  readonly numbers: Map<string, number>

  constructor(first: ReadonlyArray<string>) {
    this.numbers = new Map(first.map((id, number) => [bare(id), number]))
  }

  take(text: string): Value {
    const parts: Array<string | number> = []
    let from = 0
    for (const { 0: id, index } of text.matchAll(isId)) {
      const key = bare(id)
      const number = this.numbers.get(key) ?? this.numbers.size
      this.numbers.set(key, number)
      parts.push(text.slice(from, index), id.includes("-") ? number : -1 - number)
      from = index + id.length
    }
    return [...parts, text.slice(from)]
  }
}

/** Tables with the columns that a writer gives; what is generated, or has to be the writer's own transaction, is left out. */
const columnsOf = ({ administrator }: BenchDatabase) =>
  Columns(administrator`
    SELECT attrelid::regclass::text AS table, attname::text AS column, format_type(atttypid, atttypmod) AS type,
      attgenerated = '' AND attidentity = '' AND NOT (relname = 'outbox' AND attname IN ('xid', 'generation')) AS is_given
    FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
    JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE relkind = 'r' AND attnum > 0 AND NOT attisdropped
      AND nspname IN ('edge_api', 'orchestrator', 'orders', 'inventory', 'payment')
      AND relname NOT IN ('schema_migrations', 'dead_letters', 'feed_cursors', 'outbox_consumers', 'outbox_origin',
        'saga_workers', 'products', 'prices', 'idempotency_keys')
    ORDER BY attrelid, attnum`)

/** Referenced tables first. Keys that are looked at when the transaction ends may point anywhere. */
const inOrder = Effect.fnUntraced(function* ({ administrator }: BenchDatabase, tables: ReadonlyArray<string>) {
  const Keys = rowsOf(Schema.Struct({ from: Schema.String, to: Schema.String }))
  const keys = yield* Keys(administrator`
    SELECT conrelid::regclass::text AS from, confrelid::regclass::text AS to FROM pg_constraint
    WHERE contype = 'f' AND NOT condeferrable AND conrelid <> confrelid`)
  const done: Array<string> = []
  while (done.length < tables.length) {
    const next = tables.find(
      (table) =>
        !done.includes(table) &&
        keys.every(({ from, to }) => from !== table || !tables.includes(to) || done.includes(to))
    )
    if (next === undefined) return yield* Effect.die(new Error("Foreign keys go round in a circle"))
    done.push(next)
  }
  return done
})

/** What this order has left behind. */
export const capture = Effect.fn("OrderRows.capture")(function* (
  database: BenchDatabase,
  orderId: string,
  productId: string
) {
  const { administrator } = database
  const columns = yield* columnsOf(database)
  const ids = new Ids([orderId, productId])
  const tables: Array<TableRows> = []
  for (const table of yield* inOrder(database, [...new Set(columns.map(({ table }) => table))])) {
    const given = columns.filter((column) => column.table === table && column.isGiven)
    const fields = given.map(({ column }) => `'${column}', "${column}"::text`).join(", ")
    // Whatever names the order, or one of the ids that came to light in tables before: the saga's, the payment's.
    const known = [...ids.numbers.keys()].filter((id) => id !== bare(productId)).join("|")
    const rows = yield* Rows(
      administrator.unsafe(
        `SELECT json_build_object(${fields}) AS row FROM ${table} AS t WHERE replace(to_jsonb(t)::text, '-', '') ~ $1`,
        [known]
      )
    )
    if (rows.length === 0) continue
    tables.push({
      table,
      columns: given.map(({ column, type }) => ({ name: column, type })),
      rows: rows.map(({ row }) =>
        given.map(({ column }) => {
          const text = row[column]
          return text === null || text === undefined ? null : ids.take(text)
        })
      )
    })
  }
  const captured: OrderRows = { tables, ids: ids.numbers.size }
  return captured
})

/** Grows with time, as the services' own ids do: where in an index a row comes to lie is a part of what it costs. */
const freshId = (millis: number) => {
  const time = millis.toString(16).padStart(12, "0")
  return `${time.slice(0, 8)}-${time.slice(8)}-7${randomUUID().slice(15)}`
}

/** Ids for one more order of this product. */
export const freshIds = ({ ids }: OrderRows, productId: string): ReadonlyArray<string> => {
  const now = Date.now()
  return Array.from({ length: ids }, (_, number) => (number === 1 ? productId : freshId(now)))
}

/** A value with the ids of another order. */
export const valueOf = (value: Value, ids: ReadonlyArray<string>): string | null => {
  if (value === null) return null
  let text = ""
  for (const part of value) {
    if (typeof part === "string") text += part
    else text += part >= 0 ? (ids[part] ?? "") : bare(ids[-1 - part] ?? "")
  }
  return text
}

export const countOf = ({ tables }: OrderRows): number => {
  let count = 0
  for (const { rows } of tables) count += rows.length
  return count
}
