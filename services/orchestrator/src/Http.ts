/**
 * The orchestrator over HTTP: one line an endpoint. The rules are in the nouns.
 */
import * as Http from "@ecommerce/chassis/Http"
import type * as Service from "@ecommerce/chassis/Service"
import type { StartupError } from "@ecommerce/chassis/StartupError"
import { orchestrator, OrchestratorApi } from "@ecommerce/contracts/Orchestrator"
import { Feed } from "@ecommerce/outbox/Feed"
import { Effect, Layer } from "effect"
import { HttpApiBuilder } from "effect/http-api"

const feed = HttpApiBuilder.group(OrchestratorApi, "feed", (handlers) =>
  Effect.map(Feed, ({ read }) => handlers.handle("read", ({ query }) => read(query)))
)

/** The service as the chassis and the tests run it. */
export const definition = {
  place: orchestrator,
  routes: Http.routes(OrchestratorApi).pipe(Layer.provide(feed))
} satisfies Service.Definition<StartupError>
