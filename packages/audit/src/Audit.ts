/**
 * The audit: whether what the services have stored, each by itself, fits together.
 *
 * It joins in memory, because no query can: the services may be on different servers. Orders are looked at in slices of their
 * ids, so that a million of them need no more memory than ten thousand; products all at once.
 */
import { Effect } from "effect"

import type { Books } from "./Books.ts"
import * as OrderFacts from "./OrderFacts.ts"
import { endOf, isMoving, orderRules } from "./OrderRules.ts"
import type { Finding, Report } from "./Report.ts"
import * as Stock from "./Stock.ts"
import * as Whole from "./Whole.ts"

const sliceSize = 10_000
/** Of one invariant; more than that tell nothing new. */
const mostKept = 1000
const first = "00000000-0000-0000-0000-000000000000"

/** What all orders together are worth, in each of the books. */
interface Sums {
  ledger: number
  payment: number
  processor: number
}

export const run = Effect.fn("Audit.run")(function* (books: Books) {
  const violations = new Map(orderRules.map(({ invariant }) => [invariant, new Array<string>()]))
  const demand = new Stock.Demand()
  const sums: Sums = { ledger: 0, payment: 0, processor: 0 }
  let [looked, moving] = [0, 0]

  const judge = (facts: OrderFacts.OrderFacts) => {
    looked += 1
    demand.add(facts)
    if (isMoving(facts)) return void (moving += 1)
    if (endOf(facts) === "kept") sums.ledger += facts.ledger?.totalCents ?? 0
    sums.payment += (facts.payment?.capturedCents ?? 0) - (facts.payment?.refundedCents ?? 0)
    sums.processor += (facts.payment?.processorCapturedCents ?? 0) - (facts.payment?.processorRefundedCents ?? 0)
    for (const { invariant, judge } of orderRules) {
      const wrong = judge(facts)
      const kept = violations.get(invariant)
      if (wrong !== undefined && kept !== undefined && kept.length < mostKept)
        kept.push(`order ${facts.orderId} ${wrong}`)
    }
  }

  for (let after = first, isOver = false; !isOver;) {
    const slice = yield* OrderFacts.sliceAfter(books, after, sliceSize)
    for (const facts of yield* OrderFacts.read(books, slice)) judge(facts)
    after = slice.upTo
    isOver = slice.isLast
  }
  const stock = Stock.judge(yield* Stock.read(books), demand)
  const { finding: feeds, moving: reading } = yield* Whole.feeds(books)
  const money: Finding = {
    invariant: "captured less refunded is what completed orders are worth, in payment's and the processor's books",
    looked,
    violations:
      sums.ledger === sums.payment && sums.ledger === sums.processor
        ? []
        : [`completed orders ${sums.ledger}, payment ${sums.payment}, processor ${sums.processor}`]
  }
  const report: Report = {
    findings: [
      ...orderRules.map(({ invariant }) => ({ invariant, looked, violations: violations.get(invariant) ?? [] })),
      money,
      // Between two looks an order may have taken from the shelf.
      ...(moving === 0 ? stock : []),
      ...(yield* Whole.judge(books)),
      feeds
    ],
    moving: [...(moving === 0 ? [] : [`${moving} orders are on their way`]), ...reading]
  }
  return report
})
