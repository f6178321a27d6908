/**
 * What a service does for its feed besides answering: it remembers how far its consumers are, deletes what nobody needs any
 * more, and says so when somebody falls behind. And the consumers that a service has itself.
 *
 * Whether the others are there makes no service unready: an absent consumer is no reason to take no more orders.
 */
import { Announcements } from "@ecommerce/outbox/Announcements"
import type * as Consumer from "@ecommerce/outbox/Consumer"
import { Feed, type Holder } from "@ecommerce/outbox/Feed"
import type { Lag } from "@ecommerce/outbox/FeedReaders"
import { DateTime, Duration, Effect, Layer, Metric, Ref } from "effect"

import { Gate } from "./Gate.ts"
import { Health } from "./Health.ts"
import * as Settings from "./Settings.ts"
import { Stopping } from "./Stopping.ts"
import * as Worker from "./Worker.ts"

const outboxKeep = Settings.duration(
  "OUTBOX_KEEP",
  "7 days",
  "How long events are kept at the least; those that a known consumer has not read are kept however old they are."
)

const feedAlarmAfter = Settings.duration(
  "FEED_ALARM_AFTER",
  "30 seconds",
  "How far behind a consumer may be before it is told of in the log."
)

/** The feed of the service with this name. */
export const layer = (source: string) =>
  Layer.unwrap(
    Effect.gen(function* () {
      const { aside } = yield* Gate
      const { begun: stopping } = yield* Stopping
      return Feed.layer({ source, aside, stopping })
    })
  )

const lagSeconds = Metric.gauge("feed_lag_seconds", {
  description: "The age of the oldest event that a consumer has not read.",
  attributes: { unit: "s" }
})

const heldSeconds = Metric.gauge("feed_horizon_held_seconds", {
  description:
    "For how long the oldest transaction that writes has been open: what was committed behind it waits for it.",
  attributes: { unit: "s" }
})

/** What there is to do in the background. */
export const layerWorkers = Layer.unwrap(
  Effect.gen(function* () {
    const feed = yield* Feed
    const health = yield* Health
    const age = yield* outboxKeep.read
    // Before anything is appended here, if the database is there; else as soon as it is.
    yield* Effect.ignore(Effect.timeout(feed.begin, "5 seconds"))
    const alarmAfter = Duration.toSeconds(yield* feedAlarmAfter.read)

    yield* health.register({
      name: "feed",
      run: Effect.map(
        Effect.orElseSucceed(feed.lags, () => []),
        (lags) =>
          lags.map(({ consumer, seconds }) => `${consumer} is ${Math.round(seconds)} s behind`).join(", ") || "ok"
      )
    })

    const measured = yield* Ref.make<ReadonlyArray<string>>([])
    const lastTold = yield* Ref.make({ names: "", at: yield* DateTime.now })

    const look = Effect.gen(function* () {
      const lags = yield* feed.lags
      yield* Effect.forEach(lags, ({ consumer, seconds }) =>
        Metric.update(Metric.withAttributes(lagSeconds, { consumer }), seconds)
      )
      // A gauge keeps its last value: one that was removed would be behind for ever.
      const present = lags.map(({ consumer }) => consumer)
      const gone = (yield* Ref.getAndSet(measured, present)).filter((consumer) => !present.includes(consumer))
      yield* Effect.forEach(gone, (consumer) => Metric.update(Metric.withAttributes(lagSeconds, { consumer }), 0))
      const holder = yield* Effect.orElseSucceed(feed.holder, () => undefined)
      yield* Metric.update(heldSeconds, yield* heldFor(holder))
      const late = lags.filter(({ seconds }) => seconds > alarmAfter)
      const now = yield* DateTime.now
      // The same again only now and then: somebody may be gone for good.
      const names = late.map(({ consumer }) => consumer).join()
      const told = yield* Ref.get(lastTold)
      const isNews = names !== told.names || DateTime.isLessThan(DateTime.add(told.at, { minutes: 5 }), now)
      if (late.length === 0 || !isNews) return yield* Ref.update(lastTold, (before) => ({ ...before, names }))
      yield* Ref.set(lastTold, { names, at: now })
      const behind = late.map(({ consumer, seconds }) => `${consumer} is ${Math.round(seconds)} s behind`).join(", ")
      yield* Effect.logWarning(`${behind}. ${blame(holder, late, now)}`)
    })

    // In portions, so that no transaction is long; until nothing is left to delete.
    const trim = Effect.repeat(feed.trim(age), { until: (deleted) => deleted === 0 })

    return Layer.mergeAll(
      Worker.layer("feed places", feed.acknowledge, { every: "1 second" }),
      Worker.layer("feed alarms", look, { every: "15 seconds" }),
      Worker.layer("outbox trimming", Effect.asVoid(trim), { every: "1 minute" }),
      Announcements.layerAcrossProcesses(feed.begin)
    )
  })
)

const heldFor = (holder: Holder | undefined) =>
  Effect.map(DateTime.now, (now) =>
    holder === undefined || holder.since === null
      ? 0
      : Math.max(0, Duration.toSeconds(DateTime.distance(holder.since, now)))
  )

/** One that is there by chance, for a moment, is to blame for nothing. */
const blame = (holder: Holder | undefined, late: ReadonlyArray<Lag>, now: DateTime.Utc) => {
  const aSecondAgo = DateTime.subtract(now, { seconds: 1 })
  if (holder === undefined || (holder.since !== null && DateTime.isGreaterThan(holder.since, aSecondAgo))) {
    // Then it is the reader's own affair: it may be gone.
    const seen = late.map(({ consumer, seenSecondsAgo }) => `${consumer} has asked ${Math.round(seenSecondsAgo)} s ago`)
    return `No transaction holds the feed up. ${seen.join(", ")}.`
  }
  const since = holder.since === null ? "" : `, since ${DateTime.formatIso(holder.since)}`
  return `The oldest transaction that writes is ${holder.who} (process ${holder.pid})${since}.`
}

/** Runs a consumer for as long as the service lives, and tells of it in health. */
export const layerConsumer = (consumer: Consumer.Consumer) =>
  Layer.effectDiscard(
    Effect.gen(function* () {
      const health = yield* Health
      yield* health.register({
        name: `consumer ${consumer.name}`,
        run: Effect.map(consumer.state, ({ deadLetters, trouble = "ok" }) =>
          deadLetters === 0 ? trouble : `${trouble}, ${deadLetters} dead letters`
        )
      })
      yield* Effect.forkScoped(consumer.run)
    })
  )
