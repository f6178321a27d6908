/**
 * Begins a saga for every order whose money is held, and turns it back where the customer wishes: by edge's feed, in the
 * transaction that moves the place in it.
 */
import * as Feeds from "@ecommerce/chassis/Feeds"
import { EdgeClient } from "@ecommerce/contracts/Edge"
import { orderAuthorized, orderCancelRequested } from "@ecommerce/contracts/Edge/Events"
import { SagaEngine } from "@ecommerce/saga/SagaEngine"
import { Effect, Layer } from "effect"

import { placeOrder } from "./PlaceOrder.ts"

export const layer = Layer.unwrap(
  Effect.gen(function* () {
    const edge = yield* EdgeClient
    const engine = yield* SagaEngine
    const consumer = yield* edge.consume({
      name: "orchestrator.orders",
      events: orderAuthorized.or(orderCancelRequested),
      apply: Effect.fnUntraced(function* (events) {
        const orders = events.filter((event) => event.type === "order.authorized")
        yield* engine.start(orders.map(({ data, traceparent }) => placeOrder.of(data, traceparent)))
        const cancels = events
          .filter((event) => event.type === "order.cancel_requested")
          .map(({ data }) => ({ definition: placeOrder.name, key: data.orderId }))
        if (cancels.length === 0) return
        const known = yield* engine.cancel(cancels)
        // It is put aside: what it belongs to may have been put aside as well, and both can be used again.
        if (known.length < new Set(cancels.map(({ key }) => key)).size) {
          return yield* Effect.die(new Error("An order is to be cancelled that nobody has told of"))
        }
      }),
      committed: () => engine.wake
    })
    return Feeds.layerConsumer(consumer)
  })
)
