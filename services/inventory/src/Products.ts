/**
 * Products: what is sold, at what price, and whether it may be sold.
 *
 * Every operation takes a set and answers one outcome an item, in the order of the items; one product is a set of one.
 * They are asked for over HTTP only, one at a time and well checked: what could spoil a larger set is not settled here.
 */
import * as Database from "@ecommerce/chassis/Database"
import { ProductId } from "@ecommerce/contracts/Ids"
import { productCreated, productUpdated } from "@ecommerce/contracts/Inventory/Events"
import {
  DuplicateSku,
  type NewProduct,
  Product,
  type ProductChange,
  ProductNotFound,
  type ProductPage
} from "@ecommerce/contracts/Inventory/Products"
import type { Availability } from "@ecommerce/contracts/Inventory/Stock"
import * as Outbox from "@ecommerce/outbox/Outbox"
import { booleans, integers, Long, type Outcomes, rowsOf, texts, uuids } from "@ecommerce/sets/Sets"
import { PgClient } from "@effect/sql-pg"
import { Context, Effect, Layer, Result, Schema } from "effect"

import { type Adjustment, newAdjustmentId, StockLedger } from "./StockLedger.ts"

export interface ChangeOf {
  readonly id: ProductId
  readonly change: ProductChange
}

export interface PageRequest {
  readonly after: ProductId | undefined
  readonly limit: number
}

export class Products extends Context.Service<
  Products,
  {
    readonly create: (products: ReadonlyArray<NewProduct>) => Effect.Effect<Outcomes<Product, DuplicateSku>>
    readonly change: (changes: ReadonlyArray<ChangeOf>) => Effect.Effect<Outcomes<Product, ProductNotFound>>
    readonly find: (ids: ReadonlyArray<ProductId>) => Effect.Effect<Outcomes<Product, ProductNotFound>>
    readonly page: (request: PageRequest) => Effect.Effect<ProductPage>
  }
>()("@ecommerce/inventory/Products") {
  static readonly layer = Layer.effect(
    Products,
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      const ledger = yield* StockLedger
      const inTransaction = Database.inTransaction(sql)

      // In the order of the SKUs: two sets that share some would otherwise wait for each other for ever.
      const insert = (products: ReadonlyArray<NewProduct>) =>
        productRows(sql`
          INSERT INTO products (name, sku, price_cents, stock_quantity)
          SELECT name, sku, price_cents, stock_quantity
          FROM unnest(
            ${texts(products.map((product) => product.name))},
            ${texts(products.map((product) => product.sku))},
            ${integers(products.map((product) => product.priceCents))},
            ${integers(products.map((product) => product.initialStock))}
          ) WITH ORDINALITY AS input (name, sku, price_cents, stock_quantity, place)
          ORDER BY sku, place
          ON CONFLICT (sku) DO NOTHING
          RETURNING *`)

      const ownersOf = (skus: ReadonlyArray<string>) =>
        ownerRows(sql`SELECT sku, id FROM products WHERE sku = ANY(${texts(skus)})`)

      const insertAndTell = Effect.fn("Products.insertAndTell")(function* (products: ReadonlyArray<NewProduct>) {
        const created = yield* insert(products)
        yield* ledger.record(created.filter(({ stockQuantity }) => stockQuantity > 0).map(initialStock))
        yield* Outbox.append(
          created.map((data) => productCreated.of({ subject: data.id, version: data.version, data }))
        )
        return created
      })

      const create = Effect.fn("Products.create")(function* (products: ReadonlyArray<NewProduct>) {
        const inserted = yield* inTransaction(insertAndTell(products))
        const created = new Map(inserted.map((product) => [product.sku, product]))
        // A statement of its own: it has to see what another transaction committed while the insert waited for it.
        const taken = created.size === products.length ? [] : yield* ownersOf(products.map(({ sku }) => sku))
        const owners = new Map(taken.map(({ id, sku }) => [sku, id]))
        return products.map(({ sku }) => {
          const product = created.get(sku)
          // The first of several with one SKU has it; the others find it taken.
          created.delete(sku)
          return product === undefined ? duplicateOf(owners, sku) : Result.succeed(product)
        })
      }, Database.dies)

      const update = (changes: ReadonlyArray<ChangeOf>) =>
        productRows(sql`
          UPDATE products SET
            name = coalesce(input.name, products.name),
            price_cents = coalesce(input.price_cents, products.price_cents),
            active = coalesce(input.active, products.active),
            version = products.version + 1
          FROM unnest(
            ${uuids(changes.map(({ id }) => id))},
            ${texts(changes.map(({ change }) => change.name ?? null))},
            ${integers(changes.map(({ change }) => change.priceCents ?? null))},
            ${booleans(changes.map(({ change }) => change.active ?? null))}
          ) AS input (id, name, price_cents, active)
          WHERE products.id = input.id AND products.id = ANY(${uuids(changes.map(({ id }) => id))})
          RETURNING products.*`)

      const updateAndTell = Effect.fn("Products.updateAndTell")(function* (changes: ReadonlyArray<ChangeOf>) {
        yield* ledger.lock(changes.map(({ id }) => id))
        const changed = yield* update(oneChangeEach(changes))
        yield* Outbox.append(
          changed.map((data) => productUpdated.of({ subject: data.id, version: data.version, data }))
        )
        return changed
      })

      const change = Effect.fn("Products.change")(function* (changes: ReadonlyArray<ChangeOf>) {
        const ids = changes.map(({ id }) => id)
        return inOrderOf(ids, yield* inTransaction(updateAndTell(changes)))
      }, Database.dies)

      const find = Effect.fn("Products.find")(function* (ids: ReadonlyArray<ProductId>) {
        return inOrderOf(ids, yield* productRows(sql`SELECT * FROM products WHERE id = ANY(${uuids(ids)})`))
      }, Database.dies)

      const page = Effect.fn("Products.page")(function* ({ after, limit }: PageRequest) {
        // One more than asked for tells whether there is a next page. Ids are made in the order of time.
        const rows = yield* productRows(sql`
          SELECT * FROM products WHERE id > ${after ?? firstId} ORDER BY id LIMIT ${limit + 1}`)
        const products = rows.slice(0, limit)
        return { products, nextCursor: rows.length > limit ? (products.at(-1)?.id ?? null) : null }
      }, Database.dies)

      return Products.of({ create, change, find, page })
    })
  )
}

