/**
 * What products cost, as far as edge knows: a copy of inventory's catalogue in edge's own tables.
 *
 * Inventory's feed keeps it up to date. What is older than a few seconds, or not there, is asked for, for all requests that
 * miss something at once. What inventory does not know is not remembered as unknown: it may be created the next moment.
 * What is older never replaces what is newer, whichever way it came.
 */
import * as Database from "@ecommerce/chassis/Database"
import * as Settings from "@ecommerce/chassis/Settings"
import {
  type Objection,
  PricesUnavailable,
  ProductNotSold,
  type RequestedLine
} from "@ecommerce/contracts/Edge/Checkout"
import { ProductId } from "@ecommerce/contracts/Ids"
import { InventoryClient } from "@ecommerce/contracts/Inventory"
import type { Product } from "@ecommerce/contracts/Inventory/Products"
import type { PricedLine } from "@ecommerce/contracts/Orders/Lifecycle"
import * as Batched from "@ecommerce/sets/Batched"
import { booleans, integers, longs, rowsOf, uuids } from "@ecommerce/sets/Sets"
import { PgClient } from "@effect/sql-pg"
import { Array as Arr, Clock, Context, Duration, Effect, Layer, Ref, Result, Schema } from "effect"
import type { SqlError } from "effect/sql"

type Lines = Arr.NonEmptyReadonlyArray<PricedLine>

export class Prices extends Context.Service<
  Prices,
  {
    /** The lines with what they cost now. */
    readonly price: (lines: ReadonlyArray<RequestedLine>) => Effect.Effect<Lines, ProductNotSold | PricesUnavailable>
    /** Takes over what inventory tells of products. It may be long ago: how old it is, it does not say. */
    readonly learn: (products: ReadonlyArray<Product>) => Effect.Effect<void, SqlError.SqlError>
    /** All of them: some may have changed without a word, and inventory's versions may count from before. */
    readonly forget: Effect.Effect<void, SqlError.SqlError>
    /** From now on this tells a moment up to which everything has been learnt, in milliseconds. */
    readonly trust: (caughtUpAt: Effect.Effect<number>) => Effect.Effect<void>
    /** Whether the copy is as good as inventory itself. Else it is asked for all that was not asked for a moment ago. */
    readonly isUpToDate: Effect.Effect<boolean>
  }
>()("@ecommerce/edge-api/Prices") {
  static readonly layer = Layer.effect(
    Prices,
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      const inventory = yield* InventoryClient
      const goodFor = Duration.toSeconds(yield* pricesGoodFor.read)

      const caughtUpAt = yield* Ref.make(Effect.succeed(0))

      const isUpToDate = Effect.gen(function* () {
        const at = yield* Effect.flatten(Ref.get(caughtUpAt))
        const age = (yield* Clock.currentTimeMillis) - at
        // Nothing has been learnt in the future: somebody has set the clock back, and nobody knows how long ago it was.
        return age >= 0 && age < goodFor * 1000
      })

      const known = (ids: ReadonlyArray<ProductId>) =>
        Effect.flatMap(isUpToDate, (upToDate) =>
          priceRows(sql`
            SELECT product_id, price_cents, active FROM prices
            WHERE product_id = ANY(${uuids(ids)})
              AND (${upToDate} OR known_at > clock_timestamp() - make_interval(secs => ${goodFor}::double precision))`)
        )

      const find = (ids: ReadonlyArray<ProductId>) =>
        priceRows(sql`SELECT product_id, price_cents, active FROM prices WHERE product_id = ANY(${uuids(ids)})`)

      /** They were so when they were asked for, however long the answer took. */
      const keep = (products: ReadonlyArray<Product>, secondsAgo: number) => sql`
        INSERT INTO prices (product_id, price_cents, active, version, known_at)
        SELECT product_id, price_cents, active, version, clock_timestamp() - make_interval(secs => ${secondsAgo}::double precision)
        FROM unnest(
          ${uuids(products.map(({ id }) => id))},
          ${integers(products.map(({ priceCents }) => priceCents))},
          ${booleans(products.map(({ active }) => active))},
          ${longs(products.map(({ version }) => version))}
        ) AS input (product_id, price_cents, active, version)
        ORDER BY product_id
        ON CONFLICT (product_id) DO UPDATE SET
          price_cents = excluded.price_cents, active = excluded.active, version = excluded.version,
          known_at = greatest(prices.known_at, excluded.known_at)
        WHERE prices.version <= excluded.version`

      const learn = Effect.fn("Prices.learn")(function* (products: ReadonlyArray<Product>) {
        if (products.length > 0) yield* keep(newestOfEach(products), longAgo)
      })

      /** In the order in which others lock them. */
      const forget = Effect.asVoid(sql`
        WITH known AS MATERIALIZED (SELECT product_id FROM prices ORDER BY product_id FOR UPDATE)
        DELETE FROM prices USING known WHERE prices.product_id = known.product_id`)

      const fetch = (ids: ReadonlyArray<ProductId>) =>
        Effect.forEach(Arr.chunksOf(ids, mostIds), (some) => inventory.findProducts(some), { concurrency: 4 }).pipe(
          Effect.timeout("2 seconds"),
          Effect.retry({ times: 1 }),
          Effect.timed
        )

      const ask = Effect.fn("Prices.ask")(function* (ids: ReadonlyArray<ProductId>) {
        const fetched = yield* Effect.result(fetch(ids))
        if (Result.isFailure(fetched)) {
          yield* Effect.logWarning(`Inventory cannot be asked for prices: ${fetched.failure.message}`)
          return undefined
        }
        const [taken, pages] = fetched.success
        const products = pages.flat()
        if (products.length === 0) return []
        yield* keep(products, Duration.toSeconds(taken))
        const kept = yield* find(products.map(({ id }) => id))
        // All of it may have been forgotten meanwhile.
        return [...products.map(({ active, id, priceCents }) => ({ productId: id, priceCents, active })), ...kept]
      })

      const lookUp = yield* Batched.make("look-up-prices", (requests: ReadonlyArray<ReadonlyArray<ProductId>>) =>
        Effect.map(known(Arr.dedupe(requests.flat())), (prices) => requests.map(() => prices))
      )
      const lookUpThere = yield* Batched.make("ask-for-prices", (requests: ReadonlyArray<ReadonlyArray<ProductId>>) =>
        Effect.map(ask(Arr.dedupe(requests.flat())), (prices) => requests.map(() => prices))
      )

      const price = Effect.fn("Prices.price")(function* (lines: ReadonlyArray<RequestedLine>) {
        const ids = Arr.dedupe(lines.map(({ product_id }) => product_id))
        const here = yield* byProduct(lookUp(ids))
        const missing = ids.filter((id) => !here.has(id))
        const there = missing.length === 0 ? here : yield* byProduct(lookUpThere(missing))
        return yield* priced(lines, (id) => here.get(id) ?? there.get(id))
      }, Database.dies)

      return Prices.of({ price, learn, forget, isUpToDate, trust: (moment) => Ref.set(caughtUpAt, moment) })
    })
  )
}

