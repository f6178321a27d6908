/**
 * Orders over HTTP: one line an endpoint. The rules are in the nouns.
 */
import * as Http from "@ecommerce/chassis/Http"
import type * as Service from "@ecommerce/chassis/Service"
import type { StartupError } from "@ecommerce/chassis/StartupError"
import * as CommandServer from "@ecommerce/commands/CommandServer"
import { orders, OrdersApi } from "@ecommerce/contracts/Orders"
import { cancelOrder, confirmOrder, createOrder } from "@ecommerce/contracts/Orders/Lifecycle"
import { Feed } from "@ecommerce/outbox/Feed"
import { defaultLimit } from "@ecommerce/protocol/Page"
import { one } from "@ecommerce/sets/Sets"
import { Effect, Layer } from "effect"
import { HttpApiBuilder } from "effect/http-api"

import { Lifecycle } from "./Lifecycle.ts"
import { Orders } from "./Orders.ts"

const records = HttpApiBuilder.group(
  OrdersApi,
  "orders",
  Effect.fn(function* (handlers) {
    const orders = yield* Orders
    return handlers.handleAll({
      list: ({ query }) =>
        orders.page({ userId: query.user_id, before: query.cursor, limit: query.limit ?? defaultLimit }),
      get: ({ params }) => one(orders.find([params.id]))
    })
  })
)

const commands = HttpApiBuilder.group(
  OrdersApi,
  "commands",
  Effect.fn(function* (handlers) {
    const lifecycle = yield* Lifecycle
    return handlers.handleAll({
      "create-order": CommandServer.handler(createOrder, lifecycle.create),
      "confirm-order": CommandServer.handler(confirmOrder, lifecycle.confirm),
      "cancel-order": CommandServer.handler(cancelOrder, lifecycle.cancel)
    })
  })
)

const feed = HttpApiBuilder.group(OrdersApi, "feed", (handlers) =>
  Effect.map(Feed, ({ read }) => handlers.handle("read", ({ query }) => read(query)))
)

/** The nouns of orders, over a database. */
export const nouns = Layer.merge(Lifecycle.layer, Orders.layer)

/** The service as the chassis and the tests run it. */
export const definition = {
  place: orders,
  routes: Http.routes(OrdersApi).pipe(Layer.provide([records, commands, feed]), Layer.provide(nouns))
} satisfies Service.Definition<StartupError>
