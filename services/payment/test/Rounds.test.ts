import { AuthorizationId } from "@ecommerce/contracts/Payment/Commands"
import { assert, it } from "@effect/vitest"
import { Duration, Effect } from "effect"
import { TestClock } from "effect/testing"

import * as Rounds from "../src/Reconciliation/Rounds.ts"

const pieceSize = 10
const dayMillis = Duration.toMillis(Duration.days(1))

/** Payments at these times of the test's clock, and what is asked about them. */
const books = (times: ReadonlyArray<number>) => {
  const ids = times.map((millis) =>
    AuthorizationId.make(`auth_${millis.toString(16).padStart(12, "0").padEnd(32, "0")}`)
  )
  const broken = new Set<string>()
  let compared: Array<string> = []
  const within = ({ after, until }: { readonly after: string; readonly until: string }) =>
    ids.filter((id) => id > after && id <= until)
  const look = (some: ReadonlyArray<AuthorizationId>) => {
    compared.push(...some)
    return some
      .filter((id) => broken.has(id))
      .map((authorizationId) => ({ authorizationId, says: "broken", isOpen: false }))
  }
  const comparing: Rounds.Comparing<never> = {
    compare: (span) => Effect.sync(() => ({ compared: 0, differences: look(within(span)) })),
    recheck: (some) => Effect.sync(() => look(some)),
    endOfPiece: (span) => Effect.sync(() => within(span)[pieceSize])
  }
  const takeCompared = () => {
    const seen = compared
    compared = []
    return seen
  }
  return { ids, broken, comparing, takeCompared }
}

const start = TestClock.setTime(100 * dayMillis)
const now = 100 * dayMillis
const range = (count: number, time: (n: number) => number) => Array.from({ length: count }, (_, n) => time(n))

it.effect("a round looks at all of a quiet day, and again the next time", () =>
  Effect.gen(function* () {
    yield* start
    const { comparing, ids, takeCompared } = books(range(8, (n) => now - 3_600_000 + n * 1000))
    const round = yield* Rounds.make(comparing, Duration.seconds(30))
    for (let time = 0; time < 2; time++) {
      yield* round
      assert.deepStrictEqual(takeCompared(), [...ids])
    }
  })
)

it.effect("a busy day is gone through in pieces, and what has become old enough is looked at in the next round", () =>
  Effect.gen(function* () {
    yield* start
    const old = range(100, (n) => now - 3_600_000 + n * 1000)
    const fresh = range(20, (n) => now + n * 3000)
    const { comparing, ids, takeCompared } = books([...old, ...fresh])
    const round = yield* Rounds.make(comparing, Duration.seconds(30))
    const seen = new Set<string>()
    for (let time = 0; time < 10; time++) {
      yield* round
      const compared = takeCompared()
      assert.isAtMost(compared.length, pieceSize + 1 + 21)
      const isFresh = (id: string) => ids.indexOf(AuthorizationId.make(id)) >= old.length
      const due = fresh.filter((at) => at < now + time * 60_000 - 30_000).length
      for (const id of compared) seen.add(id)
      assert.lengthOf([...seen].filter(isFresh), due)
      yield* TestClock.adjust("1 minute")
    }
    assert.deepStrictEqual([...seen].toSorted(), [...ids])
  })
)

it.effect("what did not agree is looked at in every round until it does, wherever the day's piece is", () =>
  Effect.gen(function* () {
    yield* start
    const { broken, comparing, ids } = books(range(100, (n) => now - 3_600_000 + n * 1000))
    const [bad] = ids
    assert.isDefined(bad)
    broken.add(bad ?? "")
    const round = yield* Rounds.make(comparing, Duration.seconds(30))
    for (let time = 0; time < 4; time++) {
      assert.deepStrictEqual(
        (yield* round).map(({ authorizationId }) => authorizationId),
        [bad]
      )
    }
    broken.clear()
    assert.deepStrictEqual(yield* round, [])
  })
)

it.effect("what does not agree for good is told for a day", () =>
  Effect.gen(function* () {
    yield* start
    const { broken, comparing, ids } = books([now - 3_600_000])
    broken.add(ids[0] ?? "")
    const round = yield* Rounds.make(comparing, Duration.seconds(30))
    assert.lengthOf(yield* round, 1)
    yield* TestClock.adjust("22 hours")
    assert.lengthOf(yield* round, 1)
    yield* TestClock.adjust("2 hours")
    assert.deepStrictEqual(yield* round, [])
  })
)

it.effect("a payment that is older than a day is left to the whole comparison", () =>
  Effect.gen(function* () {
    yield* start
    const { comparing, takeCompared } = books([now - 2 * dayMillis])
    yield* yield* Rounds.make(comparing, Duration.seconds(30))
    assert.deepStrictEqual(takeCompared(), [])
  })
)
