/**
 * What edge offers to customers: placing orders, and seeing what becomes of them.
 */
import type * as CommandClient from "@ecommerce/commands/CommandClient"
import * as Consumer from "@ecommerce/outbox/Consumer"
import { feedGroup } from "@ecommerce/outbox/FeedEndpoint"
import type { Place } from "@ecommerce/protocol/Place"
import { strictParsing, Validation } from "@ecommerce/protocol/Validation"
import { Context, Effect, Layer } from "effect"
import { HttpApi, OpenApi } from "effect/http-api"

import { cancellationGroup } from "./Edge/Cancellation.ts"
import { checkoutGroup } from "./Edge/Checkout.ts"
import { ledgerGroup } from "./Edge/Ledger.ts"

export const edge: Place = { name: "edge-api", port: 3000 }

export class EdgeApi extends HttpApi.make("edge")
  .add(checkoutGroup)
  .add(ledgerGroup)
  .add(cancellationGroup)
  .add(feedGroup)
  .middleware(Validation)
  .annotateMerge(strictParsing)
  .annotateMerge(
    OpenApi.annotations({ title: "Edge", version: "0.1.0", description: "Placing orders, and what becomes of them." })
  ) {}

/** Edge as other services hear of it. */
export class EdgeClient extends Context.Service<EdgeClient>()("@ecommerce/contracts/EdgeClient", {
  make: (server: CommandClient.Server) =>
    Effect.all({
      /** What edge tells, used once and in order: for tables of the service that asks. */
      consume: Consumer.of(server)
    })
}) {
  static readonly layer = (server: CommandClient.Server) => Layer.effect(EdgeClient, EdgeClient.make(server))
}
