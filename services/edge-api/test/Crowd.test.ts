import { Long, rowsOf } from "@ecommerce/sets/Sets"
import { TestDatabase } from "@ecommerce/testing/TestDatabase"
import { assert, layer } from "@effect/vitest"
import { Effect, Schedule, Schema } from "effect"

import { accounts, idOf, layer as counter, newProduct, place, replica } from "./fixtures/Counter.ts"

/** The pretend processor is away now and then, and loses replies; edge asks again. */
const settings = {
  PROCESSOR_BREAKER_FAILURES: "1000",
  MOCK_FAILURE_RATE: "0.05",
  MOCK_LOST_REPLY_RATE: "0.05",
  PROCESSOR_TIMEOUT: "1 second"
}

const sumRows = rowsOf(Schema.Struct({ orders: Long, ledgerCents: Long, heldCents: Long, linesCents: Long }))

layer(counter(settings), { excludeTestServices: true })("two hundred orders at once", (it) => {
  it.effect("are as many as there are keys, with one authorization each, and the books of all agree", () =>
    Effect.gen(function* () {
      const there = yield* replica(settings)
      const products = yield* Effect.forEach([1999, 2999, 1], newProduct)
      const requests = Array.from({ length: 200 }, (_, number) => {
        // Some keys come once, some again and again, and some with a card that is declined.
        const key = (number * 7919) % 120
        const items = products.map((product_id, place) => ({ product_id, quantity: 1 + ((key + place) % 5) }))
        const token = key % 10 === 0 ? "tok_decline_stolen" : "tok_visa_success"
        return { key: `crowd-${key}`, wish: { items, token }, isHere: number % 3 !== 0 }
      })
      const ask = ({ isHere, key, wish }: (typeof requests)[number]) =>
        isHere ? place(key, wish) : there(place(key, wish))
      const first = yield* Effect.forEach(requests, ask, { concurrency: "unbounded" })
      // Whoever was told to come again does, until there is an answer.
      const insist = (request: (typeof requests)[number]) =>
        Effect.repeat(ask(request), {
          until: ({ status }) => status === 202 || status === 402,
          schedule: Schedule.spaced("200 millis")
        }).pipe(Effect.timeout("100 seconds"))
      const last = yield* Effect.forEach(requests, insist, { concurrency: "unbounded" })

      const answers = [...first, ...last]
      assert.isEmpty(answers.filter(({ status }) => ![202, 402, 409, 503].includes(status)))
      const keys = new Set(requests.map(({ key }) => key))
      const stored = yield* accounts
      assert.lengthOf(stored, keys.size)
      for (const account of stored) {
        assert.include(["AUTHORIZED", "AUTHORIZATION_FAILED"], account.status)
        assert.strictEqual(account.authorizations, 1)
        assert.lengthOf(account.told, 1)
        assert.isFalse(account.hasToken)
      }
      const byKey = Map.groupBy(
        requests.map(({ key }, number) => ({ key, said: last[number] })),
        ({ key }) => key
      )
      for (const said of byKey.values()) assert.strictEqual(new Set(said.map((one) => one.said?.text)).size, 1)
      assert.strictEqual(new Set(last.map(idOf)).size, keys.size)

      const { administrator: sql } = yield* TestDatabase
      const [sums] = yield* sumRows(sql`
        SELECT count(*) AS orders, sum(total_cents)::bigint AS ledger_cents,
          sum((SELECT sum(quantity * unit_price_cents) FROM edge_api.order_lines AS lines
            WHERE lines.order_id = order_ledger.order_id))::bigint AS lines_cents,
          sum((SELECT authorized_cents FROM payment.payments JOIN payment.processor_payments ON reference = authorization_id
            WHERE payments.order_id = order_ledger.order_id))::bigint AS held_cents
        FROM edge_api.order_ledger WHERE status = 'AUTHORIZED'`)
      assert.isDefined(sums)
      assert.strictEqual(sums.heldCents, sums.ledgerCents)
      assert.strictEqual(sums.linesCents, sums.ledgerCents)
      assert.isAbove(sums.orders, 90)
    })
  )
})
