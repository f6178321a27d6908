/**
 * The orchestrator over HTTP: one line an endpoint. The rules are in the nouns.
 */
import * as Database from "@ecommerce/chassis/Database"
import * as Http from "@ecommerce/chassis/Http"
import type * as Service from "@ecommerce/chassis/Service"
import * as Settings from "@ecommerce/chassis/Settings"
import type { StartupError } from "@ecommerce/chassis/StartupError"
import { edge, EdgeClient } from "@ecommerce/contracts/Edge"
import { inventory, InventoryClient } from "@ecommerce/contracts/Inventory"
import { orchestrator, OrchestratorApi } from "@ecommerce/contracts/Orchestrator"
import { NoDeadLetters } from "@ecommerce/contracts/Orchestrator/DeadLetters"
import { orders, OrdersClient } from "@ecommerce/contracts/Orders"
import { payment, PaymentClient } from "@ecommerce/contracts/Payment"
import { Feed } from "@ecommerce/outbox/Feed"
import * as FeedDesk from "@ecommerce/outbox/FeedDesk"
import { defaultLimit } from "@ecommerce/protocol/Page"
import { diagram } from "@ecommerce/saga/Saga"
import { SagaDesk } from "@ecommerce/saga/SagaDesk"
import { NodeHttpClient } from "@effect/platform-node"
import { Effect, Layer } from "effect"
import { HttpApiBuilder } from "effect/http-api"

import * as Intake from "./Intake.ts"
import { Operations } from "./Operations.ts"
import * as Sagas from "./Sagas.ts"

const sagas = HttpApiBuilder.group(
  OrchestratorApi,
  "sagas",
  Effect.fn(function* (handlers) {
    const desk = yield* SagaDesk
    const operations = yield* Operations
    return handlers.handleAll({
      list: ({ query }) => operations.page(query.state ?? "OPEN", query.limit ?? defaultLimit, query.cursor),
      ofOrder: ({ params }) => Effect.map(Database.dies(desk.ofKey(params.orderId)), (sagas) => ({ sagas })),
      get: ({ params }) => Database.dies(desk.find(params.id)),
      retry: ({ params }) => operations.retry(params.id),
      cancel: ({ params }) => operations.cancel(params.id),
      resolve: ({ params, payload }) => operations.resolve({ ...payload, id: params.id }),
      diagrams: () =>
        Effect.succeed(
          Sagas.definitions.map((one) => ({ definition: one.name, version: one.version, mermaid: diagram(one) }))
        )
    })
  })
)

const deadLetters = HttpApiBuilder.group(
  OrchestratorApi,
  "deadLetters",
  Effect.fn(function* (handlers) {
    const desk = yield* FeedDesk.make
    return handlers.handleAll({
      list: () => Effect.map(Database.dies(desk.letters), (deadLetters) => ({ deadLetters })),
      redrive: Effect.fnUntraced(function* ({ params: { consumer } }) {
        const count = yield* Effect.orDie(desk.redrive(consumer))
        return count === 0 ? yield* new NoDeadLetters({ consumer }) : { consumer, count }
      })
    })
  })
)

const feed = HttpApiBuilder.group(OrchestratorApi, "feed", (handlers) =>
  Effect.map(Feed, ({ read }) => handlers.handle("read", ({ query }) => read(query)))
)

/** The services that the orchestrator asks, and the one that it hears of orders from. */
const neighbours = Layer.unwrap(
  Effect.gen(function* () {
    const token = yield* Settings.ownServiceToken
    return Layer.mergeAll(
      EdgeClient.layer({ url: yield* Settings.serviceUrl(edge).read, token }),
      InventoryClient.layer({ url: yield* Settings.serviceUrl(inventory).read, token }),
      OrdersClient.layer({ url: yield* Settings.serviceUrl(orders).read, token }),
      PaymentClient.layer({ url: yield* Settings.serviceUrl(payment).read, token })
    )
  })
).pipe(Layer.provide(NodeHttpClient.layerUndici))

/** The nouns of the orchestrator, over a database and the services that it asks. */
export const nouns = Operations.layer.pipe(
  Layer.provideMerge(Layer.merge(Sagas.layer, Sagas.desk)),
  Layer.provideMerge(neighbours)
)

/** The service as the chassis and the tests run it. */
export const definition = {
  place: orchestrator,
  routes: Http.routes(OrchestratorApi).pipe(
    Layer.provide([sagas, deadLetters, feed]),
    Layer.merge(Layer.merge(Sagas.layerWorkers, Intake.layer)),
    Layer.provide(nouns)
  )
} satisfies Service.Definition<StartupError>
