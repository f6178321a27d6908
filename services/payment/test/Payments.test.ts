import { successes } from "@ecommerce/sets/Sets"
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"

import {
  askedUnder,
  authorize,
  booksOf,
  cancel,
  capture,
  disagreements,
  eventsAbout,
  newBill,
  till,
  told
} from "./fixtures/Till.ts"

/** One trace, as somebody far away began it. */
const trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

const partOf = <A extends object>(bill: A, amountCents: number) => ({ ...bill, amountCents })

// Time is real: the processor's work and the pauses of its batches.
layer(till(), { excludeTestServices: true })("a payment", (it) => {
  it.effect.each([
    ["tok_visa_success", "ok"],
    ["tok_anything_else", "ok"],
    ["tok_capture_declined", "ok"],
    ["tok_slow_10", "ok"],
    ["tok_decline_insufficient", "PaymentDeclined: insufficient_funds"],
    ["tok_decline_expired", "PaymentDeclined: card_expired"],
    ["tok_decline_stolen", "PaymentDeclined: card_declined"],
    ["tok_decline_today", "PaymentDeclined: generic_decline"]
  ] as const)("with %s is answered %s, now and later, and stands so in both books", ([token, outcome]) =>
    Effect.gen(function* () {
      const bill = newBill(token)
      const answer = yield* authorize(bill)
      assert.deepStrictEqual(told(answer), [outcome])
      assert.deepStrictEqual(yield* authorize(bill), answer)
      const authorized = outcome === "ok" ? 500 : 0
      const state = outcome === "ok" ? "AUTHORIZED" : "DECLINED"
      assert.containSubset(yield* booksOf(bill), [{ authorized, state, operations: "authorize" }])
      assert.deepStrictEqual(yield* disagreements(bill), [])
    })
  )

  it.effect("that is declined takes nothing, and gives nothing back", () =>
    Effect.gen(function* () {
      const bill = newBill("tok_decline_stolen")
      yield* authorize(bill)
      assert.deepStrictEqual(told(yield* capture(bill)), ["CaptureRefused: not_authorized"])
      assert.deepStrictEqual(told(yield* cancel(bill)), ["nothing 0"])
      assert.containSubset(yield* booksOf(bill), [{ entries: "", state: "DECLINED", operations: "authorize" }])
    })
  )

  it.effect("that was taken is refunded when it is cancelled", () =>
    Effect.gen(function* () {
      const bill = newBill()
      assert.deepStrictEqual(told(yield* authorize(bill)), ["ok"])
      assert.deepStrictEqual(told(yield* capture(bill)), ["ok"])
      assert.deepStrictEqual(told(yield* cancel(bill)), ["refunded 500"])
      assert.deepStrictEqual(told(yield* capture(bill)), ["PaymentCancelled"])
      assert.deepStrictEqual(told(yield* authorize(bill)), ["PaymentCancelled"])
      const sums = { authorized: 500, captured: 500, voided: 0, refunded: 500, state: "REFUNDED" }
      assert.containSubset(yield* booksOf(bill), [{ ...sums, operations: "authorize capture refund" }])
      assert.deepStrictEqual(yield* disagreements(bill), [])
    })
  )

  it.effect("that was only held is voided when it is cancelled", () =>
    Effect.gen(function* () {
      const bill = newBill()
      yield* authorize(bill)
      assert.deepStrictEqual(told(yield* cancel(bill)), ["voided 500"])
      const sums = { authorized: 500, captured: 0, voided: 500, refunded: 0, state: "VOIDED" }
      assert.containSubset(yield* booksOf(bill), [{ ...sums, operations: "authorize void" }])
      assert.deepStrictEqual(yield* disagreements(bill), [])
    })
  )

  it.effect("that is cancelled before it began never begins, and the processor hears nothing of it", () =>
    Effect.gen(function* () {
      const bill = newBill()
      const answer = yield* cancel(bill)
      assert.deepStrictEqual(told(answer), ["nothing 0"])
      assert.deepStrictEqual(told(yield* authorize(bill)), ["PaymentCancelled"])
      assert.deepStrictEqual(told(yield* capture(bill)), ["PaymentCancelled"])
      assert.deepStrictEqual(yield* cancel(bill), answer)
      assert.containSubset(yield* booksOf(bill), [{ authorizationId: null, state: "UNKNOWN", events: "" }])
      assert.deepStrictEqual(yield* disagreements(bill), [])
    })
  )

  it.effect("of which a part is taken gives back exactly that part", () =>
    Effect.gen(function* () {
      const bill = newBill()
      yield* authorize(bill)
      const [answer] = successes(yield* capture(partOf(bill, 120)))
      assert.strictEqual(answer?.amountCents, 120)
      assert.deepStrictEqual(told(yield* capture(bill)), ["KeyConflict"])
      assert.deepStrictEqual(told(yield* cancel(bill)), ["refunded 120"])
      assert.containSubset(yield* booksOf(bill), [{ authorized: 500, captured: 120, refunded: 120 }])
      assert.deepStrictEqual(yield* disagreements(bill), [])
    })
  )

  it.effect("of which more is to be taken than is held refuses, and does so ever after", () =>
    Effect.gen(function* () {
      const bill = newBill()
      yield* authorize(bill)
      const answer = yield* capture(partOf(bill, 501))
      assert.deepStrictEqual(told(answer), ["CaptureRefused: over_authorized"])
      assert.deepStrictEqual(yield* capture(partOf(bill, 501)), answer)
      assert.deepStrictEqual(told(yield* capture(bill)), ["KeyConflict"])
      assert.containSubset(yield* booksOf(bill), [{ entries: "authorized", operations: "authorize" }])
      assert.deepStrictEqual(told(yield* cancel(bill)), ["voided 500"])
    })
  )

  it.effect("that nobody authorized refuses to be taken, also when it is authorized later", () =>
    Effect.gen(function* () {
      const bill = newBill()
      const answer = yield* capture(bill)
      assert.deepStrictEqual(told(answer), ["CaptureRefused: unknown_payment"])
      assert.deepStrictEqual(told(yield* authorize(bill)), ["ok"])
      assert.deepStrictEqual(yield* capture(bill), answer)
      assert.deepStrictEqual(told(yield* cancel(bill)), ["voided 500"])
      assert.deepStrictEqual(yield* disagreements(bill), [])
    })
  )

  it.effect("whose card refuses the capture stays refused, and is voided when it is cancelled", () =>
    Effect.gen(function* () {
      const bill = newBill("tok_capture_declined")
      yield* authorize(bill)
      const answer = yield* capture(bill)
      assert.deepStrictEqual(told(answer), ["CaptureRefused: capture_declined"])
      assert.deepStrictEqual(yield* capture(bill), answer)
      assert.containSubset(yield* booksOf(bill), [{ state: "AUTHORIZED", entries: "authorized" }])
      assert.deepStrictEqual(told(yield* cancel(bill)), ["voided 500"])
      assert.containSubset(yield* booksOf(bill), [{ operations: "authorize capture void", state: "VOIDED" }])
      assert.deepStrictEqual(yield* disagreements(bill), [])
    })
  )

  it.effect("asked for with another amount, currency or card is a conflict, and stays what it was", () =>
    Effect.gen(function* () {
      const bill = newBill()
      const answer = yield* authorize(bill)
      const others = [partOf(bill, 501), { ...bill, currency: "EUR" }, { ...bill, token: newBill("tok_other").token }]
      for (const other of others) assert.deepStrictEqual(told(yield* authorize(other)), ["KeyConflict"])
      assert.deepStrictEqual(yield* authorize(bill), answer)
      assert.containSubset(yield* booksOf(bill), [{ authorized: 500, operations: "authorize" }])
    })
  )

  it.effect("in a set of all sorts has the answer that is its own", () =>
    Effect.gen(function* () {
      const [good, declined, unwilling, cancelled] = [
        newBill(),
        newBill("tok_decline_expired"),
        newBill("tok_capture_declined"),
        newBill()
      ]
      yield* cancel(cancelled)
      const all = [good, declined, unwilling, cancelled]
      assert.deepStrictEqual(told(yield* authorize(...all)), [
        "ok",
        "PaymentDeclined: card_expired",
        "ok",
        "PaymentCancelled"
      ])
      assert.deepStrictEqual(told(yield* capture(...all, newBill())), [
        "ok",
        "CaptureRefused: not_authorized",
        "CaptureRefused: capture_declined",
        "PaymentCancelled",
        "CaptureRefused: unknown_payment"
      ])
      assert.deepStrictEqual(told(yield* cancel(...all)), ["refunded 500", "nothing 0", "voided 500", "nothing 0"])
      assert.deepStrictEqual(yield* disagreements(...all), [])
    })
  )

  it.effect("tells what becomes of it in versions without a gap, under the trace of whoever asked", () =>
    Effect.gen(function* () {
      const under = askedUnder(trace)
      const [taken, held] = [newBill(), newBill("tok_capture_declined")]
      const declined = newBill("tok_decline_stolen")
      yield* under.authorize(taken, held, declined)
      yield* under.capture(partOf(taken, 200), held)
      yield* under.cancel(taken, held)
      const [book] = yield* booksOf(taken)
      const told = yield* eventsAbout(taken)
      const about = { orderId: taken.orderId, authorizationId: book?.authorizationId, currency: "USD" }
      const all = { subject: taken.orderId, traceparent: trace }
      assert.containSubset(told, [
        { ...all, version: 1, type: "payment.authorized", data: { ...about, amountCents: 500 } },
        { ...all, version: 2, type: "payment.captured", data: { ...about, amountCents: 200 } },
        { ...all, version: 3, type: "payment.refunded", data: { ...about, amountCents: 200 } }
      ])
      assert.strictEqual(told.length, 3)
      const others = yield* Effect.forEach([held, declined], (bill) => eventsAbout(bill))
      assert.containSubset(others, [
        [
          { version: 1, type: "payment.authorized" },
          { version: 2, type: "payment.capture_refused", data: { amountCents: 500, reason: "capture_declined" } },
          { version: 3, type: "payment.voided", data: { amountCents: 500 }, traceparent: trace }
        ],
        [{ version: 1, type: "payment.declined", data: { amountCents: 500, declineCode: "card_declined" } }]
      ])
      assert.deepStrictEqual(
        others.map(({ length }) => length),
        [3, 1]
      )
    })
  )
})
