/**
 * Keeps the ledger's states up to date with what the orchestrator tells of orders.
 *
 * The feed's order is that of transactions. In a batch the events of an order are put in theirs; what comes in a later batch and may
 * not follow where the order stands by then, late or again, is left out: no state is ever gone back to.
 */
import * as Feeds from "@ecommerce/chassis/Feeds"
import type { FailureReason, LedgerStatus } from "@ecommerce/contracts/Edge/Ledger"
import { OrchestratorClient } from "@ecommerce/contracts/Orchestrator"
import * as Events from "@ecommerce/contracts/Orchestrator/Events"
import { Effect, Layer, Option } from "effect"

import { Ledger, type SeenChange } from "./Ledger.ts"
import { Watch } from "./Watch.ts"

const events = Events.sagaStarted
  .or(Events.sagaAdvanced)
  .or(Events.sagaCompensating)
  .or(Events.sagaCompleted)
  .or(Events.sagaFailed)
  .or(Events.sagaCancelled)

type SagaEvent = Option.Option.Value<ReturnType<typeof delivered>>
const delivered = (event: Parameters<typeof events.deliver>[0]) => Option.getSuccess(events.deliver(event))

/** What a step of place-order makes of the order. */
const statusAfter = new Map<string, LedgerStatus>([
  ["create-order", "ORDER_CREATED"],
  ["reserve-stock", "INVENTORY_RESERVED"],
  ["capture-payment", "PAYMENT_CAPTURED"]
])

const cancelled: FailureReason = { code: "cancelled", detail: null }

const isTakingBack = ({ data }: SagaEvent) => data.definition === "cancel-order"

/** The state that an event tells of, where it tells of one. */
const stateIn = (event: SagaEvent): Pick<SeenChange, "status" | "reason"> | undefined => {
  if (isTakingBack(event)) {
    if (event.type === "saga.started") return { status: "COMPENSATING", reason: cancelled }
    return event.type === "saga.completed" ? { status: "CANCELLED", reason: cancelled } : undefined
  }
  switch (event.type) {
    case "saga.started": {
      return undefined
    }
    case "saga.advanced": {
      const status = statusAfter.get(event.data.step)
      return status === undefined ? undefined : { status, reason: null }
    }
    case "saga.compensating": {
      return { status: "COMPENSATING", reason: event.data.reason }
    }
    case "saga.completed": {
      return { status: "COMPLETED", reason: null }
    }
    case "saga.failed": {
      return { status: "FAILED", reason: event.data.reason }
    }
    case "saga.cancelled": {
      return { status: "CANCELLED", reason: event.data.reason }
    }
  }
}

/** As it happened: versions order the events of a saga, and what is taken back was placed before. */
const inOrder = (told: ReadonlyArray<SagaEvent>) =>
  told.toSorted((a, b) => Number(isTakingBack(a)) - Number(isTakingBack(b)) || a.version - b.version)

const changeIn = (event: SagaEvent): ReadonlyArray<SeenChange> => {
  const state = stateIn(event)
  return state === undefined ? [] : [{ ...state, orderId: event.data.orderId, at: event.time }]
}

export const layer = Layer.unwrap(
  Effect.gen(function* () {
    const ledger = yield* Ledger
    const watch = yield* Watch
    const orchestrator = yield* OrchestratorClient
    const consumer = yield* orchestrator.consume({
      name: "edge-api.sagas",
      events,
      apply: (told) => ledger.follow(inOrder(told).flatMap(changeIn)),
      // Whoever follows these orders need not wait for the next look.
      committed: (changed) =>
        Effect.sync(() => {
          for (const at of changed) watch.tell(at)
        })
    })
    return Feeds.layerConsumer(consumer)
  })
)
