import { rowsOf } from "@ecommerce/sets/Sets"
import { TestDatabase } from "@ecommerce/testing/TestDatabase"
import { anotherOrchestrator } from "@ecommerce/testing/WholeStack"
import { assert, layer } from "@effect/vitest"
import { Effect, Schema } from "effect"

import {
  cancel,
  everythingFits,
  newProduct,
  place,
  shop,
  statesOf,
  stockOf,
  tracesOf,
  untilState
} from "./fixtures/Shop.ts"

const workerRows = rowsOf(Schema.Struct({ worker: Schema.String }))

/** The processor is slow to answer now and then, and loses replies. */
const trouble = {
  MOCK_FAILURE_RATE: "0.05",
  MOCK_LOST_REPLY_RATE: "0.05",
  PROCESSOR_TIMEOUT: "1 second",
  PROCESSOR_BREAKER_FAILURES: "1000",
  // How an order ends is up to its customer: by chance somebody would be away for all attempts of one.
  MAX_RETRY_ATTEMPTS: "1000000"
}

layer(shop(trouble), { excludeTestServices: true })("two orchestrators and three hundred orders", (it) => {
  it.effect(
    "bring each of them to its end, with nothing sold twice and nothing left over",
    () =>
      Effect.gen(function* () {
        const { administrator } = yield* TestDatabase
        yield* anotherOrchestrator(trouble)
        const [plenty, scarce] = [yield* newProduct(10_000), yield* newProduct(20)]
        const wishes = Array.from({ length: 300 }, (_, n) => {
          // A third of them fails: no stock, no money, no wish any more.
          if (n % 9 === 0) return { productId: scarce, quantity: 5 }
          if (n % 9 === 1) return { productId: plenty, token: "tok_capture_declined" }
          return { productId: plenty, isCancelled: n % 9 === 2 }
        })
        const placed = yield* Effect.forEach(
          wishes,
          (wish) => Effect.map(place(wish), (orderId) => ({ orderId, wish })),
          { concurrency: 50 }
        )
        yield* Effect.forEach(
          placed.filter(({ wish }) => wish.isCancelled === true),
          ({ orderId }) => cancel(orderId),
          { concurrency: 20 }
        )
        const ends = yield* Effect.forEach(
          placed,
          ({ orderId, wish }) =>
            Effect.gen(function* () {
              if (wish.isCancelled !== true) return { orderId, end: (yield* statesOf(orderId)).at(-1) }
              yield* untilState(orderId, "CANCELLED")
              return { orderId, end: "CANCELLED" }
            }),
          { concurrency: 20 }
        )
        const counts = Map.groupBy(ends, ({ end }) => end)
        // Three times 34 are to fail, but four of them found what was scarce.
        assert.strictEqual(counts.get("COMPLETED")?.length, 300 - 3 * 34 + 4)
        assert.strictEqual(counts.get("CANCELLED")?.length, 34)
        assert.strictEqual(yield* stockOf(scarce), 0)
        assert.strictEqual(yield* stockOf(plenty), 10_000 - ((counts.get("COMPLETED")?.length ?? 0) - 4))
        for (const { end, orderId } of ends) {
          const traces = yield* tracesOf(orderId)
          assert.strictEqual(traces?.order, end === "COMPLETED" ? "CONFIRMED" : "CANCELLED")
          assert.isFalse(traces?.isHeld)
          if (end !== "COMPLETED") assert.strictEqual(traces?.capturedCents, traces?.refundedCents)
        }
        yield* everythingFits
        const workers = yield* workerRows(administrator`SELECT DISTINCT worker FROM orchestrator.saga_journal`)
        assert.strictEqual(workers.length, 2)
      }),
    180_000
  )
})
