/**
 * Brings to an end what nobody works on any more.
 *
 * - An order without an answer whose lease has run out: whoever worked on it is gone. It is settled as its request would have
 *   been, under the same key.
 * - An order whose client was told that payment cannot be reached, and who has not come back for a while: it is given up,
 *   so that a customer who ordered again under another key does not get two.
 * - The answers to requests, when they have been kept long enough.
 */
import * as Settings from "@ecommerce/chassis/Settings"
import * as Worker from "@ecommerce/chassis/Worker"
import * as Traceparent from "@ecommerce/protocol/Traceparent"
import * as Trace from "@ecommerce/telemetry/Trace"
import { Duration, Effect, Layer, Option } from "effect"

import { Checkouts } from "./Checkouts.ts"
import type { OpenOrder } from "./Checkouts/Requests.ts"
import { Settlement } from "./Settlement.ts"

const sweepEvery = Settings.duration(
  "SWEEP_EVERY",
  "1 second",
  "How often it is looked for orders that nobody works on."
)

const giveUpAfter = Settings.duration(
  "GIVE_UP_AFTER",
  "15 minutes",
  "How long an order waits for its client after payment could not be reached."
)

export const layer = Layer.unwrap(
  Effect.gen(function* () {
    const checkouts = yield* Checkouts
    const settlement = yield* Settlement
    const every = yield* sweepEvery.read
    const patience = yield* giveUpAfter.read
    const age = yield* Settings.idempotencyKeep.read

    const settleAbandoned = Effect.fn("Sweeper.settleAbandoned")(function* () {
      const orders = yield* checkouts.takeDue("OPEN", Duration.zero)
      yield* Effect.forEach(orders, (order) => inItsTrace(order)(settlement.settle(order)), {
        concurrency: "unbounded"
      })
      if (orders.length > 0)
        yield* Effect.logInfo(`${orders.length} orders were taken over: nobody worked on them any more`)
    })

    const giveUpUnclaimed = Effect.fn("Sweeper.giveUpUnclaimed")(function* () {
      const unclaimed = yield* checkouts.takeDue("MARKED", patience)
      const unfinished = yield* checkouts.takeDue("LAPSING", Duration.zero)
      yield* Effect.forEach([...unclaimed, ...unfinished], (order) => inItsTrace(order)(settlement.giveUp(order)), {
        concurrency: "unbounded"
      })
    })

    // In portions, so that no transaction is long; until one is not full.
    const forget = Effect.repeat(checkouts.forget(age), { until: (forgotten) => forgotten === 0 })

    return Layer.mergeAll(
      Worker.layer("abandoned orders", settleAbandoned(), { every }),
      Worker.layer("unclaimed orders", giveUpUnclaimed(), { every }),
      Worker.layer("idempotency-keys", Effect.asVoid(forget), { every: "1 minute" })
    )
  })
)

/** Found by a loop, which is not told of; what is done for an order is. */
const inItsTrace =
  ({ orderId, traceparent }: OpenOrder) =>
  <A, E, R>(work: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Trace.told(
      Trace.within(Option.getOrUndefined(Traceparent.spanOf(traceparent)))(
        Trace.span("order taken up again", () => ({ attributes: { "order.id": orderId } }))(work)
      )
    )
