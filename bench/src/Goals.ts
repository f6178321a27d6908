/**
 * What is to be reached, as ratios of figures of one and the same bench: those hold on any machine, bare figures do not.
 */
import { type Figure, medianOf, type Results } from "./Figures.ts"

interface Goal {
  readonly name: string
  readonly of: string
  /** Without one the figure itself is looked at. */
  readonly over?: string
  readonly atLeast?: number
  readonly atMost?: number
}

const endToEnd = "stack.c128.completed"

export const goals: ReadonlyArray<Goal> = [
  { name: "completed/s : DBOS's sagas/s", of: endToEnd, over: "peers.dbos.sagas", atLeast: 6 },
  { name: "completed/s : Restate's sagas/s", of: endToEnd, over: "peers.restate.sagas", atLeast: 4 },
  { name: "completed/s : batched pg-boss's sagas/s", of: endToEnd, over: "peers.pg-boss.sagas", atLeast: 2.5 },
  { name: "completed/s : graphile-worker's sagas/s", of: endToEnd, over: "peers.graphile-worker.sagas" },
  { name: "completed/s : Effect cluster workflow's sagas/s", of: endToEnd, over: "peers.effect-workflow.sagas" },
  { name: "completed/s : four transactions without an engine", of: endToEnd, over: "peers.bare.sagas" },
  {
    name: "completed/s : all rows by hand, one order a transaction",
    of: endToEnd,
    over: "limit.b1.orders",
    atLeast: 0.4
  },
  { name: "completed/s : all rows by hand, 100 orders a transaction", of: endToEnd, over: "limit.b100.orders" },
  { name: "lone order to COMPLETED, p50 ms", of: "stack.lone.completed.p50", atMost: 40 },
  { name: "write transactions an order at 64 connections", of: "stack.c64.transactions", atMost: 0.6 },
  { name: "CPU ms an order at 64 connections", of: "stack.c64.cpu", atMost: 1.5 },
  { name: "one hot product : 100 products", of: "stack.hot.completed", over: endToEnd, atLeast: 0.8 },
  {
    name: "1e6 orders in the tables : 1e3",
    of: "growth.n1000000.completed",
    over: "growth.n1000.completed",
    atLeast: 0.8
  },
  { name: "taken at 64 connections, p99 ms", of: "stack.c64.accepted.p99", atMost: 150 },
  { name: "with telemetry : without, at 64 connections", of: "telemetry.c64.completed", over: "stack.c64.completed" }
]

const wantedOf = ({ atLeast, atMost }: Goal) =>
  atLeast !== undefined ? `at least ${atLeast}` : atMost !== undefined ? `at most ${atMost}` : ""

/** Those of which this bench has measured what they need. */
export const judge = (figures: ReadonlyArray<Figure>): Results["ratios"] =>
  goals.flatMap((goal) => {
    const of = medianOf(figures, goal.of)
    const over = goal.over === undefined ? 1 : medianOf(figures, goal.over)
    if (of === undefined || over === undefined || over === 0) return []
    const value = of / over
    const isReached = value >= (goal.atLeast ?? -Infinity) && value <= (goal.atMost ?? Infinity)
    return [{ name: goal.name, value, wanted: wantedOf(goal), isReached }]
  })
