/**
 * Stock: how many there are of a product, and how that changed.
 */
import { MalformedRequest } from "@ecommerce/protocol/GeneralProblems"
import * as Idempotency from "@ecommerce/protocol/Idempotency"
import { Problem } from "@ecommerce/protocol/Problem"
import { Int4, Text } from "@ecommerce/protocol/Validation"
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, OpenApi } from "effect/http-api"

import { ProductId } from "../Ids.ts"
import { ProductNotFound, StockQuantity } from "./Products.ts"

const notZero = Schema.makeFilter((quantity: number) => quantity !== 0, { expected: "a number other than 0" })

export const StockChange = Schema.Struct({
  quantity: Int4.check(notZero).annotate({ description: "How many more there are; below 0, how many fewer." }),
  reason: Text.check(Schema.isBetweenCodePoints(1, 50)),
  referenceId: Schema.optionalKey(Text.check(Schema.isBetweenCodePoints(1, 255))),
  notes: Schema.optionalKey(Text.check(Schema.isMaxCodePoints(1000)))
}).annotate({ identifier: "StockChange" })
export type StockChange = typeof StockChange.Type

export const StockChanged = Schema.Struct({
  adjustmentId: Schema.String,
  productId: ProductId,
  previousQuantity: StockQuantity,
  quantityChange: Int4,
  newQuantity: StockQuantity,
  reason: Schema.String
}).annotate({ identifier: "StockChanged" })
export type StockChanged = typeof StockChanged.Type

export const Availability = Schema.Struct({
  productId: ProductId,
  active: Schema.Boolean,
  availableQuantity: StockQuantity.annotate({ description: "What an order can still have; 0 while inactive." }),
  version: Schema.Int
}).annotate({ identifier: "Availability" })
export type Availability = typeof Availability.Type

export class InsufficientStock extends Problem<InsufficientStock>()(
  "InsufficientStock",
  { code: "insufficient_stock", status: 409, title: "There is not enough stock to take away." },
  { productId: ProductId, requestedChange: Schema.Int, availableQuantity: Schema.Int }
) {}

export class StockOutOfRange extends Problem<StockOutOfRange>()(
  "StockOutOfRange",
  { code: "stock_out_of_range", status: 422, title: "The new quantity would be larger than can be stored." },
  { productId: ProductId, availableQuantity: Schema.Int }
) {}

export const stockGroup = HttpApiGroup.make("stock")
  .add(
    HttpApiEndpoint.post("adjust", "/products/:id/stock", {
      params: { id: ProductId },
      headers: { [Idempotency.headerName]: Idempotency.IdempotencyKey },
      payload: StockChange,
      success: StockChanged,
      error: [
        MalformedRequest,
        ProductNotFound,
        InsufficientStock,
        StockOutOfRange,
        Idempotency.MissingIdempotencyKey,
        Idempotency.IdempotencyKeyReused,
        Idempotency.RequestInProgress
      ]
    }),
    HttpApiEndpoint.get("availability", "/products/:id/availability", {
      params: { id: ProductId },
      success: Availability,
      error: ProductNotFound
    })
  )
  .annotate(OpenApi.Description, "How many there are. Reservations change stock too, and only through orders.")
