/**
 * The stack for a long while at a part of what it can do: whatever is not flat then, would be its end one day.
 */
import { topology } from "@ecommerce/stack/topology"
import { Clock, Effect } from "effect"

import type { BenchStack } from "./BenchStack.ts"
import * as Rules from "./Rules.ts"
import * as Sample from "./Sample.ts"
import type { BenchDatabase } from "./Server.ts"
import { quantile } from "./Statistics.ts"
import { lows } from "./Trend.ts"

export interface Load {
  readonly products: ReadonlyArray<string>
  readonly perSecond: number
  readonly seconds: number
}

export interface Pace {
  readonly everySeconds: number
  /** So often services collect their garbage first. They stand still meanwhile. */
  readonly heldEverySeconds?: number
}

/** Until the last answer. The first sample is from before the load, and the last one may lie within the interval. */
export const follow = Effect.fn("Soak.follow")(function* (
  database: BenchDatabase,
  stack: BenchStack,
  load: Load,
  { everySeconds, heldEverySeconds = Infinity }: Pace,
  tell: (sample: Sample.Sample) => Effect.Effect<void>
) {
  const startedAt = yield* Clock.currentTimeMillis
  yield* stack.arrive(load)
  const samples: Array<Sample.Sample> = []
  for (let number = 1; samples.at(-1)?.arrived.isOver !== true; number++) {
    const dueAt = startedAt + number * everySeconds * 1000
    yield* Effect.sleep(Math.max(0, dueAt - (yield* Clock.currentTimeMillis)))
    const at = ((yield* Clock.currentTimeMillis) - startedAt) / 1000
    const sample = yield* Sample.take(database, stack, at, (number * everySeconds) % heldEverySeconds === 0)
    samples.push(sample)
    yield* tell(sample)
  }
  return samples
})

export const acceptedIn = (samples: ReadonlyArray<Sample.Sample>): ReadonlyArray<string> =>
  samples.flatMap(({ arrived }) => arrived.accepted)

/** By what was said. */
export const refusedIn = (samples: ReadonlyArray<Sample.Sample>): ReadonlyMap<string, number> => {
  const found = new Map<string, number>()
  for (const { arrived } of samples) {
    for (const [said, count] of Object.entries(arrived.refused)) found.set(said, (found.get(said) ?? 0) + count)
  }
  return found
}

/** Without what came in after the last order was sent. */
export const during = (samples: ReadonlyArray<Sample.Sample>, { seconds }: Load): ReadonlyArray<Sample.Sample> =>
  samples.filter(({ at }) => at <= seconds + 1)

export const allMemory = ({ memory }: Sample.Sample): number => {
  let all = 0
  for (const mebibytes of memory.values()) all += mebibytes
  return all
}

export const series = (
  name: string,
  unit: string,
  samples: ReadonlyArray<Sample.Sample>,
  valueOf: (sample: Sample.Sample) => number | undefined
): Rules.Series => ({
  name,
  unit,
  points: samples.flatMap((sample) => {
    const value = valueOf(sample)
    return value === undefined || Number.isNaN(value) ? [] : [{ at: sample.at, value }]
  })
})

/** What outboxes keep here, and how often they are cut: what a soak sees the end of has to be short. */
export const outboxKeepSeconds = 30
const outboxCutEverySeconds = 60
/** PostgreSQL looks once a minute at which tables need its vacuum. */
const vacuumSeconds = 60

const isOutbox = (name: string) => name.endsWith(".outbox")

/** In MiB: what docker-compose.yml lets a service have. */
export const containerMemory = 768

/** What the collector takes beside what is held is its own affair, as long as it is room that a service has. */
const memoryRules = (samples: ReadonlyArray<Sample.Sample>) => {
  const memory = (name: string) => series(`memory of ${name}`, "MiB", samples, (sample) => sample.memory.get(name))
  // Its workers come and go.
  const postgres = memory("postgres")
  return [
    ...topology.flatMap(({ name }) => [
      Rules.staysFlat(
        series(`held by ${name}`, "MiB", samples, ({ held }) => held.get(name)),
        { share: 0.5, atLeast: 64 }
      ),
      Rules.staysBelow(memory(name), containerMemory)
    ]),
    Rules.staysFlat({ ...postgres, points: lows(postgres.points, vacuumSeconds) }, { share: 0.5, atLeast: 64 })
  ]
}

