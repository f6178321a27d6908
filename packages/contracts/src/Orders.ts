/**
 * What the orders service offers: commands that bring an order through its life, and a look at orders.
 */
import * as CommandClient from "@ecommerce/commands/CommandClient"
import { feedGroup } from "@ecommerce/outbox/FeedEndpoint"
import type { Place } from "@ecommerce/protocol/Place"
import { strictParsing, Validation } from "@ecommerce/protocol/Validation"
import { Context, Effect, Layer } from "effect"
import { HttpApi, OpenApi } from "effect/http-api"

import { cancelOrder, commandsGroup, confirmOrder, createOrder } from "./Orders/Lifecycle.ts"
import { ordersGroup } from "./Orders/Orders.ts"

export const orders: Place = { name: "orders", port: 3003 }

export class OrdersApi extends HttpApi.make("orders")
  .add(ordersGroup)
  .add(commandsGroup)
  .add(feedGroup)
  .middleware(Validation)
  .annotateMerge(strictParsing)
  .annotateMerge(
    OpenApi.annotations({ title: "Orders", version: "0.1.0", description: "Order records and their lifecycle." })
  ) {}

/** Orders as other services ask it: `orders.createOrder({ orderId, userId, email, items })`. */
export class OrdersClient extends Context.Service<OrdersClient>()("@ecommerce/contracts/OrdersClient", {
  make: (server: CommandClient.Server) => {
    const to = CommandClient.to(server)
    return Effect.all({ createOrder: to(createOrder), confirmOrder: to(confirmOrder), cancelOrder: to(cancelOrder) })
  }
}) {
  static readonly layer = (server: CommandClient.Server) => Layer.effect(OrdersClient, OrdersClient.make(server))
}
