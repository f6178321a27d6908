/**
 * Fills the tables of all services with orders that have come to their end, as many as are wanted: copies of one that really
 * has, with ids of their own. The audit finds nothing wrong with them, and no reader of feeds has to read them.
 */
import { Effect } from "effect"

import type * as OrderRows from "./OrderRows.ts"
import type { BenchDatabase } from "./Server.ts"

/** In one transaction each, so that the log is written away in between. */
const mostAtOnce = 50_000

/** Id number `id` of the order with number n: older than every id of the stack's own, and in the order of the numbers. */
const idOf = (id: number) =>
  `(lpad(to_hex(n / 65536 + 1600000000000), 12, '0') || '7' || lpad(to_hex(n % 4096), 3, '0') || '8' || lpad(to_hex(n), 8, '0') || lpad(to_hex(${id}), 7, '0'))`

const dashed = (id: string) => `${id}::uuid::text`

const quoted = (text: string) => `'${text.replaceAll("'", "''")}'`

const expressionOf = (value: OrderRows.Value): string => {
  if (value === null) return "NULL"
  const parts = value.map((part) => {
    if (typeof part === "string") return quoted(part)
    if (part === 1) return `(SELECT id::text FROM public.filling)`
    return part >= 0 ? dashed(idOf(part)) : idOf(-1 - part)
  })
  return parts.filter((part) => part !== "''").join(" || ") || "''"
}

/** What was on the shelf at first. */
const stock = 2_000_000_000

const columnOf = (name: string, value: OrderRows.Value) => {
  if (name === "product_version") return "(n + 1)::text"
  if (name === "before_quantity") return `(${stock} - n + 1)::text`
  if (name === "after_quantity") return `(${stock} - n)::text`
  return expressionOf(value)
}

/** One row of a table, for each order from $1 to $2. Events come before all that anybody has read. */
export const insertOf = ({ columns, table }: OrderRows.TableRows, row: ReadonlyArray<OrderRows.Value>): string => {
  const isOutbox = table.endsWith(".outbox")
  const names = [...columns.map(({ name }) => `"${name}"`), ...(isOutbox ? ["xid"] : [])]
  const values = [
    ...columns.map(({ name, type }, place) => `(${columnOf(name, row[place] ?? null)})::${type}`),
    ...(isOutbox ? ["'1'::xid8"] : [])
  ]
  return `INSERT INTO ${table} (${names.join(", ")}) SELECT ${values.join(", ")} FROM generate_series($1::bigint, $2::bigint) AS n`
}

export const fill = Effect.fn("Fill.fill")(function* (
  { administrator }: BenchDatabase,
  { tables }: OrderRows.OrderRows,
  orders: number
) {
  yield* administrator`CREATE TABLE IF NOT EXISTS public.filling (id uuid)`.unprepared
  yield* administrator`INSERT INTO public.filling SELECT gen_random_uuid()`
  yield* administrator`
    INSERT INTO inventory.products (id, name, sku, price_cents, stock_quantity, version)
    SELECT id, 'Of old', id::text, 1999, ${stock - orders}::bigint, ${orders + 1}::bigint FROM public.filling`
  yield* administrator`
    INSERT INTO inventory.stock_adjustments
      (id, product_id, product_version, kind, quantity, before_quantity, after_quantity, reason)
    SELECT gen_random_uuid(), id, 1, 'initial', ${stock}::bigint, 0, ${stock}::bigint, 'initial stock' FROM public.filling`
  for (let first = 1; first <= orders; first += mostAtOnce) {
    yield* administrator.withTransaction(
      Effect.gen(function* () {
        // Rules and keys were looked at when the services wrote the first of them.
        yield* administrator`SET LOCAL session_replication_role = replica`.unprepared
        for (const table of tables) {
          for (const row of table.rows) {
            yield* administrator.unsafe(insertOf(table, row), [first, Math.min(first + mostAtOnce - 1, orders)])
          }
        }
      })
    )
  }
  yield* administrator`VACUUM ANALYZE`.unprepared
  yield* administrator`CHECKPOINT`.unprepared
})
