/**
 * Our own stack under load: which settings, which loads, and what is told of each.
 */
import { Effect, type Option } from "effect"

import * as BenchStack from "./BenchStack.ts"
import * as Costs from "./Costs.ts"
import type { Measure, Tell } from "./Figures.ts"
import * as Measurement from "./Measurement.ts"
import * as Profile from "./Profile.ts"
import { type BenchDatabase, makeDatabase } from "./Server.ts"
import { quantile } from "./Statistics.ts"

export interface Sizes {
  readonly orders: number
  /** For one connection, which takes longer. */
  readonly fewOrders: number
  readonly loneOrders: number
  readonly warmUp: number
}

interface Load {
  readonly id: string
  readonly title: string
  readonly connections: number
  readonly isHot?: boolean
  /** Costs are told process by process. */
  readonly isDetailed?: boolean
}

export interface Part {
  readonly id: string
  readonly title: string
  readonly settings: Readonly<Record<string, string>>
  readonly telemetry: boolean
  readonly counts: boolean
  readonly loads: ReadonlyArray<Load>
  readonly isLoneMeasured: boolean
}

const at64: Load = { id: "c64", title: "64 connections", connections: 64 }
const at128: Load = { id: "c128", title: "128 connections", connections: 128 }

export const parts: ReadonlyArray<Part> = [
  {
    id: "stack",
    title: "The stack",
    settings: {},
    telemetry: false,
    counts: false,
    loads: [
      { id: "c1", title: "1 connection", connections: 1 },
      { id: "c32", title: "32 connections", connections: 32 },
      { ...at64, isDetailed: true },
      { ...at128, isDetailed: true },
      { id: "hot", title: "128 connections, one hot product", connections: 128, isHot: true }
    ],
    isLoneMeasured: true
  },
  {
    id: "processor",
    title: "The stack with a card processor that takes 100 ms",
    settings: { MOCK_LATENCY_MS: "100" },
    telemetry: false,
    counts: false,
    loads: [at64, at128],
    isLoneMeasured: true
  },
  {
    id: "telemetry",
    title: "The stack with everything exported: traces of all orders, logs, metrics",
    settings: {},
    telemetry: true,
    counts: false,
    loads: [{ ...at64, isDetailed: true }, at128],
    isLoneMeasured: true
  },
  {
    id: "counted",
    title: "Statements, counted by PostgreSQL in a run of their own",
    settings: {},
    telemetry: false,
    counts: true,
    loads: [at64],
    isLoneMeasured: false
  }
]

const detailsOf = Effect.fnUntraced(function* (
  prefix: string,
  title: string,
  costs: Costs.Costs,
  stack: BenchStack.BenchStack
) {
  const cpu = [...costs.cpuMillisBy].map(([name, value]): Measure => ({
    id: `${prefix}.cpu.${name.replaceAll(" ", "-")}`,
    title: `${title}: CPU of ${name}`,
    unit: "ms/order",
    better: "less",
    value
  }))
  const memory = [...(yield* Costs.memory(stack))].map(([name, value]): Measure => ({
    id: `${prefix}.memory.${name}`,
    title: `${title}: memory of ${name} afterwards`,
    unit: "MiB",
    better: "less",
    value
  }))
  return [...cpu, ...memory]
})

const underLoad = Effect.fn("StackParts.underLoad")(function* (
  prefix: string,
  { isDetailed = false, title }: Load,
  { acceptedPerSecond, completedMillis, completedPerSecond, costs, tally }: Measurement.Measured,
  stack: BenchStack.BenchStack
) {
  const taken = (name: string, share: number): Measure => ({
    id: `${prefix}.accepted.${name}`,
    title: `${title}: taken, ${name}`,
    unit: "ms",
    better: "less",
    value: quantile(tally.millis, share)
  })
  const perOrder = (id: string, what: string, unit: string, value: number): Measure => ({
    id: `${prefix}.${id}`,
    title: `${title}: ${what}`,
    unit,
    better: "less",
    value
  })
  const measures: ReadonlyArray<Measure> = [
    { id: `${prefix}.accepted`, title: `${title}: taken`, unit: "orders/s", better: "more", value: acceptedPerSecond },
    taken("p50", 0.5),
    taken("p95", 0.95),
    taken("p99", 0.99),
    {
      id: `${prefix}.completed`,
      title: `${title}: completed, end to end`,
      unit: "orders/s",
      better: "more",
      value: completedPerSecond
    },
    {
      id: `${prefix}.completed.p50`,
      title: `${title}: from the ledger's first row to COMPLETED, p50`,
      unit: "ms",
      better: "less",
      value: quantile(completedMillis, 0.5)
    },
    perOrder("transactions", "write transactions", "/order", costs.transactions),
    perOrder("wal", "write-ahead log", "kB/order", costs.walKilobytes),
    perOrder("cpu", "CPU of all processes, PostgreSQL included", "ms/order", costs.cpuMillis)
  ]
  return isDetailed ? [...measures, ...(yield* detailsOf(prefix, title, costs, stack))] : measures
})

