/**
 * What a run has to have seen: the rare things that all of this is for. A run without one of them proves nothing about it.
 */
import type { Finding } from "@ecommerce/audit/Report"
import { rowsOf } from "@ecommerce/sets/Sets"
import { Context, Effect, Layer, Ref, Schema } from "effect"

import { Deployment, patiently } from "./Deployment.ts"

export const sights = {
  takeovers: "a saga was taken over from a worker whose lease was over",
  fencedWrites: "one that came back too late was kept from writing",
  lateRuns: "a run that came after its undo was refused",
  deadLetters: "an event that could not be used was put aside, and used later",
  unknowns: "an outcome that nobody knew was resolved",
  refunds: "money that was taken was given back"
} as const
export type Sight = keyof typeof sights

export type Seen = Readonly<Record<Sight, number>>

const nothing: Seen = { takeovers: 0, fencedWrites: 0, lateRuns: 0, deadLetters: 0, unknowns: 0, refunds: 0 }

export const missingIn = (seen: Seen): ReadonlyArray<Sight> => missing(seen, Object.keys(sights).filter(isSight))

const missing = (seen: Seen, among: ReadonlyArray<Sight>) => among.filter((sight) => seen[sight] === 0)

const isSight = (name: string): name is Sight => Object.hasOwn(sights, name)

/** In the log of the orchestrators. */
const takenLine = /Sagas taken from workers whose lease is over: (\d+)/u
const fencedLine = "is in other hands by now"

export class Evidence extends Context.Service<
  Evidence,
  {
    /** A line that a service has logged. */
    readonly hear: (line: string) => Effect.Effect<void>
    readonly note: (sight: Sight, count: number) => Effect.Effect<void>
    /** How many errors were logged. */
    readonly errors: Effect.Effect<number>
    /** That nothing which has to be kept secret stands in a log. */
    readonly secrecy: Effect.Effect<Finding>
    readonly noted: Effect.Effect<Seen>
  }
>()("@ecommerce/chaos/Evidence") {
  static readonly layer = (secrets: ReadonlyArray<string>) =>
    Layer.effect(
      Evidence,
      Effect.gen(function* () {
        const noted = yield* Ref.make(nothing)
        const errors = yield* Ref.make(0)
        const lines = yield* Ref.make(0)
        const leaks = yield* Ref.make<ReadonlyArray<string>>([])
        const note = (sight: Sight, count: number) =>
          Ref.update(noted, (before): Seen => ({ ...before, [sight]: before[sight] + count }))
        const hear = Effect.fnUntraced(function* (line: string) {
          const taken = takenLine.exec(line)?.[1]
          if (taken !== undefined) yield* note("takeovers", Number(taken))
          if (line.includes(fencedLine)) yield* note("fencedWrites", 1)
          if (/"level":"(?:ERROR|FATAL)"/u.test(line)) yield* Ref.update(errors, (count) => count + 1)
          yield* Ref.update(lines, (count) => count + 1)
          const secret = secrets.find((one) => line.includes(one))
          if (secret !== undefined)
            yield* Ref.update(leaks, (before) => [...before, line.replaceAll(secret, "(a secret)")])
        })
        const secrecy = Effect.map(Effect.all([Ref.get(lines), Ref.get(leaks)]), ([looked, violations]): Finding => ({
          invariant: "no line of a log holds a password, or a token of a service or of a card",
          looked,
          violations
        }))
        return Evidence.of({ hear, note, errors: Ref.get(errors), secrecy, noted: Ref.get(noted) })
      })
    )
}

const storedRows = rowsOf(Schema.Struct({ unknowns: Schema.Int, refunds: Schema.Int }))

/** What was noted, what passed on the network, and what is in the books. */
export const gather = Effect.gen(function* () {
  const { administrator: sql, links } = yield* Deployment
  const noted = yield* (yield* Evidence).noted
  let lateRuns = noted.lateRuns
  for (const { heard } of links) lateRuns += yield* heard
  const [stored] = yield* patiently(
    storedRows(sql`
    SELECT
      (SELECT count(*) FROM orchestrator.saga_journal AS unknown WHERE outcome = 'unknown' AND EXISTS (
        SELECT FROM orchestrator.saga_journal AS later
        WHERE later.saga_id = unknown.saga_id AND later.step = unknown.step AND later.seq > unknown.seq
          AND later.outcome IN ('done', 'rejected')
      ))::integer AS unknowns,
      (SELECT count(*) FROM payment.refunds)::integer AS refunds`)
  )
  const seen: Seen = { ...noted, lateRuns, unknowns: stored?.unknowns ?? 0, refunds: stored?.refunds ?? 0 }
  return seen
})
