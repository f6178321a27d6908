/**
 * More orders than there is room for, for a while: what is turned away, how long the others wait, and what is left afterwards.
 */
import { Clock, Effect } from "effect"

import type { BenchStack } from "./BenchStack.ts"
import * as Rules from "./Rules.ts"
import * as Sample from "./Sample.ts"
import type { BenchDatabase } from "./Server.ts"
import * as Soak from "./Soak.ts"
import { quantile } from "./Statistics.ts"

/** What a client that is told this knows to do: come again later. Everything else is no shedding. */
export const isShedding = (said: string): boolean => said.startsWith("429 ") || said.startsWith("503 overloaded")

export interface Outcome {
  readonly samples: ReadonlyArray<Sample.Sample>
  readonly fate: Sample.Fate
  /** From the last answer until every accepted order was at its end. */
  readonly endedAfterSeconds: number
  /** From the last answer until an order was accepted as fast as before. */
  readonly recoveredAfterSeconds: number
}

/** Until then it has to be over. */
export const patienceSeconds = 120

const secondsSince = (since: number) => Effect.map(Clock.currentTimeMillis, (now) => (now - since) / 1000)

const untilEnded = Effect.fnUntraced(function* (database: BenchDatabase, ids: ReadonlyArray<string>, since: number) {
  while (true) {
    const fate = yield* Sample.fateOf(database, ids)
    const seconds = yield* secondsSince(since)
    if (fate.open === 0 || seconds > patienceSeconds) return { fate, seconds }
    yield* Effect.sleep("500 millis")
  }
})

/** Orders come as many as usual again: how long until all of them are accepted, and within this time. */
const untilRecovered = Effect.fnUntraced(function* (
  database: BenchDatabase,
  stack: BenchStack,
  load: Soak.Load,
  wantedMillis: number,
  since: number
) {
  const found: Array<Sample.Sample> = []
  while (true) {
    found.push(...(yield* Soak.follow(database, stack, load, { everySeconds: 1 }, () => Effect.void)))
    const latest = found.slice(-load.seconds)
    const millis = latest.flatMap(({ arrived }) => arrived.millis)
    const isRefusing = latest.some(({ arrived }) => Object.keys(arrived.refused).length > 0)
    const seconds = yield* secondsSince(since)
    const isUsual = !isRefusing && (quantile(millis, 0.5) ?? Infinity) <= wantedMillis
    if (isUsual || seconds > patienceSeconds) return { samples: found, seconds: isUsual ? seconds : Infinity }
  }
})

/** As fast as before, with what nobody would notice. */
export const usual = (beforeMillis: number): number => 2 * beforeMillis + 20

export const run = Effect.fn("Overload.run")(function* (
  database: BenchDatabase,
  stack: BenchStack,
  flood: Soak.Load,
  everyday: Soak.Load,
  beforeMillis: number,
  tell: (sample: Sample.Sample) => Effect.Effect<void>
) {
  const samples = yield* Soak.follow(database, stack, flood, { everySeconds: 5 }, tell)
  const since = yield* Clock.currentTimeMillis
  const [ended, recovered] = yield* Effect.all(
    [
      untilEnded(database, Soak.acceptedIn(samples), since),
      untilRecovered(database, stack, everyday, usual(beforeMillis), since)
    ],
    { concurrency: 2 }
  )
  const afterwards = yield* untilEnded(database, Soak.acceptedIn(recovered.samples), yield* Clock.currentTimeMillis)
  const outcome: Outcome = {
    samples,
    fate: {
      unknown: ended.fate.unknown + afterwards.fate.unknown,
      open: ended.fate.open + afterwards.fate.open,
      completed: ended.fate.completed + afterwards.fate.completed,
      otherwise: ended.fate.otherwise + afterwards.fate.otherwise
    },
    endedAfterSeconds: ended.fate.open === 0 ? ended.seconds : Infinity,
    recoveredAfterSeconds: recovered.seconds
  }
  return outcome
})

/** What the house was before the flood. */
export interface Before {
  /** Orders that it can complete in a second. */
  readonly capacity: number
  /** Requests that edge takes on at once. */
  readonly requestsAtOnce: number
}

/** Whoever is let into a full house waits for all who are in it. Three times as long is no accident any more. */
export const longestWait = ({ capacity, requestsAtOnce }: Before): number =>
  1000 + (3 * 1000 * requestsAtOnce) / capacity

export const judge = (outcome: Outcome, before: Before, flood: Soak.Load): ReadonlyArray<Rules.Finding> => {
  const { samples } = outcome
  const { capacity } = before
  const flooded = Soak.during(samples, flood)
  const accepted = Soak.acceptedIn(samples).length
  const refused = [...Soak.refusedIn(samples)]
  const sum = (wanted: (said: string) => boolean) => {
    let all = 0
    for (const [said, count] of refused) if (wanted(said)) all += count
    return all
  }
  const waited = (share: number) =>
    quantile(
      samples.flatMap(({ arrived }) => arrived.millis),
      share
    ) ?? Number.NaN
  const p99 = Soak.series("accepted within, p99", "ms", flooded, ({ arrived }) => quantile(arrived.millis, 0.99))
  return [
    Rules.is("accepted (202)", "", accepted, { atLeast: 0.5 * capacity * flood.seconds }),
    Rules.is(
      "turned away with 503",
      "",
      sum((said) => said.startsWith("503 overloaded")),
      { atLeast: 1 }
    ),
    Rules.told(
      "turned away with 429",
      "",
      sum((said) => said.startsWith("429 "))
    ),
    Rules.is(
      "answered otherwise",
      "",
      sum((said) => !isShedding(said)),
      { atMost: 0 }
    ),
    Rules.told("accepted within, p50", "ms", waited(0.5)),
    Rules.is("accepted within, p99", "ms", waited(0.99), { atMost: longestWait(before) }),
    Rules.staysAlike(p99, 1.5, 500),
    Rules.staysBelow(
      Soak.series("orders under way", "", samples, ({ open }) => open),
      30 * capacity
    ),
    ...Soak.judgeFate(outcome.fate),
    Rules.is("all at their end after", "s", outcome.endedAfterSeconds, { atMost: patienceSeconds }),
    Rules.is("accepted as fast as before after", "s", outcome.recoveredAfterSeconds, { atMost: patienceSeconds })
  ]
}
