/**
 * What the orchestrator tells of the sagas that bring orders to their end. The subject is the saga: an order that is cancelled
 * after its completion has two, `place-order` and then `cancel-order`.
 */
import * as Event from "@ecommerce/outbox/Event"
import { Schema } from "effect"

import { FailureReason } from "../Edge/Ledger.ts"
import { OrderId } from "../Ids.ts"

export const Definition = Schema.Literals(["place-order", "cancel-order"])
export type Definition = typeof Definition.Type

const ofSaga = { sagaId: Schema.String, definition: Definition, orderId: OrderId }
const Plain = Schema.Struct(ofSaga)
const withReason = Schema.Struct({ ...ofSaga, reason: FailureReason })

export const sagaStarted = Event.make("saga.started", Plain)

/** A step is done, and it was not the last one. */
export const sagaAdvanced = Event.make("saga.advanced", Schema.Struct({ ...ofSaga, step: Schema.String }))

/** What was done is being undone. */
export const sagaCompensating = Event.make("saga.compensating", withReason)

export const sagaCompleted = Event.make("saga.completed", Plain)

/** All is undone, because something could not be done. */
export const sagaFailed = Event.make("saga.failed", withReason)

/** All is undone, because the customer wished it. */
export const sagaCancelled = Event.make("saga.cancelled", withReason)

/** It does not get on by itself; once for each time. */
export const sagaStuck = Event.make(
  "saga.stuck",
  Schema.Struct({ ...ofSaga, step: Schema.String, reason: FailureReason })
)
