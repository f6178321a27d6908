/**
 * Inventory over HTTP: one line an endpoint. The rules are in the nouns.
 */
import * as Http from "@ecommerce/chassis/Http"
import type * as Service from "@ecommerce/chassis/Service"
import type { StartupError } from "@ecommerce/chassis/StartupError"
import * as CommandServer from "@ecommerce/commands/CommandServer"
import { inventory, InventoryApi } from "@ecommerce/contracts/Inventory"
import { releaseStock, reserveStock } from "@ecommerce/contracts/Inventory/Reservations"
import { Feed } from "@ecommerce/outbox/Feed"
import { headerName, respond, tellToRetry } from "@ecommerce/protocol/Idempotency"
import { defaultLimit } from "@ecommerce/protocol/Page"
import { one, successes } from "@ecommerce/sets/Sets"
import { Effect, Layer } from "effect"
import { HttpApiBuilder } from "effect/http-api"

import { IdempotencyKeys } from "./IdempotencyKeys.ts"
import { availabilityOf, Products } from "./Products.ts"
import { Reservations } from "./Reservations.ts"
import { Stock } from "./Stock.ts"
import { StockLedger } from "./StockLedger.ts"

const products = HttpApiBuilder.group(
  InventoryApi,
  "products",
  Effect.fn(function* (handlers) {
    const products = yield* Products
    return handlers.handleAll({
      create: ({ payload }) => one(products.create([payload])),
      list: ({ query }) =>
        query.ids === undefined
          ? products.page({ after: query.cursor, limit: query.limit ?? defaultLimit })
          : Effect.map(products.find(query.ids), (found) => ({ products: successes(found), nextCursor: null })),
      get: ({ params }) => one(products.find([params.id])),
      change: ({ params, payload }) => one(products.change([{ id: params.id, change: payload }]))
    })
  })
)

const stock = HttpApiBuilder.group(
  InventoryApi,
  "stock",
  Effect.fn(function* (handlers) {
    const stock = yield* Stock
    const products = yield* Products
    return handlers.handleAll({
      adjust: ({ headers, params, payload }) =>
        one(stock.adjust([{ key: headers[headerName], productId: params.id, change: payload }])).pipe(
          Effect.map(respond),
          Effect.catchTag("RequestInProgress", tellToRetry)
        ),
      availability: ({ params }) => Effect.map(one(products.find([params.id])), availabilityOf)
    })
  })
)

const reservations = HttpApiBuilder.group(
  InventoryApi,
  "reservations",
  Effect.fn(function* (handlers) {
    const reservations = yield* Reservations
    return handlers.handleAll({ get: ({ params }) => one(reservations.find([params.orderId])) })
  })
)

const commands = HttpApiBuilder.group(
  InventoryApi,
  "commands",
  Effect.fn(function* (handlers) {
    const reservations = yield* Reservations
    return handlers.handleAll({
      "reserve-stock": CommandServer.handler(reserveStock, reservations.reserve),
      "release-stock": CommandServer.handler(releaseStock, reservations.release)
    })
  })
)

const feed = HttpApiBuilder.group(InventoryApi, "feed", (handlers) =>
  Effect.map(Feed, ({ read }) => handlers.handle("read", ({ query }) => read(query)))
)

/** The nouns of inventory, over a database. */
export const nouns = Layer.mergeAll(Products.layer, Stock.layer, Reservations.layer).pipe(
  Layer.provideMerge(Layer.mergeAll(StockLedger.layer, IdempotencyKeys.layer))
)

/** The service as the chassis and the tests run it. */
export const definition = {
  place: inventory,
  routes: Http.routes(InventoryApi).pipe(
    Layer.provide([products, stock, reservations, commands, feed]),
    Layer.merge(IdempotencyKeys.layerCleaner),
    Layer.provide(nouns)
  )
} satisfies Service.Definition<StartupError>
