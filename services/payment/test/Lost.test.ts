import { TestDatabase } from "@ecommerce/testing/TestDatabase"
import { assert, layer } from "@effect/vitest"
import { Context, Deferred, Effect, Fiber, Layer, Schedule } from "effect"

import { Processor } from "../src/Processor.ts"
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
  tillBehind,
  told
} from "./fixtures/Till.ts"

layer(till(), { excludeTestServices: true })("a reply that is lost", (it) => {
  it.effect("makes each operation unavailable at first, and known when it is asked for again", () =>
    Effect.gen(function* () {
      const bill = newBill("tok_lost_reply")
      for (const [ask, state, outcome] of [
        [authorize(bill), "AUTHORIZED", "ok"],
        [capture({ ...bill, amountCents: 300 }), "CAPTURED", "ok"],
        [cancel(bill), "REFUNDED", "refunded 300"]
      ] as const) {
        assert.deepStrictEqual(told(yield* ask), ["Unavailable"])
        // It was done all the same.
        assert.containSubset(yield* booksOf(bill), [{ state, isOpen: true }])
        const answer = yield* ask
        assert.deepStrictEqual(told(answer), [outcome])
        assert.deepStrictEqual(yield* ask, answer)
      }
      assert.containSubset(yield* booksOf(bill), [
        { authorized: 500, captured: 300, refunded: 300, operations: "authorize capture refund", version: 3 }
      ])
      assert.deepStrictEqual(yield* disagreements(bill), [])
    })
  )

  it.effect("of a void is found by the next cancel, which voids nothing a second time", () =>
    Effect.gen(function* () {
      const bill = newBill("tok_lost_reply")
      yield* Effect.all([authorize(bill), authorize(bill)])
      assert.deepStrictEqual(told(yield* cancel(bill)), ["Unavailable"])
      assert.deepStrictEqual(told(yield* authorize(bill)), ["PaymentCancelled"])
      assert.deepStrictEqual(told(yield* cancel(bill)), ["voided 500"])
      assert.containSubset(yield* booksOf(bill), [{ entries: "authorized voided", operations: "authorize void" }])
      assert.deepStrictEqual(yield* disagreements(bill), [])
    })
  )

  it.effect("of a capture is found by the cancel that comes instead of a retry: it is recorded, and refunded", () =>
    Effect.gen(function* () {
      const bill = newBill("tok_lost_reply")
      yield* Effect.all([authorize(bill), authorize(bill)])
      assert.deepStrictEqual(told(yield* capture({ ...bill, amountCents: 200 })), ["Unavailable"])
      // The void is answered, with "captured"; that answer is lost as well, and so is the first one to the refund.
      const answers = [yield* cancel(bill), yield* cancel(bill), yield* cancel(bill)].flatMap(told)
      assert.strictEqual(answers.at(-1), "refunded 200")
      assert.isTrue(answers.slice(0, -1).every((answer) => answer === "Unavailable" || answer === "refunded 200"))
      assert.containSubset(yield* booksOf(bill), [
        { captured: 200, refunded: 200, voided: 0, state: "REFUNDED", operations: "authorize capture refund void" }
      ])
      assert.deepStrictEqual(
        (yield* eventsAbout(bill)).map(({ type }) => type),
        ["payment.authorized", "payment.captured", "payment.refunded"]
      )
      assert.deepStrictEqual(told(yield* capture({ ...bill, amountCents: 200 })), ["PaymentCancelled"])
      assert.deepStrictEqual(yield* disagreements(bill), [])
    })
  )

  it.effect("of a capture is found by sixteen cancels and captures at once, with one refund", () =>
    Effect.gen(function* () {
      const bill = newBill("tok_lost_reply")
      yield* Effect.all([authorize(bill), authorize(bill), capture(bill)])
      yield* Effect.all(Array.from({ length: 8 }, () => [cancel(bill), capture(bill)]).flat(), {
        concurrency: "unbounded"
      })
      yield* cancel(bill)
      assert.deepStrictEqual(told(yield* cancel(bill)), ["refunded 500"])
      assert.containSubset(yield* booksOf(bill), [{ entries: "authorized captured refunded", version: 3 }])
      assert.deepStrictEqual(yield* disagreements(bill), [])
    })
  )

  it.effect("concerns its own payment alone among others of the set", () =>
    Effect.gen(function* () {
      const [before, lost, after] = [newBill(), newBill("tok_lost_reply"), newBill("tok_decline_stolen")]
      const all = [before, lost, after]
      const declined = "PaymentDeclined: card_declined"
      assert.deepStrictEqual(told(yield* authorize(...all)), ["ok", "Unavailable", declined])
      assert.deepStrictEqual(told(yield* authorize(...all)), ["ok", "ok", declined])
      assert.deepStrictEqual(told(yield* cancel(before, lost)), ["voided 500", "Unavailable"])
      assert.deepStrictEqual(told(yield* cancel(before, lost)), ["voided 500", "voided 500"])
      assert.deepStrictEqual(yield* disagreements(...all), [])
    })
  )
})

const bounded = till({ PROCESSOR_TIMEOUT: "3 seconds" })

layer(bounded, { excludeTestServices: true })("a reply that takes too long", (it) => {
  it.effect("makes its own payment unavailable while the others of its set are done, and a retry finds it done", () =>
    Effect.gen(function* () {
      const [slow, other] = [newBill("tok_slow_600000"), newBill()]
      const answers = yield* authorize(slow, other)
      assert.deepStrictEqual(told(answers), ["Unavailable", "ok"])
      const reason = "The processor did not answer within 3s."
      assert.containSubset(answers[0], { failure: { command: "authorize-payment", reason } })
      assert.deepStrictEqual(told(yield* authorize(slow, other)), ["ok", "ok"])
      assert.deepStrictEqual(told(yield* capture(slow, other)), ["Unavailable", "ok"])
      // Nobody asks for the capture again: the void finds it done.
      assert.deepStrictEqual(told(yield* cancel(other)), ["refunded 500"])
      const cancels = yield* Effect.forEach(Array.from({ length: 3 }), () => cancel(slow))
      assert.deepStrictEqual(cancels.flatMap(told).at(-1), "refunded 500")
      assert.deepStrictEqual(yield* disagreements(slow, other), [])
    })
  )
})

