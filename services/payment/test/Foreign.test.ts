import { TestDatabase } from "@ecommerce/testing/TestDatabase"
import { assert, layer } from "@effect/vitest"
import { Duration, Effect } from "effect"

import { lastId, Reconciliation } from "../src/Reconciliation.ts"
import { authorize, booksOf, cancel, capture, disagreements, newBill, till, told } from "./fixtures/Till.ts"

/** The processor's record of this payment becomes this, without anybody here having asked. */
const atTheProcessor = Effect.fn("atTheProcessor")(function* (
  { orderId }: { readonly orderId: string },
  state: string,
  cents: number
) {
  const { administrator } = yield* TestDatabase
  yield* administrator`
    UPDATE payment.processor_payments SET state = ${state}, authorized_cents = ${cents}, captured_cents = ${cents}
    WHERE reference = (SELECT authorization_id FROM payment.payments WHERE order_id = ${orderId})`
})

layer(till(), { excludeTestServices: true })("what the processor did without us", (it) => {
  it.effect("is given back by a cancel where it took the money", () =>
    Effect.gen(function* () {
      const bill = newBill()
      yield* authorize(bill)
      yield* atTheProcessor(bill, "CAPTURED", 500)
      const cancelled = yield* cancel(bill)
      assert.deepStrictEqual(told(cancelled), ["refunded 500"])
      assert.deepStrictEqual(yield* cancel(bill), cancelled)
      assert.containSubset(yield* booksOf(bill), [{ state: "REFUNDED", captured: 500, refunded: 500, isOpen: false }])
    })
  )

  it.effect("is a refusal to capture where it let the money go", () =>
    Effect.gen(function* () {
      const bill = newBill()
      yield* authorize(bill)
      const { administrator } = yield* TestDatabase
      yield* administrator`
        UPDATE payment.processor_payments SET state = 'VOIDED'
        WHERE reference = (SELECT authorization_id FROM payment.payments WHERE order_id = ${bill.orderId})`
      const refused = yield* capture(bill)
      assert.deepStrictEqual(told(refused), ["CaptureRefused: not_authorized"])
      assert.deepStrictEqual(yield* capture(bill), refused)
    })
  )

  it.effect("keeps nobody else out of the books where they cannot hold it, and is told as a difference", () =>
    Effect.gen(function* () {
      const { compare, settleLate } = yield* Reconciliation
      const [odd, late] = [newBill("tok_lost_reply"), newBill("tok_lost_reply")]
      for (const bill of [odd, late]) yield* Effect.all([authorize(bill), authorize(bill), capture(bill)])
      yield* atTheProcessor(odd, "CAPTURED", 9000)
      yield* settleLate(Duration.zero)
      assert.containSubset(yield* booksOf(late), [{ captured: 500, isOpen: false }])
      assert.deepStrictEqual(yield* disagreements(late), [])
      assert.deepStrictEqual(told(yield* capture(odd)), ["Unavailable"])
      const { differences } = yield* compare({ after: "", until: lastId })
      assert.strictEqual(differences.length, 1)
      assert.include(differences[0]?.says, "CAPTURED there (authorized 9000, captured 9000, refunded 0)")
    })
  )
})
