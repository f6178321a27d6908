/**
 * Tells others what becomes of sagas: each piece of news is an event in the outbox, in the transaction that made it so.
 */
import type { FailureReason } from "@ecommerce/contracts/Edge/Ledger"
import { OrderId } from "@ecommerce/contracts/Ids"
import * as Events from "@ecommerce/contracts/Orchestrator/Events"
import type { NewEvent } from "@ecommerce/outbox/Event"
import * as Outbox from "@ecommerce/outbox/Outbox"
import type { Told } from "@ecommerce/saga/SagaStore"
import { Schema } from "effect"

export const announce = (told: ReadonlyArray<Told>) => Outbox.append(told.map(eventOf))

const decodeName = Schema.decodeUnknownSync(Events.Definition)

const eventOf = ({ definition, key, reason, sagaId, step, traceparent, type, version }: Told): NewEvent => {
  const about = { subject: sagaId, version, traceparent }
  const saga = { sagaId, definition: decodeName(definition), orderId: OrderId.make(key) }
  const why: FailureReason = reason ?? { code: type, detail: null }
  switch (type) {
    case "started": {
      return Events.sagaStarted.of({ ...about, data: saga })
    }
    case "advanced": {
      return Events.sagaAdvanced.of({ ...about, data: { ...saga, step: step ?? "" } })
    }
    case "compensating": {
      return Events.sagaCompensating.of({ ...about, data: { ...saga, reason: why } })
    }
    case "completed": {
      return Events.sagaCompleted.of({ ...about, data: saga })
    }
    case "failed": {
      return Events.sagaFailed.of({ ...about, data: { ...saga, reason: why } })
    }
    case "cancelled": {
      return Events.sagaCancelled.of({ ...about, data: { ...saga, reason: why } })
    }
    case "stuck": {
      return Events.sagaStuck.of({ ...about, data: { ...saga, step: step ?? "", reason: why } })
    }
  }
}
