/**
 * What inventory tells the others, in the order in which it happened.
 */
import * as Event from "@ecommerce/outbox/Event"
import { Schema } from "effect"

import { OrderId, ProductId } from "../Ids.ts"
import { Product } from "./Products.ts"
import { RefusedItem, ReservationLine } from "./Reservations.ts"
import { StockChanged } from "./Stock.ts"

export const productCreated = Event.make("product.created", Product)
export const productUpdated = Event.make("product.updated", Product)

/** Stock changed by hand; what orders take and give back is told by the reservation's events. */
export const stockAdjusted = Event.make("inventory.stock_adjusted", StockChanged)

/** Once for each time that stock falls below the threshold, not for every change below it. */
export const lowStock = Event.make(
  "inventory.low_stock",
  Schema.Struct({ productId: ProductId, stockQuantity: Schema.Int, threshold: Schema.Int })
)

const ofOrder = Schema.Struct({ orderId: OrderId, items: Schema.Array(ReservationLine) })

export const reserved = Event.make("inventory.reserved", ofOrder)
export const released = Event.make("inventory.released", ofOrder)
export const reservationRefused = Event.make(
  "inventory.reservation_refused",
  Schema.Struct({ orderId: OrderId, items: Schema.Array(RefusedItem) })
)
