/**
 * The engine of this service, with what it runs, and what there is to do again and again for it.
 */
import { Health } from "@ecommerce/chassis/Health"
import * as ChassisSettings from "@ecommerce/chassis/Settings"
import * as Worker from "@ecommerce/chassis/Worker"
import { orchestrator } from "@ecommerce/contracts/Orchestrator"
import { SagaDesk } from "@ecommerce/saga/SagaDesk"
import { SagaEngine } from "@ecommerce/saga/SagaEngine"
import { SagaStore } from "@ecommerce/saga/SagaStore"
import { Duration, Effect, Layer, Metric, Ref } from "effect"

import { cancelOrder } from "./CancelOrder.ts"
import { placeOrder } from "./PlaceOrder.ts"
import * as Settings from "./Settings.ts"
import { announce } from "./Telling.ts"

/** Those of earlier versions stay in here until none of their sagas is under way; completed ones are taken back by the newest. */
export const definitions = [placeOrder, cancelOrder]

const store = Layer.unwrap(Effect.map(Settings.deadline.read, (deadline) => SagaStore.layer(announce, deadline)))

export const desk = SagaDesk.layer(definitions).pipe(Layer.provide(store))

export const layer = Layer.unwrap(
  Effect.gen(function* () {
    const stopWithin = Duration.times(yield* ChassisSettings.shutdownTimeout.read, 0.5)
    return SagaEngine.layer({
      name: orchestrator.name,
      definitions,
      policy: yield* Settings.policy,
      mostInFlight: yield* Settings.sagasAtOnce.read,
      stepTimeout: yield* Settings.stepTimeout.read,
      lease: yield* Settings.lease.read,
      pollEvery: Duration.millis(yield* Settings.pollEvery.read),
      stopWithin
    })
  })
).pipe(Layer.provide(store))

const open = Metric.gauge("sagas_open", {
  description: "Sagas that have not come to their end.",
  attributes: { unit: "{saga}" }
})
const stuck = Metric.gauge("sagas_stuck", {
  description: "Sagas that do not get on by themselves.",
  attributes: { unit: "{saga}" }
})
const oldestDue = Metric.gauge("saga_oldest_due_seconds", {
  description: "For how long the saga that has waited longest has been due without anybody taking it.",
  attributes: { unit: "s" }
})

/** A due saga that nobody takes for longer than this is a reason to look for another orchestrator. */
const longestDue = Duration.minutes(1)

export const layerWorkers = Layer.unwrap(
  Effect.gen(function* () {
    const engine = yield* SagaEngine
    const { vitals } = yield* SagaDesk
    const health = yield* Health
    const every = Duration.times(yield* Settings.lease.read, 0.3)
    const told = yield* Ref.make("")

    yield* health.register({
      name: "sagas",
      run: Effect.gen(function* () {
        const { oldestDueSeconds, open, stuck, unclaimable } = yield* Effect.mapError(vitals, () => "cannot be counted")
        const unknown = unclaimable === 0 ? "" : `, ${unclaimable} of definitions that are not known here`
        const report = `${yield* engine.inFlight} under way, ${open} open, ${stuck} stuck${unknown}`
        return oldestDueSeconds > Duration.toSeconds(longestDue)
          ? yield* Effect.fail(`${report}; one has been due for ${Math.round(oldestDueSeconds)} s`)
          : report
      })
    })

    /** The same alarm again only when it has been over. */
    const look = Effect.gen(function* () {
      const now = yield* vitals
      yield* Metric.update(open, now.open)
      yield* Metric.update(stuck, now.stuck)
      yield* Metric.update(oldestDue, now.oldestDueSeconds)
      const alarms = [
        ...(now.stuck > 0 ? [`${now.stuck} sagas are stuck: npm run sagas -- stuck`] : []),
        ...(now.unclaimable > 0 ? [`${now.unclaimable} due sagas are of definitions that are not known here`] : [])
      ].join("; ")
      if (alarms !== "" && alarms !== (yield* Ref.get(told))) yield* Effect.logWarning(alarms)
      yield* Ref.set(told, alarms)
    })

    return Layer.mergeAll(
      Worker.layer("sagas", engine.claimRound, { every: 0 }),
      Worker.layer("saga lease", engine.beatRound, { every }),
      Worker.layer("saga takeover", engine.takeoverRound, { every }),
      Worker.layer("saga alarms", look, { every: "15 seconds" })
    )
  })
)
