import { TestDatabase } from "@ecommerce/testing/TestDatabase"
import { assert, layer } from "@effect/vitest"
import { Effect, Fiber, Latch, Schedule } from "effect"

import { booksOf, cancel, newBill, till } from "./fixtures/Till.ts"

const untilSomebodyWaits = Effect.gen(function* () {
  const { administrator } = yield* TestDatabase
  yield* administrator`
    SELECT FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%INSERT INTO payments%'`.pipe(
    Effect.repeat({ until: (rows) => rows.length > 0, schedule: Schedule.spaced("10 millis") }),
    Effect.timeout("100 seconds")
  )
})

layer(till(), { excludeTestServices: true })("a cancel that meets the settling of a declined payment", (it) => {
  it.effect("waits for it, and leaves nothing open", () =>
    Effect.gen(function* () {
      const { administrator } = yield* TestDatabase
      const bill = newBill("tok_decline_insufficient")
      const authorizationId = `auth_${crypto.randomUUID().replaceAll("-", "")}`
      yield* administrator`
        INSERT INTO payment.payments (order_id, authorization_id, amount_cents, currency, digest, is_open)
        VALUES (${bill.orderId}::uuid, ${authorizationId}, ${bill.amountCents}::int, 'USD', 'digest', true)`
      const isHeld = yield* Latch.make(false)
      const isOver = yield* Latch.make(false)
      const settling = yield* administrator
        .withTransaction(
          Effect.gen(function* () {
            yield* administrator`SELECT FROM payment.payments WHERE order_id = ${bill.orderId}::uuid FOR NO KEY UPDATE`
            yield* administrator`
              INSERT INTO payment.authorizations (authorization_id, amount_cents, decline_code)
              VALUES (${authorizationId}, ${bill.amountCents}::int, 'insufficient_funds')`
            yield* administrator`
              UPDATE payment.payments SET is_open = false, version = 1 WHERE order_id = ${bill.orderId}::uuid`
            yield* isHeld.open
            yield* isOver.await
          })
        )
        .pipe(Effect.forkChild)
      yield* isHeld.await
      const cancelling = yield* Effect.forkChild(cancel(bill))
      yield* untilSomebodyWaits
      yield* isOver.open
      yield* Fiber.join(settling)
      yield* Fiber.join(cancelling)
      const [book] = yield* booksOf(bill)
      assert.deepStrictEqual([book?.isCancelled, book?.isOpen], [true, false])
    })
  )
})
