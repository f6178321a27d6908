/**
 * Keeps the copy of prices up to date with inventory's feed.
 */
import * as Feeds from "@ecommerce/chassis/Feeds"
import { Health } from "@ecommerce/chassis/Health"
import { InventoryClient } from "@ecommerce/contracts/Inventory"
import { productCreated, productUpdated } from "@ecommerce/contracts/Inventory/Events"
import { Effect, Layer } from "effect"

import { Prices } from "./Prices.ts"

export const layer = Layer.unwrap(
  Effect.gen(function* () {
    const prices = yield* Prices
    const inventory = yield* InventoryClient
    const consumer = yield* inventory.consume({
      name: "edge-api.prices",
      events: productCreated.or(productUpdated),
      apply: (events) => prices.learn(events.map(({ data }) => data)),
      // What is unknown is asked for.
      forget: prices.forget,
      // Well below the age up to which prices are good: an answer, also one without news, says that there was no other.
      waitSeconds: 1
    })
    yield* prices.trust(Effect.map(consumer.state, ({ caughtUpAt }) => caughtUpAt))
    const health = yield* Health
    // The consumer may be well while an event that it could not use keeps the copy from being trusted.
    yield* health.register({
      name: "prices",
      run: Effect.map(prices.isUpToDate, (isUpToDate) => (isUpToDate ? "ok" : "are asked for"))
    })
    return Feeds.layerConsumer(consumer)
  })
)
