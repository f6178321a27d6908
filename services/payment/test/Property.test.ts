import type { AuthorizePayment } from "@ecommerce/contracts/Payment/Commands"
import type { Outcomes } from "@ecommerce/sets/Sets"
import { TestDatabase } from "@ecommerce/testing/TestDatabase"
import { assert, layer } from "@effect/vitest"
import { Effect, Result } from "effect"
import type { SqlError } from "effect/sql"
import * as fc from "fast-check"

import type { Payments } from "../src/Payments.ts"
import { authorize, type Book, booksOf, cancel, capture, disagreements, newBill, till } from "./fixtures/Till.ts"

type Verb = "authorize" | "capture" | "cancel"

interface Customer {
  readonly bill: AuthorizePayment
  /** What is to be taken; more than the bill's amount, now and then. */
  readonly takenCents: number
}

type Answers = Outcomes<
  { readonly returned?: string; readonly amountCents: number },
  { readonly _tag: string; readonly declineCode?: string; readonly reason?: string }
>
type Answer = Answers[number]
type Asked = Effect.Effect<Answers, SqlError.SqlError, Payments>

const ask = (verb: Verb, customers: ReadonlyArray<Customer>): Asked => {
  const bills = customers.map(({ bill }) => bill)
  if (verb === "authorize") return authorize(...bills)
  if (verb === "cancel") return cancel(...bills)
  return capture(...customers.map(({ bill: { orderId }, takenCents }) => ({ orderId, amountCents: takenCents })))
}

const isDefinite = (answer: Answer) => Result.isSuccess(answer) || answer.failure._tag !== "Unavailable"
const isCancelled = (answer: Answer) => Result.isFailure(answer) && answer.failure._tag === "PaymentCancelled"

/** What is lost with a connection; whoever waits for a lock in a circle, or too long, has found a bug. */
const lostConnection = ({ reason }: SqlError.SqlError) =>
  !["DeadlockError", "LockTimeoutError", "StatementTimeoutError", "UniqueViolation", "ConstraintError"].includes(
    reason._tag
  )

/** Everything that was definitely answered, with whom and to what. */
interface Heard {
  readonly customer: Customer
  readonly verb: Verb
  readonly answer: Answer
}

const atOnce = { concurrency: "unbounded" } as const
const most = 5

const customer = fc.record({
  token: fc.constantFrom(
    "tok_visa_success",
    "tok_visa_success",
    "tok_lost_reply",
    "tok_lost_reply",
    "tok_slow_15",
    "tok_capture_declined",
    "tok_decline_insufficient"
  ),
  amountCents: fc.integer({ min: 1, max: 1000 }),
  takenCents: fc.integer({ min: 1, max: 1100 })
})
const step = fc.oneof(
  {
    weight: 9,
    arbitrary: fc.record({
      verb: fc.constantFrom<Verb>("authorize", "authorize", "capture", "capture", "cancel"),
      places: fc.array(fc.nat(most - 1), { minLength: 1, maxLength: most })
    })
  },
  { weight: 1, arbitrary: fc.record({ cutAfterMillis: fc.nat(15) }) }
)
const run = fc.record({
  customers: fc.array(customer, { minLength: most, maxLength: most }),
  /** The steps of one wave are done at the same time. */
  waves: fc.array(fc.array(step, { minLength: 1, maxLength: 8 }), { minLength: 1, maxLength: 6 })
})
type Run = typeof run extends fc.Arbitrary<infer Value> ? Value : never
type Step = Run["waves"][number][number]

/** No answers at all where the connection was cut. */
const attempt = (verb: Verb, customers: ReadonlyArray<Customer>) =>
  Effect.catchIf(ask(verb, customers), lostConnection, () => Effect.succeed<Answers>([]))

/** Again and again, until there is a definite answer for all. */
const settle = Effect.fn("settle")(function* (verb: Verb, customers: ReadonlyArray<Customer>) {
  let answers = yield* attempt(verb, customers)
  for (let tries = 1; answers.filter(isDefinite).length < customers.length; tries++) {
    assert.isBelow(tries, 200, `there is no answer to ${verb}`)
    answers = yield* attempt(verb, customers)
  }
  return customers.flatMap((customer, place): ReadonlyArray<Heard> => {
    const answer = answers[place]
    return answer === undefined ? [] : [{ customer, verb, answer }]
  })
})

