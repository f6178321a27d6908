/**
 * Which payments one round of the comparison looks at: those that have become old enough since the last round, a piece of the last
 * day, and those of it about which the books did not agree. To compare the whole day each time would cost more than its payments did.
 */
import { Clock, Duration, Effect } from "effect"

import type { Comparison, Difference, Span } from "../Reconciliation.ts"

export interface Comparing<E> {
  readonly compare: (span: Span) => Effect.Effect<Comparison, E>
  readonly recheck: (ids: ReadonlyArray<Difference["authorizationId"]>) => Effect.Effect<ReadonlyArray<Difference>, E>
  /** Where a piece of a span ends that has more payments than that. */
  readonly endOfPiece: (span: Span) => Effect.Effect<string | undefined, E>
}

/** A round answers every difference that is known after it. One that fails is done again as a whole. */
export const make = Effect.fnUntraced(function* <E>(
  { compare, endOfPiece, recheck }: Comparing<E>,
  age: Duration.Duration
) {
  const idBefore = (ago: Duration.Duration) =>
    Effect.map(Clock.currentTimeMillis, (now) => idOf(now - Duration.toMillis(ago)))
  let comparedTo = yield* idBefore(age)
  /** The day is gone through piece by piece, and then again from its beginning. */
  let pieceBegin = ""
  let known: ReadonlyArray<Difference> = []

  return Effect.gen(function* () {
    const until = yield* idBefore(age)
    const dayBegin = yield* idBefore(window)
    const after = later(pieceBegin, dayBegin)
    const end = yield* endOfPiece({ after, until })
    const piece = yield* compare({ after, until: end ?? until })
    const fresh = end === undefined ? nothing : yield* compare({ after: later(end, comparedTo), until })
    const found = byId([...piece.differences, ...fresh.differences])
    const open = known.map(({ authorizationId }) => authorizationId).filter((id) => id > dayBegin && !found.has(id))
    const again = yield* recheck(open)
    comparedTo = until
    pieceBegin = end ?? ""
    const all = [...found.values(), ...again]
    known = all.slice(0, mostKept)
    return all
  })
})

/** Where the ids of that time begin. */
const idOf = (millis: number) => `auth_${Math.trunc(millis).toString(16).padStart(12, "0")}`

const later = (one: string, other: string) => (one > other ? one : other)

const byId = (differences: ReadonlyArray<Difference>) =>
  new Map(differences.map((difference) => [difference.authorizationId, difference]))

const nothing: Comparison = { compared: 0, differences: [] }
const window = Duration.days(1)

/** Where more do not agree, it is not about single payments. */
const mostKept = 5000
