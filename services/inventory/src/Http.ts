/**
 * Inventory over HTTP: one line an endpoint. The rules are in the nouns.
 */
import * as Http from "@ecommerce/chassis/Http"
import type * as Service from "@ecommerce/chassis/Service"
import { one, successes } from "@ecommerce/chassis/Sets"
import { inventory, InventoryApi } from "@ecommerce/contracts/Inventory"
import { defaultLimit } from "@ecommerce/protocol/Page"
import { Effect, Layer } from "effect"
import { HttpApiBuilder } from "effect/http-api"

import { Products } from "./Products.ts"

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

/** The service as the chassis and the tests run it. */
export const definition = {
  place: inventory,
  routes: Http.routes(InventoryApi).pipe(Layer.provide(products), Layer.provide(Products.layer))
} satisfies Service.Definition<never>
