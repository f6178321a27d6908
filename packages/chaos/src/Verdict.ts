/**
 * When the trouble is over: waits until nothing is on its way any more, and looks whether everything was kept that was promised.
 *
 * Three look at it: the audit at what all services have stored, payment's reconciliation at the processor's books, and every
 * customer at what became of the own order.
 */
import * as Audit from "@ecommerce/audit/Audit"
import type { Books } from "@ecommerce/audit/Books"
import { type Finding, isClean, type Report } from "@ecommerce/audit/Report"
import { Clock, Effect } from "effect"
import type { SqlError } from "effect/sql"

import { Customers } from "./Customers.ts"
import * as Record from "./Record.ts"

export interface Verdict {
  readonly findings: ReadonlyArray<Finding>
  /** What is on its way still; nothing is said about it. */
  readonly moving: ReadonlyArray<string>
  readonly tally: Record.Tally
}

/** So many customers ask at a time, and each is told that there is nothing where nobody answers for so long. */
const asksAtOnce = 8
const answerWithin = "60 seconds"

/** What customers find when they ask for all their orders. */
const ask = Effect.gen(function* () {
  const { ask, sheets } = yield* Customers
  const told = new Map(
    yield* Effect.forEach(
      yield* sheets,
      ({ userId }) =>
        ask(userId).pipe(
          Effect.timeoutOrElse({ duration: answerWithin, orElse: () => Effect.succeed([]) }),
          Effect.map((orders) => [userId, orders] as const)
        ),
      { concurrency: asksAtOnce }
    )
  )
  const toldTo = (userId: string) => told.get(userId) ?? []
  // With what they have noted while they asked.
  const records = yield* sheets
  const finding: Finding = {
    invariant: "every customer has the one order that was answered, in an end that it may have",
    looked: records.length,
    violations: Record.judge(records, toldTo)
  }
  return { finding, tally: Record.tally(records, toldTo) }
})

/** `reconcile` answers what the reconciliation says, one line for each difference. */
export const reach = Effect.fn("Verdict.reach")(function* <R>(
  books: Books,
  reconcile: Effect.Effect<ReadonlyArray<string>, never, R>
) {
  const { findings, moving } = yield* Audit.run(books)
  const differences = yield* reconcile
  const { finding, tally } = yield* ask
  const reconciliation: Finding = {
    invariant: "npm run reconcile finds no difference",
    looked: 1,
    violations: differences
  }
  const verdict: Verdict = { findings: [...findings, reconciliation, finding], moving, tally }
  return verdict
})

export const violationsOf = ({ findings }: Verdict): number => {
  let count = 0
  for (const { violations } of findings) count += violations.length
  return count
}

/**
 * Until all is well and nothing moves, or the time is over. Answers how long that took; nothing is forgiven, it is only given the
 * time that it may take.
 */
export const settle = Effect.fn("Verdict.settle")(function* (books: Books, withinSeconds: number) {
  const { done } = yield* Customers
  const began = yield* Clock.currentTimeMillis
  const seconds = Effect.map(Clock.currentTimeMillis, (now) => (now - began) / 1000)
  yield* Effect.timeoutOption(done, `${withinSeconds} seconds`)
  const look: Effect.Effect<Report, SqlError.SqlError> = Audit.run(books)
  for (;;) {
    const report = yield* look
    const took = yield* seconds
    if ((isClean(report) && report.moving.length === 0) || took > withinSeconds) return took
    yield* Effect.sleep("500 millis")
  }
})
