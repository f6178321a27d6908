/**
 * Reservations: stock that is held for an order. Other services reserve and release by command; over HTTP there is only
 * a look at what became of it.
 */
import * as Command from "@ecommerce/commands/Command"
import { Problem } from "@ecommerce/protocol/Problem"
import { ServiceToken } from "@ecommerce/protocol/ServiceToken"
import { Int4 } from "@ecommerce/protocol/Validation"
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, OpenApi } from "effect/http-api"

import { ofOrder, OrderId, ProductId } from "../Ids.ts"

/** A line of an order: a product may stand on several. */
export const OrderLine = Schema.Struct({ productId: ProductId, quantity: Int4.check(Schema.isGreaterThan(0)) })
export type OrderLine = typeof OrderLine.Type

/** What is held of one product, all lines of the order together. */
export const ReservationLine = Schema.Struct({
  productId: ProductId,
  quantity: Schema.Int.check(Schema.isGreaterThan(0))
})
export type ReservationLine = typeof ReservationLine.Type

export const ReserveStock = Schema.Struct({
  orderId: OrderId,
  items: Schema.NonEmptyArray(OrderLine).annotate({ description: "A product on two lines adds up." })
}).annotate({ identifier: "ReserveStock" })
export type ReserveStock = typeof ReserveStock.Type

/** What is held for an order: a line a product. */
export const StockReserved = Schema.Struct({ orderId: OrderId, items: Schema.Array(ReservationLine) })
export type StockReserved = typeof StockReserved.Type

export const ReleaseStock = Schema.Struct({ orderId: OrderId }).annotate({ identifier: "ReleaseStock" })
export type ReleaseStock = typeof ReleaseStock.Type

/** What was given back; nothing where nothing was held. */
export const StockReleased = Schema.Struct({ orderId: OrderId, items: Schema.Array(ReservationLine) })
export type StockReleased = typeof StockReleased.Type

/** One product that an order cannot have, and why. */
export const RefusedItem = Schema.Struct({
  productId: ProductId,
  reason: Schema.Literals(["insufficient_stock", "inactive_product", "unknown_product"]),
  requested: Schema.Int,
  available: Schema.Int
})
export type RefusedItem = typeof RefusedItem.Type

/** A definite no: remembered under the order's id, and said again whatever the stock is by then. */
export class StockRefused extends Schema.TaggedError<StockRefused>()("StockRefused", {
  orderId: OrderId,
  items: Schema.Array(RefusedItem)
}) {}

/** The reservation came after its release: it is refused for good. */
export class AlreadyReleased extends Schema.TaggedError<AlreadyReleased>()("AlreadyReleased", { orderId: OrderId }) {}

export const reserveStock = Command.make("reserve-stock", {
  description: "Holds stock for an order: all that it asks for, or nothing.",
  payload: ReserveStock,
  success: StockReserved,
  errors: [StockRefused, AlreadyReleased],
  key: ofOrder
})

/** Undoes reserve-stock, also where nothing was reserved: a reservation that comes afterwards is refused. */
export const releaseStock = Command.make("release-stock", {
  description: "Gives back what is held for an order, and refuses it for good if it was never held.",
  payload: ReleaseStock,
  success: StockReleased,
  errors: [],
  key: ofOrder
})

export const commandsGroup = HttpApiGroup.make("commands")
  .add(reserveStock.endpoint, releaseStock.endpoint)
  .annotate(OpenApi.Description, "What other services ask of inventory, in batches.")

export const Reservation = Schema.Struct({
  orderId: OrderId,
  state: Schema.Literals(["RESERVED", "REFUSED", "RELEASED"]),
  items: Schema.Array(ReservationLine),
  refusal: Schema.NullOr(Schema.Array(RefusedItem)),
  version: Schema.Int,
  createdAt: Schema.DateTimeUtc,
  updatedAt: Schema.DateTimeUtc
}).annotate({ identifier: "Reservation" })
export type Reservation = typeof Reservation.Type

export class ReservationNotFound extends Problem<ReservationNotFound>()(
  "ReservationNotFound",
  { code: "reservation_not_found", status: 404, title: "Nothing was ever reserved or released for this order." },
  { orderId: OrderId }
) {}

export const reservationsGroup = HttpApiGroup.make("reservations")
  .add(
    HttpApiEndpoint.get("get", "/reservations/:orderId", {
      params: { orderId: OrderId },
      success: Reservation,
      error: ReservationNotFound
    })
  )
  .middleware(ServiceToken)
  .annotate(OpenApi.Description, "What is held for orders, for services and operators.")
