/**
 * What the orchestrator offers: a feed of what becomes of orders, and a desk for operators.
 */
import type * as CommandClient from "@ecommerce/commands/CommandClient"
import * as Consumer from "@ecommerce/outbox/Consumer"
import { feedGroup } from "@ecommerce/outbox/FeedEndpoint"
import type { Place } from "@ecommerce/protocol/Place"
import { strictParsing, Validation } from "@ecommerce/protocol/Validation"
import { Context, Effect, Layer } from "effect"
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

/** The orchestrator as other services hear of it. */
export class OrchestratorClient extends Context.Service<OrchestratorClient>()(
  "@ecommerce/contracts/OrchestratorClient",
  {
    make: (server: CommandClient.Server) =>
      Effect.all({
        /** What the orchestrator tells, used once and in order: for tables of the service that asks. */
        consume: Consumer.of(server)
      })
  }
) {
  static readonly layer = (server: CommandClient.Server) =>
    Layer.effect(OrchestratorClient, OrchestratorClient.make(server))
}
