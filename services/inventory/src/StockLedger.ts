/**
 * The one way in which stock changes: under the product's lock, never below zero, and with a row that says what was
 * changed, from what to what, why and by what.
 *
 * Stock by hand and reservations both go through here, so that a product's stock is always the sum of its adjustments.
 */
import * as Settings from "@ecommerce/chassis/Settings"
import { ProductId } from "@ecommerce/contracts/Ids"
import { lowStock } from "@ecommerce/contracts/Inventory/Events"
import type { NewEvent } from "@ecommerce/outbox/Event"
import { Long, longs, rowsOf, texts, uuids } from "@ecommerce/sets/Sets"
import { PgClient } from "@effect/sql-pg"
import { Context, Effect, Layer, Schema } from "effect"
import { SecureRandom } from "effect/crypto"
import type { SqlError } from "effect/sql"

/** A product as its lock shows it. */
export interface LockedProduct {
  readonly id: ProductId
  readonly stockQuantity: number
  readonly active: boolean
  readonly version: number
}

export interface Change {
  readonly productId: ProductId
  readonly kind: "initial" | "manual" | "reserve" | "release"
  readonly quantity: number
  readonly reason: string
  readonly referenceId: string | null
  readonly notes: string | null
}

export interface Adjustment extends Change {
  readonly id: string
  readonly before: number
  readonly after: number
  /** The product's, after this change. */
  readonly version: number
  /** What else it brought about, with versions above its own: to be told right after it. */
  readonly events: ReadonlyArray<NewEvent>
}

export const lowStockThreshold = Settings.count(
  "LOW_STOCK_THRESHOLD",
  5,
  "Below this quantity a product's stock is low, and inventory.low_stock tells so once."
)

type Sql<A> = Effect.Effect<A, SqlError.SqlError>

export class StockLedger extends Context.Service<
  StockLedger,
  {
    /** Locks these products in the order of their ids, whatever order they are named in; unknown ones are not there. */
    readonly lock: (ids: ReadonlyArray<ProductId>) => Sql<ReadonlyMap<ProductId, LockedProduct>>
    /** Applies changes that fit to locked products, in their order; answers one adjustment a change. */
    readonly write: (
      changes: ReadonlyArray<Change>,
      locked: ReadonlyMap<ProductId, LockedProduct>
    ) => Sql<ReadonlyArray<Adjustment>>
    /** Only the rows: for products whose stock was set as they were made. */
    readonly record: (adjustments: ReadonlyArray<Adjustment>) => Sql<void>
  }
>()("@ecommerce/inventory/StockLedger") {
  static readonly layer = Layer.effect(
    StockLedger,
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      const threshold = yield* lowStockThreshold.read

      const lock = Effect.fn("StockLedger.lock")(function* (ids: ReadonlyArray<ProductId>) {
        const rows = yield* lockedRows(sql`
          SELECT id, stock_quantity, active, version FROM products
          WHERE id = ANY(${uuids([...new Set(ids)])})
          ORDER BY id FOR NO KEY UPDATE`)
        return new Map(rows.map((row) => [row.id, row]))
      })

      const update = (products: ReadonlyArray<LockedProduct>) => sql`
        UPDATE products SET stock_quantity = input.stock_quantity, version = input.version
        FROM unnest(
          ${uuids(products.map((product) => product.id))},
          ${longs(products.map((product) => product.stockQuantity))},
          ${longs(products.map((product) => product.version))}
        ) AS input (id, stock_quantity, version)
        WHERE products.id = input.id AND products.id = ANY(${uuids(products.map((product) => product.id))})`

      const record = (adjustments: ReadonlyArray<Adjustment>) =>
        Effect.asVoid(sql`
          INSERT INTO stock_adjustments
            (id, product_id, product_version, kind, quantity, before_quantity, after_quantity, reason, reference_id, notes)
          SELECT * FROM unnest(
            ${uuids(adjustments.map((adjustment) => adjustment.id))},
            ${uuids(adjustments.map((adjustment) => adjustment.productId))},
            ${longs(adjustments.map((adjustment) => adjustment.version))},
            ${texts(adjustments.map((adjustment) => adjustment.kind))},
            ${longs(adjustments.map((adjustment) => adjustment.quantity))},
            ${longs(adjustments.map((adjustment) => adjustment.before))},
            ${longs(adjustments.map((adjustment) => adjustment.after))},
            ${texts(adjustments.map((adjustment) => adjustment.reason))},
            ${texts(adjustments.map((adjustment) => adjustment.referenceId))},
            ${texts(adjustments.map((adjustment) => adjustment.notes))}
          )`)

      const write = Effect.fn("StockLedger.write")(function* (
        changes: ReadonlyArray<Change>,
        locked: ReadonlyMap<ProductId, LockedProduct>
      ) {
        const { adjustments, products } = applyAll(changes, locked, threshold)
        if (adjustments.length > 0) {
          yield* update(products)
          yield* record(adjustments)
        }
        return adjustments
      })

      return StockLedger.of({ lock, write, record })
    })
  )
}

const lockedRows = rowsOf(Schema.Struct({ id: ProductId, stockQuantity: Long, active: Schema.Boolean, version: Long }))

export const newAdjustmentId = () => SecureRandom.uuidV7Unsafe()

/** Each change sees what the ones before it left. An event of a product takes a version of its own. */
const applyAll = (changes: ReadonlyArray<Change>, locked: ReadonlyMap<ProductId, LockedProduct>, threshold: number) => {
  const products = new Map<ProductId, LockedProduct>()
  const adjustments = changes.map((change): Adjustment => {
    const product = products.get(change.productId) ?? locked.get(change.productId)
    if (product === undefined) throw new Error(`The product ${change.productId} is not locked`)
    const before = product.stockQuantity
    const after = before + change.quantity
    const version = product.version + 1
    const isNowLow = before >= threshold && after < threshold
    const events = isNowLow ? [lowStockEvent(product.id, after, threshold, version + 1)] : []
    products.set(product.id, { ...product, stockQuantity: after, version: isNowLow ? version + 1 : version })
    return { ...change, id: newAdjustmentId(), before, after, version, events }
  })
  return { adjustments, products: [...products.values()] }
}

const lowStockEvent = (productId: ProductId, stockQuantity: number, threshold: number, version: number) =>
  lowStock.of({ subject: productId, version, data: { productId, stockQuantity, threshold } })
