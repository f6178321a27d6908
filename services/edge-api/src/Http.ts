/**
 * Edge over HTTP: one line an endpoint. The rules are in the nouns.
 */
import * as Http from "@ecommerce/chassis/Http"
import type * as Service from "@ecommerce/chassis/Service"
import * as Settings from "@ecommerce/chassis/Settings"
import type { StartupError } from "@ecommerce/chassis/StartupError"
import { edge, EdgeApi } from "@ecommerce/contracts/Edge"
import { inventory, InventoryClient } from "@ecommerce/contracts/Inventory"
import { orchestrator, OrchestratorClient } from "@ecommerce/contracts/Orchestrator"
import { payment, PaymentClient } from "@ecommerce/contracts/Payment"
import { Feed } from "@ecommerce/outbox/Feed"
import { headerName, tellToRetry, tellToRetryAfter } from "@ecommerce/protocol/Idempotency"
import { defaultLimit } from "@ecommerce/protocol/Page"
import { one } from "@ecommerce/sets/Sets"
import { NodeHttpClient } from "@effect/platform-node"
import { Effect, Layer } from "effect"
import { HttpEffect, HttpServerResponse } from "effect/http"
import { HttpApiBuilder } from "effect/http-api"

import { Cancellations } from "./Cancellations.ts"
import { Checkout } from "./Checkout.ts"
import { Checkouts } from "./Checkouts.ts"
import { Following } from "./Following.ts"
import { Ledger } from "./Ledger.ts"
import * as Preference from "./Preference.ts"
import * as PriceFeed from "./PriceFeed.ts"
import { Prices } from "./Prices.ts"
import * as SagaFeed from "./SagaFeed.ts"
import { Settlement } from "./Settlement.ts"
import * as Sweeper from "./Sweeper.ts"
import { Watch } from "./Watch.ts"

const checkout = HttpApiBuilder.group(
  EdgeApi,
  "checkout",
  Effect.fn(function* (handlers) {
    const checkout = yield* Checkout
    const following = yield* Following
    return handlers.handleAll({
      place: ({ headers, payload: order }) =>
        checkout.place({ key: headers[headerName], order }).pipe(
          Effect.flatMap((placed) => Preference.answer(placed, headers.prefer, following)),
          Effect.catchTags({ RequestInProgress: tellToRetry, PaymentUnavailable: tellToRetryAfter(breakerPause) })
        )
    })
  })
)

/** For so many seconds payment asks its processor nothing when it could not be reached again and again. */
const breakerPause = 5

const ledger = HttpApiBuilder.group(
  EdgeApi,
  "ledger",
  Effect.fn(function* (handlers) {
    const ledger = yield* Ledger
    const following = yield* Following
    return handlers.handleAll({
      list: ({ query }) =>
        ledger.page({ userId: query.user_id, before: query.cursor, limit: query.limit ?? defaultLimit }),
      get: ({ params }) => one(ledger.find([params.id])),
      events: ({ headers, params }) =>
        Effect.tap(following.follow({ orderId: params.id, version: Number(headers["last-event-id"] ?? 0) }), unbuffered)
    })
  })
)

const cancellation = HttpApiBuilder.group(
  EdgeApi,
  "cancellation",
  Effect.fn(function* (handlers) {
    const cancellations = yield* Cancellations
    return handlers.handleAll({
      cancel: ({ params }) =>
        one(cancellations.request([params.id])).pipe(Effect.catchTag("OrderNotAuthorizedYet", tellToRetry))
    })
  })
)

const feed = HttpApiBuilder.group(EdgeApi, "feed", (handlers) =>
  Effect.map(Feed, ({ read }) => handlers.handle("read", ({ query }) => read(query)))
)

/** Proxies on the way would keep what they have until there is more of it. */
const unbuffered = HttpEffect.appendPreResponseHandler((_request, response) =>
  Effect.succeed(HttpServerResponse.setHeaders(response, { "cache-control": "no-cache", "x-accel-buffering": "no" }))
)

/** The services that edge asks, and hears of. */
const neighbours = Layer.unwrap(
  Effect.gen(function* () {
    const token = yield* Settings.ownServiceToken
    const inventoryUrl = yield* Settings.serviceUrl(inventory).read
    const paymentUrl = yield* Settings.serviceUrl(payment).read
    return Layer.mergeAll(
      InventoryClient.layer({ url: inventoryUrl, token }),
      OrchestratorClient.layer({ url: yield* Settings.serviceUrl(orchestrator).read, token }),
      // A batch that takes longer than this is asked for again under the same keys.
      PaymentClient.layer({ url: paymentUrl, token, timeout: "3 seconds" })
    )
  })
).pipe(Layer.provide(NodeHttpClient.layerUndici))

/** The nouns of edge, over a database and the services that it asks. */
export const nouns = Layer.mergeAll(Checkout.layer, Following.layer, Cancellations.layer).pipe(
  Layer.provideMerge(Settlement.layer),
  Layer.provideMerge(Layer.merge(Checkouts.layer, Prices.layer)),
  Layer.provideMerge(Layer.merge(Ledger.layer, Watch.layer)),
  Layer.provideMerge(neighbours)
)

/** The service as the chassis and the tests run it. */
export const definition = {
  place: edge,
  routes: Http.routes(EdgeApi).pipe(
    Layer.provide([checkout, ledger, cancellation, feed]),
    Layer.merge(Layer.mergeAll(Sweeper.layer, Watch.layerLookout, PriceFeed.layer, SagaFeed.layer)),
    Layer.provide(nouns)
  )
} satisfies Service.Definition<StartupError>
