/**
 * Taking back an order that was completed: the money first, which is what the customer waits for. There is no way back from
 * this, only forward. A result is null where somebody did a step by hand.
 */
import { OrderId } from "@ecommerce/contracts/Ids"
import { InventoryClient } from "@ecommerce/contracts/Inventory"
import { StockReleased } from "@ecommerce/contracts/Inventory/Reservations"
import { OrdersClient } from "@ecommerce/contracts/Orders"
import { OrderCancelled } from "@ecommerce/contracts/Orders/Lifecycle"
import { PaymentClient } from "@ecommerce/contracts/Payment"
import { PaymentReturned } from "@ecommerce/contracts/Payment/Commands"
import * as Saga from "@ecommerce/saga/Saga"
import { Schema } from "effect"

export const cancelOrder = Saga.make(
  "cancel-order",
  { version: 1, input: Schema.Struct({ orderId: OrderId }), key: ({ orderId }) => orderId },
  (story) =>
    story
      .forward("refund-payment", {
        result: Schema.NullOr(PaymentReturned),
        run: ({ input: { orderId } }) => PaymentClient.use((payment) => payment.cancelPayment({ orderId }))
      })
      .forward("restock", {
        result: Schema.NullOr(StockReleased),
        run: ({ input: { orderId } }) => InventoryClient.use((inventory) => inventory.releaseStock({ orderId }))
      })
      .forward("cancel-order", {
        result: Schema.NullOr(OrderCancelled),
        run: ({ input: { orderId } }) =>
          OrdersClient.use((orders) => orders.cancelOrder({ orderId, reason: "The customer cancelled it." }))
      })
)
