/**
 * What the orders service offers: commands that bring an order through its life, and a look at orders.
 */
import type { Place } from "@ecommerce/protocol/Place"
import { strictParsing, Validation } from "@ecommerce/protocol/Validation"
import { HttpApi, OpenApi } from "effect/http-api"

import { commandsGroup } from "./Orders/Lifecycle.ts"
import { ordersGroup } from "./Orders/Orders.ts"

export const orders: Place = { name: "orders", port: 3003 }

export class OrdersApi extends HttpApi.make("orders")
  .add(ordersGroup)
  .add(commandsGroup)
  .middleware(Validation)
  .annotateMerge(strictParsing)
  .annotateMerge(
    OpenApi.annotations({ title: "Orders", version: "0.1.0", description: "Order records and their lifecycle." })
  ) {}
