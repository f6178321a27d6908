/**
 * Every service in the test's own process, over one database: real ones, each behind a relay that a test can close.
 */
import type * as Service from "@ecommerce/chassis/Service"
import * as ChassisSettings from "@ecommerce/chassis/Settings"
import { definition as edge } from "@ecommerce/edge-api/Http"
import { definition as inventory } from "@ecommerce/inventory/Http"
import { definition as orchestrator } from "@ecommerce/orchestrator/Http"
import { definition as orders } from "@ecommerce/orders/Http"
import { definition as payment } from "@ecommerce/payment/Http"
import { Context, Effect, Layer, Record } from "effect"
import { HttpServer } from "effect/http"

import * as Relay from "./Relay.ts"
import * as TestService from "./TestService.ts"

/** All of them, in an order in which they can begin. */
export const definitions = { inventory, payment, orders, orchestrator, "edge-api": edge } as const
export type Name = keyof typeof definitions
export const names: ReadonlyArray<Name> = Record.keys(definitions)

type Settings = Readonly<Record<string, string>>

export class WholeStack extends Context.Service<
  WholeStack,
  {
    /** Past the relays: for the test itself. */
    readonly urls: Readonly<Record<Name, string>>
    readonly relays: Readonly<Record<Name, Relay.Relay>>
    /** How one more of the services is told where the others are. */
    readonly settings: Settings
  }
>()("@ecommerce/testing/WholeStack") {
  /** With a pretend processor that is quick and always there, and the pauses of a test, unless told otherwise. */
  static readonly layer = (settings: Settings = {}) =>
    Layer.effect(
      WholeStack,
      Effect.gen(function* () {
        // Edge and the orchestrator hear of each other: their addresses have to be known before either is there.
        const relays = yield* Effect.all(Record.map(definitions, () => Relay.make(nowhere)))
        const addresses = Object.fromEntries(
          Object.entries(relays).map(([name, { url }]) => [ChassisSettings.keyOf(name, "URL"), url])
        )
        const all = { ...prompt, ...addresses, ...settings }
        const run = Effect.fnUntraced(function* <E>(definition: Service.Definition<E>, relay: Relay.Relay) {
          // Nothing of one service is shared with another.
          const context = yield* TestService.replica(definition, Effect.succeed(all))
          const url = yield* Effect.provide(HttpServer.addressFormattedWith(Effect.succeed), context)
          yield* relay.leadTo(url)
          return url
        })
        const urls = yield* Effect.all(Record.map(definitions, (definition, name) => run(definition, relays[name])))
        return WholeStack.of({ urls, relays, settings: all })
      })
    )
}

const nowhere = "http://127.0.0.1:1"

/** A pretend processor that is quick and always there, and the pauses of a test. */
export const prompt: Settings = {
  MOCK_LATENCY_MS: "0",
  MOCK_FAILURE_RATE: "0",
  // A slow machine is no processor that is away.
  PROCESSOR_TIMEOUT: "5 seconds",
  PROCESSOR_BREAKER_FAILURES: "1000",
  POLL_INTERVAL_MS: "50",
  RETRY_BASE_DELAY_MS: "50",
  RETRY_MAX_DELAY: "1 second",
  RATE_LIMIT: "1000000",
  LOG_LEVEL: "Error"
}

/** Another orchestrator beside the one that is there, for as long as the scope is open. */
export const anotherOrchestrator = (settings: Settings = {}) =>
  TestService.replica(
    orchestrator,
    Effect.map(WholeStack, (stack) => ({ ...stack.settings, ...settings }))
  )