const backendRules = (samples: ReadonlyArray<Sample.Sample>, poolSize: number) =>
  topology.map(({ name }) =>
    // Beside the pool: one that listens, and one that is being replaced.
    Rules.staysBelow(
      series(`connections of ${name}`, "", samples, ({ backends }) => backends.get(name)),
      poolSize + 2
    )
  )

const tableRules = (samples: ReadonlyArray<Sample.Sample>, { perSecond }: Load) => {
  const valueOf = (name: string, of: (table: Sample.Table) => number) => (sample: Sample.Sample) => {
    const table = sample.tables.find((one) => one.name === name)
    return table === undefined ? undefined : of(table)
  }
  const last = samples.at(-1)?.tables ?? []
  const busy = last.filter(({ dead, live }) => live + dead >= 1000)
  const seconds = samples.at(-1)?.at ?? Number.NaN
  const rules = busy.flatMap(({ inserted, live, name }) => [
    // A fifth of a table may be dead before PostgreSQL looks at it, and then it takes its time.
    Rules.staysBelow(
      series(
        `dead rows in ${name}`,
        "",
        samples,
        valueOf(name, ({ dead }) => dead)
      ),
      0.4 * live + 4 * perSecond * 2 * vacuumSeconds
    ),
    ...(isOutbox(name)
      ? [
          Rules.staysBelow(
            series(
              `rows in ${name}`,
              "",
              samples,
              valueOf(name, (table) => table.live)
            ),
            1000 + (inserted / seconds) * 2 * (outboxKeepSeconds + outboxCutEverySeconds)
          ),
          // It has the room of a minute's rows or of two, as vacuum comes before or after the next cut.
          Rules.staysAlike(
            series(
              `size of ${name}`,
              "MB",
              samples,
              valueOf(name, ({ bytes }) => bytes / 1e6)
            ),
            2,
            32
          )
        ]
      : [
          Rules.staysAlike(
            series(
              `size of ${name}, a row`,
              "bytes",
              samples,
              valueOf(name, (table) => table.bytes / table.live)
            ),
            1.5,
            64
          )
        ])
  ])
  // Each service has written into one of its own at least: else nobody has looked.
  return [Rules.is("tables that were looked at", "", busy.length, { atLeast: topology.length }), ...rules]
}

/**
 * Of all orders. Edge holds about as many at once as come in a second: when a disk stands still for longer than that, those who
 * come next are told to come again, and that is right.
 */
const refusedAtMost = 0.001

export const judge = (
  all: ReadonlyArray<Sample.Sample>,
  load: Load,
  poolSize: number
): ReadonlyArray<Rules.Finding> => {
  const samples = during(all, load)
  const waited = (name: string, share: number) =>
    series(`accepted within, ${name}`, "ms", samples, ({ arrived }) => quantile(arrived.millis, share))
  const orders = load.perSecond * load.seconds
  let refused = 0
  for (const count of refusedIn(all).values()) refused += count
  return [
    Rules.is("orders accepted", "", acceptedIn(all).length, { atLeast: Math.floor(orders * (1 - refusedAtMost)) }),
    Rules.is("orders refused", "", refused, { atMost: Math.ceil(orders * refusedAtMost) }),
    Rules.staysAlike(waited("p50", 0.5), 2, 50),
    Rules.staysAlike(waited("p99", 0.99), 2, 250),
    // Of five seconds: they are neither more and more, nor many.
    Rules.staysBelow(
      series("orders under way", "", samples, ({ open }) => open),
      5 * load.perSecond
    ),
    ...memoryRules(samples),
    ...backendRules(samples, poolSize),
    ...tableRules(samples, load)
  ]
}

/** Of every order that was accepted, by its own id. */
export const judgeFate = (fate: Sample.Fate): ReadonlyArray<Rules.Finding> => [
  Rules.is("accepted and not in the ledger", "", fate.unknown, { atMost: 0 }),
  Rules.is("accepted and not at their end", "", fate.open, { atMost: 0 }),
  Rules.is("accepted and not completed", "", fate.otherwise, { atMost: 0 })
]
