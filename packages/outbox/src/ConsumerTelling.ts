/**
 * What a consumer tells of itself: each event's use in the trace of what it tells of, and how many came together.
 */
import { spanOf } from "@ecommerce/protocol/Traceparent"
import * as Trace from "@ecommerce/telemetry/Trace"
import { Effect, Metric, Option } from "effect"

import type { CloudEvent } from "./FeedEndpoint.ts"

const batchSize = Metric.histogram("feed_batch_size", {
  description: "How many events a consumer has used in one transaction.",
  boundaries: [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1000]
})

const deadLetters = Metric.gauge("feed_dead_letters", {
  description: "Events that a consumer could not use and has put aside.",
  attributes: { unit: "{event}" }
})

export const tellDeadLetters = (consumer: string, count: number) =>
  Metric.update(Metric.withAttributes(deadLetters, { consumer }), count)

/** The events' use, which is one transaction, told under each of them. */
export const inTheirTraces =
  (consumer: string, events: ReadonlyArray<CloudEvent>) =>
  <A, E, R>(use: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> => {
    if (events.length === 0) return use
    const parents = events.map(({ traceparent }) => Option.getOrUndefined(spanOf(traceparent ?? null)))
    const items = events.map(({ data, id, source, type, version }, place) => ({
      parent: parents[place],
      name: `${consumer} ${type}`,
      attributes: {
        "messaging.system": "outbox",
        "messaging.operation.type": "process",
        "messaging.destination.name": source,
        "messaging.consumer.group.name": consumer,
        "messaging.message.id": id,
        "event.type": type,
        "event.version": version,
        ...Trace.idsIn(data)
      }
    }))
    return Trace.together(
      `${consumer} batch`,
      parents
    )(Trace.eachOf("consumer", items)(use)).pipe(
      Effect.tap(Metric.update(Metric.withAttributes(batchSize, { consumer }), events.length))
    )
  }