/** What both books have to say about an order, by what its owner was told in the end. */
const kept = (customer: Customer, answerTo: (verb: Verb) => Answer | undefined) => {
  const isOk = (verb: Verb) => {
    const answer = answerTo(verb)
    return answer !== undefined && Result.isSuccess(answer)
  }
  if (answerTo("cancel") !== undefined) return { held: 0, taken: 0 }
  if (isOk("capture")) return { held: 0, taken: customer.takenCents }
  return { held: isOk("authorize") ? customer.bill.amountCents : 0, taken: 0 }
}
const sumsOf = ({ authorized, captured, refunded, voided }: Book) => ({
  held: captured === 0 ? authorized - voided : 0,
  taken: captured - refunded
})
const sumsThere = ({ authorizedThere, capturedThere, refundedThere, state }: Book) => ({
  held: state === "AUTHORIZED" ? authorizedThere : 0,
  taken: capturedThere - refundedThere
})

const given = {
  MOCK_LOST_REPLY_RATE: "0.3",
  MOCK_FAILURE_RATE: "0.2",
  // It would open, and everybody would wait for its pause.
  PROCESSOR_BREAKER_FAILURES: "1000000"
}

layer(till(given), { excludeTestServices: true })("whatever is asked for at the same time, lost and cut off,", (it) => {
  it.effect(
    "money moves once: the books agree, the sums are right, and what was answered stays true",
    () =>
      Effect.gen(function* () {
        const context = yield* Effect.context<Payments | TestDatabase>()
        const { cutConnections } = yield* TestDatabase

        const check = Effect.fn("check")(function* ({ customers: told, waves }: Run) {
          const customers = told.map(({ amountCents, takenCents, token }): Customer => {
            return { bill: newBill(token, amountCents), takenCents }
          })
          const heard: Array<Heard> = []
          const asked = new Set<string>()

          const take = Effect.fn("take")(function* (step: Step) {
            if ("cutAfterMillis" in step) {
              yield* Effect.delay(cutConnections, step.cutAfterMillis)
              return
            }
            const { places, verb } = step
            const set = places.flatMap((place) => customers.slice(place, place + 1))
            for (const { bill } of set) asked.add(`${verb} ${bill.orderId}`)
            const answers = yield* attempt(verb, set)
            for (const [place, answer] of answers.entries()) {
              const customer = set[place]
              if (customer !== undefined && isDefinite(answer)) heard.push({ customer, verb, answer })
            }
          })
          yield* Effect.forEach(waves, (steps) => Effect.forEach(steps, take, atOnce))

          const finish = (verb: Verb) =>
            settle(
              verb,
              customers.filter(({ bill }) => asked.has(`${verb} ${bill.orderId}`))
            )
          const ends = (yield* Effect.forEach(["cancel", "authorize", "capture"] as const, finish)).flat()

          const books = yield* booksOf(...customers.map(({ bill }) => bill))
          assert.deepStrictEqual(yield* disagreements(...customers.map(({ bill }) => bill)), [])
          for (const customer of customers) {
            const { orderId } = customer.bill
            const endOf = (verb: Verb) => ends.find((end) => end.customer === customer && end.verb === verb)?.answer
            const book = books.find((found) => found.orderId === orderId)
            if (book === undefined) continue
            assert.deepStrictEqual([sumsOf(book), sumsThere(book)], Array(2).fill(kept(customer, endOf)))
            // What was once said is said again, or that the payment was cancelled since.
            for (const { answer, verb } of heard.filter((one) => one.customer === customer)) {
              const end = endOf(verb) ?? assert.fail("It was asked for, and has no end")
              const isOver = asked.has(`cancel ${orderId}`) && isCancelled(end)
              if (!isOver) assert.deepStrictEqual(answer, end)
            }
          }
          for (const { answer, customer, verb } of ends) {
            const wasCancelled = asked.has(`cancel ${customer.bill.orderId}`)
            assert.strictEqual(isCancelled(answer), wasCancelled && verb !== "cancel")
            assert.deepStrictEqual(yield* settle(verb, [customer]), [{ customer, verb, answer }])
          }
          assert.deepStrictEqual(yield* booksOf(...customers.map(({ bill }) => bill)), books)
        })

        yield* Effect.promise(() =>
          fc.assert(
            fc.asyncProperty(run, (generated) => Effect.runPromiseWith(context)(check(generated))),
            { numRuns: 60, endOnFailure: true }
          )
        )
      }),
    240_000
  )
})
