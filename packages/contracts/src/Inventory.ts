/**
 * What inventory offers: the catalogue of products, their stock, and a look at reservations.
 */
import * as CommandClient from "@ecommerce/commands/CommandClient"
import * as Consumer from "@ecommerce/outbox/Consumer"
import { feedGroup } from "@ecommerce/outbox/FeedEndpoint"
import type { Place } from "@ecommerce/protocol/Place"
import { strictParsing, Validation } from "@ecommerce/protocol/Validation"
import { Context, Effect, Layer } from "effect"
import { HttpClient } from "effect/http"
import { HttpApi, HttpApiClient, OpenApi } from "effect/http-api"

import type { ProductId } from "./Ids.ts"
import { productsGroup } from "./Inventory/Products.ts"
import { commandsGroup, releaseStock, reservationsGroup, reserveStock } from "./Inventory/Reservations.ts"
import { stockGroup } from "./Inventory/Stock.ts"

export const inventory: Place = { name: "inventory", port: 3001 }

export class InventoryApi extends HttpApi.make("inventory")
  .add(productsGroup)
  .add(stockGroup)
  .add(reservationsGroup)
  .add(commandsGroup)
  .add(feedGroup)
  .middleware(Validation)
  .annotateMerge(strictParsing)
  .annotateMerge(
    OpenApi.annotations({ title: "Inventory", version: "0.1.0", description: "Products, stock and reservations." })
  ) {}

/** Inventory as other services ask it: `inventory.reserveStock({ orderId, items })`. */
export class InventoryClient extends Context.Service<InventoryClient>()("@ecommerce/contracts/InventoryClient", {
  make: Effect.fnUntraced(function* (server: CommandClient.Server) {
    const to = CommandClient.to(server)
    const httpClient = yield* HttpClient.HttpClient
    const list = yield* HttpApiClient.endpoint(InventoryApi, {
      httpClient,
      baseUrl: server.url,
      group: "products",
      endpoint: "list"
    })
    return {
      reserveStock: yield* to(reserveStock),
      releaseStock: yield* to(releaseStock),
      /** Up to a hundred by their ids; those that do not exist are left out. */
      findProducts: (ids: ReadonlyArray<ProductId>) => Effect.map(list({ query: { ids } }), ({ products }) => products),
      /** What inventory tells, used once and in order: for tables of the service that asks. */
      consume: yield* Consumer.of(server)
    }
  })
}) {
  static readonly layer = (server: CommandClient.Server) => Layer.effect(InventoryClient, InventoryClient.make(server))
}
