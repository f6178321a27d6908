/**
 * The limit: all rows that one of our orders leaves behind, written by hand into the same tables, with their keys, checks and
 * indexes. One statement is one transaction; nothing is read, nothing is changed twice, and no service stands between.
 */
import * as Database from "@ecommerce/chassis/Database"
import { rowsOf, texts } from "@ecommerce/sets/Sets"
import type { PgClient } from "@effect/sql-pg"
import { Clock, Effect, Option, Schema } from "effect"
import { Reactivity } from "effect/reactivity"

import type { Measure, Tell } from "./Figures.ts"
import * as Measurement from "./Measurement.ts"
import * as OrderRows from "./OrderRows.ts"
import { type BenchDatabase, makeDatabase } from "./Server.ts"
import * as StackParts from "./StackParts.ts"

export interface Sizes {
  readonly orders: number
  readonly warmUp: number
}

interface Way {
  readonly ordersATransaction: number
  readonly connections: number
}

/** With fewer connections for one order a transaction, fewer of them share a flush of the log. */
const ways: ReadonlyArray<Way> = [
  { ordersATransaction: 1, connections: 32 },
  { ordersATransaction: 100, connections: 4 }
]

const Ids = rowsOf(Schema.Struct({ id: Schema.String }))

interface Product {
  readonly id: string
  version: number
}

const stockColumns = new Set(["product_version", "before_quantity", "after_quantity"])

/** Which text of this column's values another order has: its ids, and where the stock of its product has come to. */
const textOf = (column: string, value: OrderRows.Value, ids: ReadonlyArray<string>, product: Product) => {
  if (!stockColumns.has(column)) return OrderRows.valueOf(value, ids)
  const left = 1_000_000_000 - product.version
  if (column === "product_version") return String(product.version)
  return String(column === "before_quantity" ? left + 1 : left)
}

/** One statement for so many orders as its arrays hold. */
export const statementOf = ({ tables }: OrderRows.OrderRows): string => {
  let parameters = 0
  const inserts = tables.map(({ columns, table }, place) => {
    const names = columns.map(({ name }) => `"${name}"`).join(", ")
    const values = columns.map(({ type }, column) => `c${column}::${type}`).join(", ")
    const arrays = columns.map(() => `$${++parameters}::text[]`).join(", ")
    const aliases = columns.map((_, column) => `c${column}`).join(", ")
    return `t${place} AS (INSERT INTO ${table} (${names}) SELECT ${values} FROM unnest(${arrays}) AS given (${aliases}))`
  })
  return `WITH ${inserts.join(",\n")}
UPDATE inventory.products SET stock_quantity = 1000000000 - given.version::bigint, version = given.version::bigint
FROM unnest($${++parameters}::text[], $${++parameters}::text[]) AS given (id, version) WHERE products.id = given.id::uuid`
}

const parametersOf = (
  { tables }: OrderRows.OrderRows,
  orders: ReadonlyArray<readonly [ReadonlyArray<string>, Product]>
) => {
  const columns = tables.map(({ columns }) => columns.map(() => new Array<string | null>()))
  const versions = new Map<string, number>()
  for (const [ids, product] of orders) {
    product.version += 1
    versions.set(product.id, product.version)
    for (const [place, table] of tables.entries()) {
      for (const row of table.rows) {
        for (const [number, value] of row.entries()) {
          columns[place]?.[number]?.push(textOf(table.columns[number]?.name ?? "", value, ids, product))
        }
      }
    }
  }
  return [...columns.flat(), [...versions.keys()], [...versions.values()].map(String)].map(texts)
}

/** Writes so many orders over this one connection, with products that nobody else has. */
const write = Effect.fnUntraced(function* (
  sql: PgClient.PgClient,
  rows: OrderRows.OrderRows,
  products: ReadonlyArray<Product>,
  transactions: number,
  ordersATransaction: number
) {
  const statement = statementOf(rows)
  for (let transaction = 0; transaction < transactions; transaction++) {
    const orders = Array.from({ length: ordersATransaction }, (_, number) => {
      const product = products[(transaction * ordersATransaction + number) % products.length] ?? { id: "", version: 0 }
      return [OrderRows.freshIds(rows, product.id), product] as const
    })
    yield* sql.unsafe(statement, parametersOf(rows, orders))
  }
})

