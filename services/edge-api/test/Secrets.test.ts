import { Neighbours } from "@ecommerce/testing/Neighbours"
import { until } from "@ecommerce/testing/ServiceProcess"
import { TestDatabase } from "@ecommerce/testing/TestDatabase"
import * as Witness from "@ecommerce/testing/Witness"
import { assert, layer } from "@effect/vitest"
import { Effect, Fiber } from "effect"

import { accounts, get, idOf, layer as counter, newProduct, place } from "./fixtures/Counter.ts"

const settings = { PROCESSOR_TIMEOUT: "5 seconds", AUTHORIZE_WITHIN: "4 seconds" }
const mentioning = (tables: ReadonlyArray<string>) => tables.filter((table) => !table.endsWith(" 0"))

layer(counter(settings), { excludeTestServices: true })("what is a customer's own", (it) => {
  const wish = (token: string) =>
    Effect.map(newProduct(), (product_id) => ({ items: [{ product_id, quantity: 1 }], token }))

  it.effect("is gone with the answer, where it is a card's token, whatever the answer is", () =>
    Effect.gen(function* () {
      const { mentions } = yield* Witness.make("edge-api")
      const tokens = ["tok_visa_secret", "tok_decline_secret"]
      for (const token of tokens) {
        yield* place(crypto.randomUUID(), yield* wish(token))
        assert.deepStrictEqual(mentioning(yield* mentions(token)), [])
      }
    })
  )

  it.effect("is kept with the request alone until payment has answered, where it is a card's token", () =>
    Effect.gen(function* () {
      const { mentions } = yield* Witness.make("edge-api")
      const { payment } = yield* Neighbours
      const asked = yield* wish("tok_visa_pending")
      yield* payment.relay.be("stuck")
      const placing = yield* Effect.forkChild(place("secret-pending", asked))
      yield* until(Effect.map(accounts, (all) => all.some(({ isAnswered }) => !isAnswered)))
      assert.deepStrictEqual(mentioning(yield* mentions("tok_visa_pending")), ["edge_api.checkouts 1"])
      assert.strictEqual((yield* Fiber.join(placing)).status, 503)
      yield* payment.relay.be("open")
      assert.strictEqual((yield* place("secret-pending", asked)).status, 202)
      assert.deepStrictEqual(mentioning(yield* mentions("tok_visa_pending")), [])
    })
  )

  it.effect("is not told to whoever asks for an order or for a user's orders, where it is an e-mail address", () =>
    Effect.gen(function* () {
      const { administrator } = yield* TestDatabase
      const said = yield* place("secret-mail", yield* wish("tok_visa_mail"))
      const stored = yield* administrator`SELECT email FROM edge_api.order_ledger WHERE order_id = ${idOf(said)}`
      assert.deepStrictEqual(stored, [{ email: "anna@example.com" }])
      assert.notInclude(JSON.stringify(yield* get(idOf(said))), "anna@")
    })
  )
})
