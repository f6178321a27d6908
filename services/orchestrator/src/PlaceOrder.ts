/**
 * Placing an order, from its authorization to its end.
 *
 * Its money is held before the saga begins, so letting go of it is owed from the start: whatever goes wrong, that comes first.
 * Then what was done is undone, the last of it first. Once the money is taken there is no way back, only forward.
 */
import { type AuthorizedOrder, orderAuthorized } from "@ecommerce/contracts/Edge/Events"
import { InventoryClient } from "@ecommerce/contracts/Inventory"
import type { StockRefused } from "@ecommerce/contracts/Inventory/Reservations"
import { StockReserved } from "@ecommerce/contracts/Inventory/Reservations"
import { OrdersClient } from "@ecommerce/contracts/Orders"
import { OrderConfirmed, OrderCreated } from "@ecommerce/contracts/Orders/Lifecycle"
import { PaymentClient } from "@ecommerce/contracts/Payment"
import { PaymentCaptured } from "@ecommerce/contracts/Payment/Commands"
import * as Saga from "@ecommerce/saga/Saga"
import { Schema } from "effect"

import { cancelOrder } from "./CancelOrder.ts"

export const placeOrder = Saga.make(
  "place-order",
  {
    version: 1,
    input: orderAuthorized.data,
    key: ({ orderId }) => orderId,
    cancelledBy: ({ orderId }: AuthorizedOrder) => cancelOrder.of({ orderId })
  },
  (story) =>
    story
      .owes("cancel-payment", ({ input: { orderId } }) =>
        PaymentClient.use((payment) => payment.cancelPayment({ orderId }))
      )
      .step("create-order", {
        result: OrderCreated,
        run: ({ input: { email, items, orderId, userId } }) =>
          OrdersClient.use((orders) => orders.createOrder({ orderId, userId, email, items })),
        undo: ({ input: { orderId } }) =>
          OrdersClient.use((orders) => orders.cancelOrder({ orderId, reason: "It could not be completed." }))
      })
      .step("reserve-stock", {
        result: StockReserved,
        run: ({ input: { items, orderId } }) =>
          InventoryClient.use((inventory) => inventory.reserveStock({ orderId, items: linesOf(items) })),
        undo: ({ input: { orderId } }) => InventoryClient.use((inventory) => inventory.releaseStock({ orderId })),
        explain: (refusal) => (refusal._tag === "StockRefused" ? shortage(refusal) : undefined)
      })
      .step("capture-payment", {
        result: PaymentCaptured,
        run: ({ input: { orderId, totalCents } }) =>
          PaymentClient.use((payment) => payment.capturePayment({ orderId, amountCents: totalCents })),
        undoneBy: "cancel-payment",
        explain: (refusal) => (refusal._tag === "CaptureRefused" ? { code: refusal.reason, detail: null } : undefined)
      })
      .forward("confirm-order", {
        // Null where somebody did it by hand.
        result: Schema.NullOr(OrderConfirmed),
        run: ({ input: { orderId } }) => OrdersClient.use((orders) => orders.confirmOrder({ orderId }))
      })
)

const linesOf = ([first, ...others]: AuthorizedOrder["items"]) => [lineOf(first), ...others.map(lineOf)] as const

/** Inventory knows nothing of prices. */
const lineOf = ({ productId, quantity }: AuthorizedOrder["items"][0]) => ({ productId, quantity })

const shortage = ({ items }: StockRefused) => ({
  code: items[0]?.reason ?? "stock_refused",
  detail: items
    .map(({ available, productId, reason, requested }) =>
      reason === "insufficient_stock"
        ? `${productId}: ${requested} wanted, ${available} left`
        : `${productId}: ${reason}`
    )
    .join("; ")
})
