/**
 * What the orchestrator offers: a feed of what becomes of orders, and a desk for operators.
 */
import { feedGroup } from "@ecommerce/outbox/FeedEndpoint"
import type { Place } from "@ecommerce/protocol/Place"
import { strictParsing, Validation } from "@ecommerce/protocol/Validation"
import { HttpApi, OpenApi } from "effect/http-api"

import { deadLettersGroup } from "./Orchestrator/DeadLetters.ts"
import { sagasGroup } from "./Orchestrator/Sagas.ts"

export const orchestrator: Place = { name: "orchestrator", port: 3004 }

export class OrchestratorApi extends HttpApi.make("orchestrator")
  .add(sagasGroup)
  .add(deadLettersGroup)
  .add(feedGroup)
  .middleware(Validation)
  .annotateMerge(strictParsing)
  .annotateMerge(
    OpenApi.annotations({
      title: "Orchestrator",
      version: "0.1.0",
      description: "Brings every accepted order to its end."
    })
  ) {}
