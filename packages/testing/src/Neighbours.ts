/**
 * The services that the tested one asks, in the same process: real ones, each behind a relay that a test can close. Of the
 * orchestrator there is only the feed: tests of one service say themselves what becomes of sagas.
 *
 * A service's tests may not know other services; this is the workshop, which may.
 */
import type * as Service from "@ecommerce/chassis/Service"
import { orchestrator } from "@ecommerce/contracts/Orchestrator"
import { definition as inventory } from "@ecommerce/inventory/Http"
import { definition as payment } from "@ecommerce/payment/Http"
import { Context, Effect, Layer } from "effect"
import { HttpServer } from "effect/http"

import * as Relay from "./Relay.ts"
import * as Teller from "./Teller.ts"
import * as TestService from "./TestService.ts"

export interface Neighbour {
  /** Past the relay: for the test itself. */
  readonly url: string
  readonly relay: Relay.Relay
}

export class Neighbours extends Context.Service<
  Neighbours,
  { readonly inventory: Neighbour; readonly payment: Neighbour; readonly orchestrator: Neighbour & Teller.Teller }
>()("@ecommerce/testing/Neighbours") {
  /** Inventory, the orchestrator's feed, and payment with a pretend processor that is quick and always there unless told otherwise. */
  static readonly layer = (settings: Readonly<Record<string, string>> = {}) =>
    Layer.effect(
      Neighbours,
      Effect.gen(function* () {
        const teller = yield* Teller.make(orchestrator)
        return Neighbours.of({
          orchestrator: { ...teller, relay: yield* Relay.make(teller.url) },
          inventory: yield* run(inventory, settings),
          payment: yield* run(payment, { ...promptProcessor, ...settings })
        })
      })
    )

  /** The settings with which a service finds them. */
  static readonly settings = Effect.map(Neighbours, ({ inventory, orchestrator, payment }) => ({
    INVENTORY_URL: inventory.relay.url,
    ORCHESTRATOR_URL: orchestrator.relay.url,
    PAYMENT_URL: payment.relay.url
  }))
}

const promptProcessor = { MOCK_LATENCY_MS: "0", MOCK_FAILURE_RATE: "0" }

const run = Effect.fnUntraced(function* <E>(
  definition: Service.Definition<E>,
  settings: Readonly<Record<string, string>>
) {
  const context = yield* Layer.build(TestService.layer(definition, settings))
  const url = yield* Effect.provide(HttpServer.addressFormattedWith(Effect.succeed), context)
  return { url, relay: yield* Relay.make(url) } satisfies Neighbour
})