/** A product as the database has it: the driver reads timestamps as dates, and bigints as such. */
const productRows = rowsOf(
  Schema.Struct({ ...Product.fields, stockQuantity: Long, version: Long, createdAt: Schema.DateTimeUtcFromDate })
)
const ownerRows = rowsOf(Schema.Struct({ sku: Schema.String, id: ProductId }))

const duplicateOf = (owners: ReadonlyMap<string, ProductId>, sku: string) => {
  const existingProductId = owners.get(sku)
  if (existingProductId === undefined) throw new Error(`The SKU ${sku} was taken, and then nobody had it`)
  return Result.fail(new DuplicateSku({ existingProductId }))
}

const initialStock = ({ id: productId, stockQuantity, version }: Product): Adjustment => ({
  id: newAdjustmentId(),
  productId,
  kind: "initial",
  quantity: stockQuantity,
  before: 0,
  after: stockQuantity,
  version,
  events: [],
  reason: "initial stock",
  referenceId: null,
  notes: null
})

/** What an order can still have of a product. */
export const availabilityOf = ({ active, id, stockQuantity, version }: Product): Availability => ({
  productId: id,
  active,
  availableQuantity: active ? stockQuantity : 0,
  version
})

const firstId = "00000000-0000-0000-0000-000000000000"

/** An UPDATE applies one of several rows for a product and drops the rest: what a set says twice is put together first. */
const oneChangeEach = (changes: ReadonlyArray<ChangeOf>): ReadonlyArray<ChangeOf> => {
  const merged = new Map<ProductId, ProductChange>()
  for (const { change, id } of changes) merged.set(id, { ...merged.get(id), ...change })
  return Array.from(merged, ([id, change]) => ({ id, change }))
}

const inOrderOf = (ids: ReadonlyArray<ProductId>, products: ReadonlyArray<Product>) => {
  const byId = new Map(products.map((product) => [product.id, product]))
  return ids.map((productId) => {
    const product = byId.get(productId)
    return product === undefined ? Result.fail(new ProductNotFound({ productId })) : Result.succeed(product)
  })
}
