/**
 * What becomes of the speed as things grow: orders in the tables, orchestrators, a backlog, and somebody's long transaction.
 */
import { Clock, Effect, Option } from "effect"

import * as BenchStack from "./BenchStack.ts"
import type { Measure, Tell } from "./Figures.ts"
import * as Fill from "./Fill.ts"
import * as Limit from "./Limit.ts"
import * as Measurement from "./Measurement.ts"
import { type BenchDatabase, makeDatabase } from "./Server.ts"
import * as StackParts from "./StackParts.ts"
import { quantile } from "./Statistics.ts"

export interface Sizes extends StackParts.Sizes {
  readonly tables: ReadonlyArray<number>
  readonly backlog: number
  /** For how long somebody else's transaction stays open. */
  readonly heldMillis: number
}

const optionsOf = (orchestrators: number): BenchStack.Options => ({
  settings: {},
  telemetry: false,
  orchestrators,
  profiles: Option.none()
})

const completed = (id: string, title: string, value: number): Measure => ({
  id: `growth.${id}.completed`,
  title: `${title}: completed, end to end`,
  unit: "orders/s",
  better: "more",
  value
})

/** On tables that hold so many orders already. */
export const tables = Effect.fn("Growth.tables")(function* (sizes: Sizes, count: number, tell: Tell) {
  const database = yield* makeDatabase({ hasTables: true, counts: false })
  yield* Fill.fill(database, yield* Limit.template(database), count)
  const { products, stack } = yield* StackParts.warm(database, optionsOf(1), sizes.warmUp)
  const title = `${count.toLocaleString("en-US")} orders in the tables, 128 connections`
  const measured = yield* Measurement.run(database, stack, { connections: 128, orders: sizes.orders, products })
  const lone = yield* StackParts.lone(`growth.n${count}`, stack, products, sizes.loneOrders)
  yield* Measurement.refuseUnclean(database, stack)
  yield* tell([
    completed(`n${count}`, title, measured.completedPerSecond),
    ...lone.map((measure) => ({
      ...measure,
      title: `${count.toLocaleString("en-US")} orders in the tables, ${measure.title}`
    }))
  ])
})

export const orchestrators = Effect.fn("Growth.orchestrators")(function* (sizes: Sizes, count: number, tell: Tell) {
  const database = yield* makeDatabase({ hasTables: true, counts: false })
  const { products, stack } = yield* StackParts.warm(database, optionsOf(count), sizes.warmUp)
  const measured = yield* Measurement.run(database, stack, { connections: 128, orders: sizes.orders, products })
  yield* tell([completed(`o${count}`, `${count} orchestrators, 128 connections`, measured.completedPerSecond)])
})

/** Orders were taken while no orchestrator was there. */
export const backlog = Effect.fn("Growth.backlog")(function* (sizes: Sizes, tell: Tell) {
  const database = yield* makeDatabase({ hasTables: true, counts: false })
  const stack = yield* BenchStack.start(database, optionsOf(1))
  const products = yield* stack.products(100)
  const after = yield* Measurement.lastOrder(database)
  const tally = yield* stack.place({
    connections: 128,
    orders: sizes.backlog,
    products,
    waits: false,
    pauseMillis: 0
  })
  yield* Measurement.refuseRefusals(tally)
  const startedAt = yield* Clock.currentTimeMillis
  yield* stack.startOrchestrators
  yield* Measurement.untilCompleted(database, after, sizes.backlog)
  const ends = yield* Measurement.endsOf(database, after)
  yield* Measurement.refuseUnclean(database, stack)
  const seconds = ((ends.at(-1)?.at ?? Number.NaN) - startedAt) / 1000
  yield* tell([
    {
      id: "growth.backlog.seconds",
      title: `a backlog of ${sizes.backlog.toLocaleString("en-US")} orders, worked off from the orchestrator's start`,
      unit: "s",
      better: "less",
      value: seconds
    },
    completed("backlog", "the same", sizes.backlog / seconds)
  ])
})

const hold = (database: BenchDatabase, millis: number) =>
  database.administrator.withTransaction(
    Effect.andThen(database.administrator`SELECT pg_current_xact_id()::text`, Effect.sleep(millis))
  )

/** Somebody else on the same server, in another database, has a transaction open that has written something. */
export const horizon = Effect.fn("Growth.horizon")(function* (sizes: Sizes, tell: Tell) {
  const other = yield* makeDatabase({ hasTables: false, counts: false })
  const database = yield* makeDatabase({ hasTables: true, counts: false })
  const { products, stack } = yield* StackParts.warm(database, optionsOf(1), sizes.warmUp)
  const after = yield* Measurement.lastOrder(database)
  const place = stack.place({ connections: 64, orders: sizes.orders, products, waits: false, pauseMillis: 0 })
  const [, tally] = yield* Effect.all([hold(other, sizes.heldMillis), Effect.delay(place, "200 millis")], {
    concurrency: 2
  })
  const releasedAt = yield* Clock.currentTimeMillis
  yield* Measurement.refuseRefusals(tally)
  yield* Measurement.untilCompleted(database, after, sizes.orders)
  const ends = yield* Measurement.endsOf(database, after)
  yield* Measurement.refuseUnclean(database, stack)
  const title = `a transaction held open for ${sizes.heldMillis / 1000} s, 64 connections`
  yield* tell([
    {
      id: "growth.horizon.accepted",
      title: `${title}: taken`,
      unit: "orders/s",
      better: "more",
      value: (sizes.orders * 1000) / (tally.endedAt - tally.startedAt)
    },
    {
      id: "growth.horizon.accepted.p99",
      title: `${title}: taken, p99`,
      unit: "ms",
      better: "less",
      value: quantile(tally.millis, 0.99)
    },
    {
      id: "growth.horizon.seconds",
      title: `${title}: until all are completed behind its end`,
      unit: "s",
      better: "less",
      value: ((ends.at(-1)?.at ?? Number.NaN) - releasedAt) / 1000
    }
  ])
})

export const parts = (sizes: Sizes) => [
  ...sizes.tables.map((count) => ({
    id: `growth-${count}`,
    run: (tell: Tell) => tables(sizes, count, tell)
  })),
  ...[1, 2, 3].map((count) => ({
    id: `orchestrators-${count}`,
    run: (tell: Tell) => orchestrators(sizes, count, tell)
  })),
  { id: "backlog", run: (tell: Tell) => backlog(sizes, tell) },
  { id: "horizon", run: (tell: Tell) => horizon(sizes, tell) }
]