/** An order that is alone in the house: as its customer sees it. */
export const lone = Effect.fn("StackParts.lone")(function* (
  prefix: string,
  stack: BenchStack.BenchStack,
  products: ReadonlyArray<string>,
  orders: number
) {
  const alone = { connections: 1, orders, products }
  const waited = yield* stack.place({ ...alone, waits: true, pauseMillis: 30 })
  const taken = yield* stack.place({ ...alone, waits: false, pauseMillis: 150 })
  yield* Measurement.refuseRefusals(waited)
  yield* Measurement.refuseRefusals(taken)
  const measure = (id: string, what: string, millis: ReadonlyArray<number>, name: string, share: number): Measure => ({
    id: `${prefix}.lone.${id}.${name}`,
    title: `a lone order: POST to ${what}, ${name}`,
    unit: "ms",
    better: "less",
    value: quantile(millis, share)
  })
  return [
    measure("accepted", "202", taken.millis, "p50", 0.5),
    measure("accepted", "202", taken.millis, "p95", 0.95),
    measure("completed", "COMPLETED", waited.millis, "p50", 0.5),
    measure("completed", "COMPLETED", waited.millis, "p95", 0.95)
  ]
})

/** Started, with products, and warm: what is compiled on the way is not what is measured. */
export const warm = Effect.fn("StackParts.warm")(function* (
  database: BenchDatabase,
  options: BenchStack.Options,
  warmUp: number
) {
  const stack = yield* BenchStack.start(database, options)
  yield* stack.startOrchestrators
  const products = yield* stack.products(100)
  const after = yield* Measurement.lastOrder(database)
  yield* Measurement.refuseRefusals(
    yield* stack.place({ connections: 32, orders: warmUp, products, waits: false, pauseMillis: 0 })
  )
  yield* Measurement.untilCompleted(database, after, warmUp)
  return { stack, products }
})

/** Counting costs a little: nothing else is told of such a run. */
const counted = Effect.fn("StackParts.counted")(function* (
  prefix: string,
  title: string,
  database: BenchDatabase,
  stack: BenchStack.BenchStack,
  load: Measurement.Load,
  progress: Progress
) {
  yield* Profile.reset(database)
  const { made, waits } = yield* Profile.watched(database, Measurement.place(database, stack, load))
  yield* progress(Profile.render(yield* Profile.statements(database), load.orders, mostStatements))
  yield* Measurement.refuseUnclean(database, stack)
  const statements: Measure = {
    id: `${prefix}.statements`,
    title: `${title}: statements`,
    unit: "/order",
    better: "less",
    value: made.costs.statements
  }
  const waiting = [...waits].map(([event, value]): Measure => ({
    id: `${prefix}.at.${event.replaceAll(" ", "-")}`,
    title: `${title}: backends at work, at ${event}`,
    unit: "",
    better: "neither",
    value
  }))
  return [statements, ...waiting]
})

const mostStatements = 40

/** What comes later meets warmer processes: another one begins each time. */
export const turned = <A>(all: ReadonlyArray<A>, by: number): ReadonlyArray<A> => {
  const first = all.length === 0 ? 0 : by % all.length
  return [...all.slice(first), ...all.slice(0, first)]
}

export interface Options {
  /** Which of the rounds this is, from 1 on. */
  readonly round: number
  readonly profiles: Option.Option<string>
  readonly progress: Progress
}

type Progress = (line: string) => Effect.Effect<void>

/** One run of every load of this part, each told of as soon as it is over. */
export const run = Effect.fn("StackParts.run")(function* (
  part: Part,
  sizes: Sizes,
  { profiles, progress, round }: Options,
  tell: Tell
) {
  const database = yield* makeDatabase({ hasTables: true, counts: part.counts })
  const options = { settings: part.settings, telemetry: part.telemetry, orchestrators: 1, profiles }
  const { products, stack } = yield* warm(database, options, sizes.warmUp)
  for (const load of turned(part.loads, round - 1)) {
    const orders = {
      connections: load.connections,
      orders: load.connections === 1 ? sizes.fewOrders : sizes.orders,
      products: load.isHot === true ? products.slice(0, 1) : products
    }
    const prefix = `${part.id}.${load.id}`
    yield* tell(
      part.counts
        ? yield* counted(prefix, load.title, database, stack, orders, progress)
        : yield* underLoad(prefix, load, yield* Measurement.run(database, stack, orders), stack)
    )
  }
  if (part.isLoneMeasured) {
    const measures = yield* lone(part.id, stack, products, sizes.loneOrders)
    yield* Measurement.refuseUnclean(database, stack)
    yield* tell(measures)
  }
})
