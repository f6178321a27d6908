/**
 * How long it holds out, and what it does when there is too much: capacity first, then a soak, then a flood, then the audit.
 */
import * as Gate from "@ecommerce/chassis/Gate"
import * as ChassisSettings from "@ecommerce/chassis/Settings"
import { Effect, Option, Schedule } from "effect"

import * as Measurement from "./Measurement.ts"
import * as Overload from "./Overload.ts"
import type * as Rules from "./Rules.ts"
import * as Sample from "./Sample.ts"
import { makeDatabase } from "./Server.ts"
import * as Soak from "./Soak.ts"
import * as StackParts from "./StackParts.ts"
import { quantile, written } from "./Statistics.ts"

export interface Options {
  readonly minutes: number
  readonly progress: (line: string) => Effect.Effect<void>
}

export interface Part {
  readonly title: string
  readonly findings: ReadonlyArray<Rules.Finding>
}

const warmUp = 6000
/**
 * What can be kept up, and not what a sprint reaches: so many orders take two minutes or so, in which outboxes are cut, vacuum
 * comes for what they held, and PostgreSQL writes a checkpoint.
 */
const capacityConnections = 64
const capacityOrders = 40_000
/** Of capacity. */
const [soakShare, floodTimes] = [0.6, 3]
const [sampleSeconds, heldSeconds, floodSeconds, probeSeconds] = [10, 30, 60, 3]

const inWords = (sample: Sample.Sample) => {
  const { arrived, at, open } = sample
  const refused = Object.entries(arrived.refused).map(([said, count]) => `, ${count} times ${said}`)
  const [p50, p99] = [0.5, 0.99].map((share) => written(quantile(arrived.millis, share) ?? Number.NaN))
  return (
    `  ${written(at)} s: ${arrived.accepted.length} accepted (p50 ${p50} ms, p99 ${p99} ms)${refused.join("")}; ` +
    `${open} under way, ${written(Soak.allMemory(sample))} MiB`
  )
}

export const run = Effect.fn("Endurance.run")(function* ({ minutes, progress }: Options) {
  const requestsAtOnce = yield* Gate.requestsAtOnce.read
  const poolSize = yield* ChassisSettings.databasePoolSize.read
  const database = yield* makeDatabase({ hasTables: true, counts: false })
  yield* progress("Starting, and warming up ...")
  const { products, stack } = yield* StackParts.warm(
    database,
    {
      settings: { OUTBOX_KEEP: `${Soak.outboxKeepSeconds} seconds` },
      telemetry: false,
      orchestrators: 1,
      profiles: Option.none(),
      isInspected: true
    },
    warmUp
  )
  const tell = (sample: Sample.Sample) => progress(inWords(sample))
  const measured = yield* Measurement.run(database, stack, {
    connections: capacityConnections,
    orders: capacityOrders,
    products
  })
  const capacity = measured.completedPerSecond
  yield* progress(
    `Capacity: ${written(capacity)} orders a second completed, ${written(measured.acceptedPerSecond)} accepted.`
  )

  const soak = { products, perSecond: soakShare * capacity, seconds: minutes * 60 }
  yield* progress(`A soak of ${minutes} minutes at ${written(soak.perSecond)} orders a second:`)
  const samples = yield* Soak.follow(
    database,
    stack,
    soak,
    { everySeconds: sampleSeconds, heldEverySeconds: heldSeconds },
    tell
  )
  const soaked = Soak.acceptedIn(samples)
  const soakFate = yield* Sample.fateOf(database, soaked).pipe(
    Effect.repeat({ until: ({ open }) => open === 0, schedule: Schedule.spaced("1 second"), times: 60 })
  )

  const flood = { products, perSecond: floodTimes * capacity, seconds: floodSeconds }
  yield* progress(`${floodSeconds} seconds at ${written(flood.perSecond)} orders a second:`)
  const last = Soak.during(samples, soak).at(-1)
  const beforeMillis = quantile(last?.arrived.millis ?? [], 0.5) ?? 0
  const everyday = { ...soak, seconds: probeSeconds }
  const outcome = yield* Overload.run(database, stack, flood, everyday, beforeMillis, tell)

  yield* progress("Auditing ...")
  yield* Measurement.refuseUnclean(database, stack)
  const parts: ReadonlyArray<Part> = [
    { title: "The soak", findings: [...Soak.judge(samples, soak, poolSize), ...Soak.judgeFate(soakFate)] },
    { title: "The flood", findings: Overload.judge(outcome, { capacity, requestsAtOnce }, flood) }
  ]
  return { capacity, parts }
})
