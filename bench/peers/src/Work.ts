/**
 * What every peer does: four durable steps an order, each one transaction on the same tables, each safe to be done twice.
 *
 * A step takes a set of orders, so that whoever has several at a time pays for one statement.
 */
import { randomUUID } from "node:crypto"
import { setTimeout } from "node:timers/promises"

import { Pool } from "pg"

export interface Task {
  readonly host: string
  readonly port: number
  readonly password: string
  readonly database: string
  readonly orders: number
  readonly warmUp: number
  readonly inFlight: number
}

export const readTask = (): Task => JSON.parse(process.argv[2] ?? "{}")

export const poolOf = ({ database, host, password, port }: Task, max: number) =>
  new Pool({ host, port, user: "postgres", password, database, max })

const tables = `
  CREATE TABLE IF NOT EXISTS products (id integer PRIMARY KEY, stock bigint NOT NULL CHECK (stock >= 0));
  CREATE TABLE IF NOT EXISTS orders (id uuid PRIMARY KEY, status text NOT NULL, total_cents integer NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now());
  CREATE TABLE IF NOT EXISTS order_items (order_id uuid REFERENCES orders (id), product_id integer NOT NULL,
    quantity integer NOT NULL, PRIMARY KEY (order_id, product_id));
  CREATE TABLE IF NOT EXISTS reservations (order_id uuid PRIMARY KEY, product_id integer REFERENCES products (id),
    quantity integer NOT NULL);
  CREATE TABLE IF NOT EXISTS captures (order_id uuid PRIMARY KEY, cents integer NOT NULL);
  INSERT INTO products SELECT n, 1000000000 FROM generate_series(0, 99) AS n ON CONFLICT DO NOTHING`

export const prepare = (pool: Pool) => pool.query(tables)

/** Of the order's id, so that a step needs to know nothing else. */
const product = `('x' || right(id::text, 4))::bit(16)::int % 100`

const step = (name: string, text: string) => (pool: Pool, ids: ReadonlyArray<string>) =>
  pool.query({ name, text, values: [ids] })

export const create = step(
  "create",
  `WITH made AS (INSERT INTO orders (id, status, total_cents) SELECT id, 'CREATED', 1999 FROM unnest($1::uuid[]) AS id
     ON CONFLICT DO NOTHING RETURNING id)
   INSERT INTO order_items SELECT id, ${product}, 1 FROM made`
)
export const reserve = step(
  "reserve",
  `WITH made AS (INSERT INTO reservations SELECT id, ${product}, 1 FROM unnest($1::uuid[]) AS id
     ON CONFLICT DO NOTHING RETURNING product_id, quantity),
   wanted AS (SELECT product_id, sum(quantity) AS quantity FROM made GROUP BY product_id),
   locked AS (SELECT id FROM products WHERE id IN (SELECT product_id FROM wanted) ORDER BY id FOR NO KEY UPDATE)
   UPDATE products SET stock = stock - wanted.quantity FROM wanted, locked
   WHERE products.id = wanted.product_id AND locked.id = products.id`
)
export const capture = step(
  "capture",
  `INSERT INTO captures SELECT id, 1999 FROM unnest($1::uuid[]) AS id ON CONFLICT DO NOTHING`
)
export const confirm = step("confirm", `UPDATE orders SET status = 'CONFIRMED' WHERE id = ANY($1::uuid[])`)

export const steps = { create, reserve, capture, confirm }
export const names = ["create", "reserve", "capture", "confirm"] as const

export const untilConfirmed = async (pool: Pool, orders: number): Promise<void> => {
  const { rows } = await pool.query("SELECT count(*)::int AS done FROM orders WHERE status = 'CONFIRMED'")
  if (rows[0].done >= orders) return
  await setTimeout(50)
  return untilConfirmed(pool, orders)
}

/** So many in flight at a time, each by `one`. */
export const each = async (orders: number, inFlight: number, one: (id: string) => Promise<unknown>) => {
  let left = orders
  const keepGoing = async (): Promise<void> => {
    if (left-- <= 0) return
    await one(randomUUID())
    return keepGoing()
  }
  await Promise.all(Array.from({ length: inFlight }, keepGoing))
}

/** Warm, then measured; and every order looked at, so that nobody is fast by leaving something out. */
export const measure = async (task: Task, pool: Pool, process: (orders: number) => Promise<unknown>): Promise<void> => {
  await process(task.warmUp)
  await untilConfirmed(pool, task.warmUp)
  const startedAt = performance.now()
  await process(task.orders)
  await untilConfirmed(pool, task.warmUp + task.orders)
  const millis = performance.now() - startedAt
  const { rows } = await pool.query(
    "SELECT (SELECT 100000000000 - sum(stock) FROM products)::int AS taken, (SELECT count(*) FROM captures)::int AS captured"
  )
  const all = task.warmUp + task.orders
  if (rows[0].taken !== all || rows[0].captured !== all) throw new Error(`Not whole: ${JSON.stringify(rows[0])}`)
  console.log(JSON.stringify({ sagasPerSecond: (task.orders * 1000) / millis }))
}