const pricesGoodFor = Settings.duration(
  "PRICES_GOOD_FOR",
  "5 seconds",
  "How old a copied price may be. An older one is asked for again."
)

/** In seconds. */
const longAgo = 1e9

/** One statement changes a row once: of several changes of a product the last one counts. */
const newestOfEach = (products: ReadonlyArray<Product>) => [
  ...new Map(products.toSorted((a, b) => a.version - b.version).map((product) => [product.id, product])).values()
]

/** As many as inventory answers at once. */
const mostIds = 100

const PriceRow = Schema.Struct({ productId: ProductId, priceCents: Schema.Int, active: Schema.Boolean })
const priceRows = rowsOf(PriceRow)

const byProduct = <E>(prices: Effect.Effect<ReadonlyArray<typeof PriceRow.Type> | undefined, E>) =>
  Effect.flatMap(prices, (rows) =>
    rows === undefined
      ? Effect.fail(new PricesUnavailable())
      : Effect.succeed(new Map(rows.map((row) => [row.productId, row])))
  )

const priced = (
  lines: ReadonlyArray<RequestedLine>,
  priceOf: (id: ProductId) => typeof PriceRow.Type | undefined
): Effect.Effect<Lines, ProductNotSold> => {
  const objectionTo = (id: ProductId): Objection | undefined => {
    const price = priceOf(id)
    if (price === undefined) return "unknown"
    return price.active ? undefined : "inactive"
  }
  const objections = lines.flatMap(({ product_id }, place) => {
    const objection = objectionTo(product_id)
    return objection === undefined ? [] : [{ product_id, objection, place }]
  })
  const sold = lines.flatMap(({ product_id: productId, quantity }) => {
    const price = priceOf(productId)
    return price === undefined ? [] : [{ productId, quantity, unitPriceCents: price.priceCents }]
  })
  if (objections.length === 0 && Arr.isReadonlyArrayNonEmpty(sold)) return Effect.succeed(sold)
  return Effect.fail(
    new ProductNotSold({
      products: Arr.dedupeWith(
        objections.map(({ objection, product_id }) => ({ product_id, objection })),
        (one, other) => one.product_id === other.product_id
      ),
      errors: objections.map(({ objection, place }) => ({
        in: "body",
        field: `items.${place}.product_id`,
        message: objection === "unknown" ? "There is no such product" : "This product is not sold at the moment"
      }))
    })
  )
}
