/**
 * What edge offers to customers: placing orders, and seeing what becomes of them.
 */
import { feedGroup } from "@ecommerce/outbox/FeedEndpoint"
import type { Place } from "@ecommerce/protocol/Place"
import { strictParsing, Validation } from "@ecommerce/protocol/Validation"
import { HttpApi, OpenApi } from "effect/http-api"

import { checkoutGroup } from "./Edge/Checkout.ts"
import { ledgerGroup } from "./Edge/Ledger.ts"

export const edge: Place = { name: "edge-api", port: 3000 }

export class EdgeApi extends HttpApi.make("edge")
  .add(checkoutGroup)
  .add(ledgerGroup)
  .add(feedGroup)
  .middleware(Validation)
  .annotateMerge(strictParsing)
  .annotateMerge(
    OpenApi.annotations({ title: "Edge", version: "0.1.0", description: "Placing orders, and what becomes of them." })
  ) {}