const connect = ({ url }: BenchDatabase) =>
  Database.make({ url, applicationName: "limit", maxConnections: 1 }).pipe(Effect.provide(Reactivity.layer))

/** An order that our own stack has brought to its end in this database; the stack is gone when this returns. */
export const template = Effect.fn("Limit.template")(
  function* (database: BenchDatabase) {
    const options = { settings: {}, telemetry: false, orchestrators: 1, profiles: Option.none() }
    const { products } = yield* StackParts.warm(database, options, 50)
    yield* Measurement.audit(database)
    const orderId = yield* Measurement.lastOrder(database)
    const [line] = yield* Ids(
      database.administrator`SELECT product_id AS id FROM edge_api.order_lines WHERE order_id = ${orderId}`
    )
    return yield* OrderRows.capture(database, orderId, line?.id ?? products[0] ?? "")
  },
  (effect) => Effect.scoped(effect)
)

/** Over the connections that are warm: each has planned the statement, and knows the tables. */
const measure = Effect.fn("Limit.measure")(function* (
  database: BenchDatabase,
  rows: OrderRows.OrderRows,
  clients: ReadonlyArray<PgClient.PgClient>,
  ordersATransaction: number,
  orders: number
) {
  const connections = clients.length
  const products = yield* Ids(database.administrator`
    INSERT INTO inventory.products (name, sku, price_cents, stock_quantity)
    SELECT 'By hand', gen_random_uuid()::text, 1999, 999999999 FROM generate_series(1, 100) RETURNING id`)
  const transactions = Math.ceil(orders / ordersATransaction / connections)
  const startedAt = yield* Clock.currentTimeMillis
  yield* Effect.forEach(
    clients.entries(),
    ([number, sql]) => {
      const own = products.flatMap(({ id }, place) => (place % connections === number ? [{ id, version: 1 }] : []))
      return write(sql, rows, own, transactions, ordersATransaction)
    },
    { concurrency: "unbounded", discard: true }
  )
  const millis = (yield* Clock.currentTimeMillis) - startedAt
  return (transactions * connections * ordersATransaction * 1000) / millis
})

const measureWay = Effect.fn("Limit.measureWay")(function* (
  database: BenchDatabase,
  rows: OrderRows.OrderRows,
  way: Way,
  { orders, warmUp }: Sizes
) {
  const { connections, ordersATransaction } = way
  const clients = yield* Effect.forEach(Array.from({ length: connections }), () => connect(database))
  yield* measure(database, rows, clients, ordersATransaction, warmUp)
  return yield* measure(database, rows, clients, ordersATransaction, orders)
}, Effect.scoped)

export const run = Effect.fn("Limit.run")(function* (sizes: Sizes, tell: Tell) {
  const database = yield* makeDatabase({ hasTables: true, counts: false })
  const rows = yield* template(database)
  // An order is born with its first state and not with its last one; here it is written once.
  yield* database.administrator`ALTER TABLE edge_api.order_ledger DISABLE TRIGGER orders_begin_legally`.unprepared
  yield* database.administrator`ALTER TABLE orders.orders DISABLE TRIGGER orders_begin_legally`.unprepared
  // A plan for each run would cost more than the run. One statement a table, sent without waiting, took twice the processor
  // time of this one for all tables.
  const { administrator, name } = database
  yield* administrator`ALTER DATABASE ${administrator(name)} SET plan_cache_mode = 'force_generic_plan'`.unprepared
  yield* tell([
    {
      id: "limit.rows",
      title: "rows that one order leaves behind",
      unit: "rows",
      better: "less",
      value: OrderRows.countOf(rows)
    },
    { id: "limit.tables", title: "in so many tables", unit: "tables", better: "less", value: rows.tables.length }
  ])
  for (const way of ways) {
    const found: Measure = {
      id: `limit.b${way.ordersATransaction}.orders`,
      title: `written by hand, ${way.ordersATransaction} a transaction, ${way.connections} connections`,
      unit: "orders/s",
      better: "more",
      value: yield* measureWay(database, rows, way, sizes)
    }
    yield* tell([found])
  }
})