const slow = till({ MOCK_LATENCY_MS: "1500", PROCESSOR_TIMEOUT: "300 millis" })

layer(slow, { excludeTestServices: true })("a processor that is slow at its work", (it) => {
  it.effect("does it also when nobody waits for the reply any more", () =>
    Effect.gen(function* () {
      const bill = newBill()
      assert.deepStrictEqual(told(yield* authorize(bill)), ["Unavailable"])
      const states = Effect.map(booksOf(bill), (books) => books.map(({ state }) => state))
      yield* Effect.repeat(states, {
        until: ([state]) => state === "AUTHORIZED",
        schedule: Schedule.spaced("50 millis")
      })
      assert.containSubset(yield* booksOf(bill), [{ isOpen: true, entries: "", authorizedThere: 500 }])
    })
  )
})

layer(till({ MOCK_FAILURE_RATE: "1" }), { excludeTestServices: true })("a processor that is away", (it) => {
  it.effect("makes every payment unavailable, and knows nothing of any", () =>
    Effect.gen(function* () {
      const [bill, another] = [newBill(), newBill("tok_decline_stolen")]
      assert.deepStrictEqual(told(yield* authorize(bill, another)), ["Unavailable", "Unavailable"])
      assert.deepStrictEqual(told(yield* capture(bill)), ["Unavailable"])
      assert.deepStrictEqual(told(yield* cancel(bill)), ["Unavailable"])
      // That nothing is held from now on is certain already.
      assert.deepStrictEqual(told(yield* authorize(bill)), ["PaymentCancelled"])
      const untouched = { state: "UNKNOWN", operations: "", entries: "", events: "", isOpen: true }
      assert.containSubset(yield* booksOf(bill, another), [untouched, untouched])
      const { administrator } = yield* TestDatabase
      assert.deepStrictEqual(yield* administrator`SELECT reference FROM payment.processor_payments`, [])
    })
  )
})

/** Holds authorizations and captures back on their way to the processor, until somebody lets them go. */
class Gate extends Context.Service<
  Gate,
  { readonly arrived: Deferred.Deferred<void>; readonly opened: Deferred.Deferred<void> }
>()("@ecommerce/payment/test/Gate") {
  static readonly layer = Layer.effect(
    Gate,
    Effect.all({ arrived: Deferred.make<void>(), opened: Deferred.make<void>() })
  )
}
const gateBefore = (operation: "authorize" | "capture", { arrived, opened }: Gate["Service"]) =>
  Layer.effect(
    Processor,
    Effect.gen(function* () {
      const processor = yield* Processor
      const held = Effect.andThen(Deferred.succeed(arrived, undefined), Deferred.await(opened))
      return Processor.of({
        ...processor,
        authorize: (request) =>
          operation === "authorize" ? Effect.andThen(held, processor.authorize(request)) : processor.authorize(request),
        capture: (request) =>
          operation === "capture" ? Effect.andThen(held, processor.capture(request)) : processor.capture(request)
      })
    })
  )
const gated = (operation: "authorize" | "capture") =>
  Layer.unwrap(Effect.map(Gate, (gate) => tillBehind(gateBefore(operation, gate)))).pipe(Layer.provideMerge(Gate.layer))

layer(gated("authorize"), { excludeTestServices: true })("an authorization that comes after the void", (it) => {
  it.effect("is reversed: nothing is held, and nobody is told of a payment", () =>
    Effect.gen(function* () {
      const { arrived, opened } = yield* Gate
      const bill = newBill()
      const authorizing = yield* Effect.forkChild(authorize(bill))
      yield* Deferred.await(arrived)
      const answer = yield* cancel(bill)
      assert.deepStrictEqual(told(answer), ["nothing 0"])
      yield* Deferred.succeed(opened, undefined)
      assert.deepStrictEqual(told(yield* Fiber.join(authorizing)), ["PaymentCancelled"])
      assert.deepStrictEqual(told(yield* authorize(bill)), ["PaymentCancelled"])
      assert.deepStrictEqual(yield* cancel(bill), answer)
      assert.containSubset(yield* booksOf(bill), [
        { isReversed: true, entries: "", state: "VOIDED", operations: "authorize void", authorizedThere: 0, events: "" }
      ])
      assert.deepStrictEqual(yield* disagreements(bill), [])
    })
  )
})

layer(gated("capture"), { excludeTestServices: true })("a capture that comes after the void", (it) => {
  it.effect("takes nothing, and is told that the payment was cancelled", () =>
    Effect.gen(function* () {
      const { arrived, opened } = yield* Gate
      const bill = newBill()
      yield* authorize(bill)
      const capturing = yield* Effect.forkChild(askedUnder().capture(bill))
      yield* Deferred.await(arrived)
      assert.deepStrictEqual(told(yield* cancel(bill)), ["voided 500"])
      yield* Deferred.succeed(opened, undefined)
      assert.deepStrictEqual(told(yield* Fiber.join(capturing)), ["PaymentCancelled"])
      assert.containSubset(yield* booksOf(bill), [
        { entries: "authorized voided", operations: "authorize capture void", capturedThere: 0 }
      ])
      assert.deepStrictEqual(yield* disagreements(bill), [])
    })
  )
})
