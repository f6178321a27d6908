/**
 * A payment process that stands still in the middle of a capture and goes on when another one has cancelled the payment:
 * whatever it finds to do then, no money is kept, and both books tell the same.
 */
import { until } from "@ecommerce/testing/ServiceProcess"
import { TestDatabase } from "@ecommerce/testing/TestDatabase"
import { assert, layer } from "@effect/vitest"
import { Effect, Fiber } from "effect"

import {
  assertAgreement,
  amount,
  authorize,
  cancel,
  capture,
  holdUpAt,
  layer as payment,
  newOrders,
  reconcile,
  start,
  storyOf,
  untilHeldUp
} from "./fixtures/PaymentProcess.ts"

/** Long enough to be seen and stopped in, also by a slow machine. */
const latency = 10_000

const runSql = Effect.fn("runSql")(function* (statement: string) {
  const { administrator } = yield* TestDatabase
  return yield* administrator.unsafe(statement)
})
const isSo = (condition: string) => Effect.map(runSql(`SELECT WHERE ${condition}`), (rows) => rows.length > 0)

const paymentOf = (order: string) => `SELECT authorization_id FROM payment.payments WHERE order_id = '${order}'`
const delay = (order: string, millis: number) =>
  runSql(`UPDATE payment.processor_payments SET delay_millis = ${millis} WHERE reference IN (${paymentOf(order)})`)

const zombies = [
  {
    where: "before the processor has heard of it",
    settings: { MOCK_LATENCY_MS: String(latency) },
    prepare: () => Effect.void,
    isThere: (order: string) =>
      isSo(`EXISTS (SELECT FROM payment.payments WHERE order_id = '${order}' AND capture_id IS NOT NULL)`),
    settle: () => Effect.void,
    returned: "voided",
    state: "VOIDED",
    operations: ["authorize", "void", "capture"],
    told: ["payment.authorized", "payment.voided"]
  },
  {
    where: "when the processor has taken the money and its answer is on the way",
    settings: {},
    prepare: (order: string) => delay(order, latency),
    isThere: (order: string) =>
      isSo(`EXISTS (
        SELECT FROM payment.processor_payments WHERE state = 'CAPTURED' AND reference IN (${paymentOf(order)}))`),
    settle: (order: string) => delay(order, 0),
    returned: "refunded",
    state: "REFUNDED",
    operations: ["authorize", "capture", "void", "refund"],
    told: ["payment.authorized", "payment.captured", "payment.refunded"]
  }
] as const

layer(payment, { excludeTestServices: true })("a payment process that stood still in a capture", (it) => {
  for (const { isThere, operations, prepare, returned, settings, settle, state, told, where } of zombies) {
    it.effect(
      `${where} finds the payment cancelled by another, and keeps no money`,
      () =>
        Effect.gen(function* () {
          const [order = ""] = newOrders(1)
          const [zombie, other] = yield* Effect.all([start(settings), start()], { concurrency: "unbounded" })
          assert.deepStrictEqual(yield* other.ask(authorize, [order]), ["ok"])
          yield* prepare(order)
          const capturing = yield* Effect.forkChild(zombie.ask(capture, [order]))
          yield* until(isThere(order))
          yield* zombie.signal("SIGSTOP")
          yield* settle(order)
          assert.deepStrictEqual(yield* other.ask(cancel, [order]), [returned])
          const cancelled = yield* storyOf(order)
          yield* zombie.signal("SIGCONT")
          assert.deepStrictEqual(yield* Fiber.join(capturing), ["PaymentCancelled"])
          const after = yield* storyOf(order)
          assert.deepStrictEqual({ ...after, operations }, { ...cancelled, operations })
          assert.deepStrictEqual([after?.isOpen, after?.state], [false, state])
          assert.deepStrictEqual([after?.operations, after?.told], [operations, told])
          assert.deepStrictEqual(yield* zombie.ask(cancel, [order]), [returned])
          assertAgreement(yield* reconcile())
        }),
      180_000
    )
  }

  // PostgreSQL ends a transaction in which nothing happens any more (idle_in_transaction_session_timeout of the role).
  it.effect(
    "in the transaction that writes it down stops nobody for long, and keeps no money",
    () =>
      Effect.gen(function* () {
        const [order = ""] = newOrders(1)
        const [zombie, other] = yield* Effect.all([start(), start()], { concurrency: "unbounded" })
        assert.deepStrictEqual(yield* other.ask(authorize, [order]), ["ok"])
        const capturing = yield* Effect.scoped(
          Effect.gen(function* () {
            yield* holdUpAt({ book: "captures" }, [order], 4)
            const capturing = yield* Effect.forkDetach(Effect.exit(zombie.ask(capture, [order])))
            yield* untilHeldUp
            yield* zombie.signal("SIGSTOP")
            // The table is changed back when nobody uses it any more: when the transaction has ended.
            return capturing
          })
        )
        const cancelled = other
          .ask(cancel, [order])
          .pipe(Effect.match({ onFailure: () => false, onSuccess: ([answer]) => answer === "refunded" }))
        yield* until(cancelled)
        yield* zombie.signal("SIGCONT")
        yield* Fiber.join(capturing)
        assert.deepStrictEqual(yield* zombie.ask(capture, [order]), ["PaymentCancelled"])
        const story = yield* storyOf(order)
        assert.deepStrictEqual([story?.captured, story?.refunded, story?.state], [amount, amount, "REFUNDED"])
        assert.deepStrictEqual(story?.told, ["payment.authorized", "payment.captured", "payment.refunded"])
        assertAgreement(yield* reconcile())
      }),
    180_000
  )
})
