/**
 * Products: what is sold, at what price, and how many there are.
 */
import { cursorOf, Limit } from "@ecommerce/protocol/Page"
import { Problem } from "@ecommerce/protocol/Problem"
import { Int4, Text } from "@ecommerce/protocol/Validation"
import { Effect, Schema, SchemaGetter } from "effect"
import { HttpApiEndpoint, HttpApiGroup, HttpApiSchema, OpenApi } from "effect/http-api"

import { ProductId } from "../Ids.ts"

const Name = Text.check(Schema.isBetweenCodePoints(1, 255))
const Sku = Schema.String.check(
  Schema.isBetweenLength(1, 100),
  Schema.isPattern(/^[A-Za-z0-9._-]*$/u, { expected: "only letters, digits, dots, underscores and hyphens" })
)
const PriceCents = Int4.check(Schema.isGreaterThan(0))
/** Not bounded like what a request may ask for: what orders give back comes on top of what was added meanwhile. */
export const StockQuantity = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))

export const Product = Schema.Struct({
  id: ProductId,
  name: Name,
  sku: Sku,
  priceCents: PriceCents,
  stockQuantity: StockQuantity,
  active: Schema.Boolean,
  version: Schema.Int.annotate({ description: "Raised by every change of this product." }),
  createdAt: Schema.DateTimeUtc
}).annotate({ identifier: "Product" })
export type Product = typeof Product.Type

export const NewProduct = Schema.Struct({
  name: Name,
  sku: Sku,
  priceCents: PriceCents,
  initialStock: Int4.check(Schema.isGreaterThanOrEqualTo(0)).pipe(Schema.withDecodingDefaultKey(Effect.succeed(0)))
}).annotate({ identifier: "NewProduct" })
export type NewProduct = typeof NewProduct.Type

export const ProductChange = Schema.Struct({
  name: Schema.optionalKey(Name),
  priceCents: Schema.optionalKey(PriceCents),
  active: Schema.optionalKey(Schema.Boolean)
})
  .check(Schema.isMinProperties(1, { expected: "at least one of name, priceCents, active" }))
  .annotate({ identifier: "ProductChange" })
export type ProductChange = typeof ProductChange.Type

const ProductCursor = cursorOf(ProductId)

export const ProductPage = Schema.Struct({
  products: Schema.Array(Product),
  nextCursor: Schema.NullOr(ProductCursor)
}).annotate({ identifier: "ProductPage" })
export type ProductPage = typeof ProductPage.Type

export class DuplicateSku extends Problem<DuplicateSku>()(
  "DuplicateSku",
  { code: "duplicate_sku", status: 409, title: "There is a product with this SKU already." },
  { existingProductId: ProductId }
) {}

export class ProductNotFound extends Problem<ProductNotFound>()(
  "ProductNotFound",
  { code: "product_not_found", status: 404, title: "There is no product with this id." },
  { productId: ProductId }
) {}

/** `?ids=a,b,c` */
const ProductIds = Schema.String.pipe(
  Schema.decodeTo(Schema.Array(ProductId).check(Schema.isBetweenLength(1, 100)), {
    decode: SchemaGetter.split(),
    encode: SchemaGetter.transform((ids: ReadonlyArray<string>) => ids.join(","))
  })
)

export const productsGroup = HttpApiGroup.make("products")
  .add(
    HttpApiEndpoint.post("create", "/products", {
      payload: NewProduct,
      success: Product.pipe(HttpApiSchema.status(201)),
      error: DuplicateSku
    }),
    HttpApiEndpoint.get("list", "/products", {
      query: {
        limit: Schema.optionalKey(Limit),
        cursor: Schema.optionalKey(ProductCursor),
        ids: Schema.optionalKey(ProductIds)
      },
      success: ProductPage
    }),
    HttpApiEndpoint.get("get", "/products/:id", {
      params: { id: ProductId },
      success: Product,
      error: ProductNotFound
    }),
    HttpApiEndpoint.patch("change", "/products/:id", {
      params: { id: ProductId },
      payload: ProductChange,
      success: Product,
      error: ProductNotFound
    })
  )
  .annotate(OpenApi.Description, "The catalogue: what is sold, at what price, and how many there are.")
