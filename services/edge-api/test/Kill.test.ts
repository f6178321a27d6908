/**
 * kill -9 between each pair of writes of an order: others bring it to its end, whether its client asks again or not, and
 * it has one authorization, one event and one answer.
 */
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"

import { type Account, idOf, newProduct, place, replica, type Said } from "./fixtures/Counter.ts"
import {
  accountsOf,
  killAfter,
  killAt,
  layer as neighbours,
  newKey,
  newUser,
  type Point,
  start,
  type Statement,
  tablesWith,
  untilAnswered,
  withoutId
} from "./fixtures/EdgeProcess.ts"

const price = 2500

type Story = Omit<Account, "orderId">

const awaiting: Story = {
  status: "AWAITING_AUTHORIZATION",
  stage: "OPEN",
  isAnswered: false,
  hasToken: true,
  told: [],
  authorizations: 0,
  heldCents: 0
}
const held: Story = { ...awaiting, authorizations: 1, heldCents: price }
const authorized: Story = {
  ...held,
  status: "AUTHORIZED",
  isAnswered: true,
  hasToken: false,
  told: ["order.authorized"]
}
/** The processor was asked, and holds nothing. */
const refused: Story = { ...awaiting, authorizations: 1 }
const declined: Story = {
  ...refused,
  status: "AUTHORIZATION_FAILED",
  isAnswered: true,
  hasToken: false,
  told: ["order.authorization_failed"]
}

interface Case {
  readonly where: string
  readonly point: Point
  readonly token?: string
  readonly paymentIsAway?: true
  /** What is there of each order at the moment of death: null where there is nothing. */
  readonly left: Story | null
  readonly end?: Story
}

const first = "NEW.version = 1"
const second = "NEW.version = 2"

const cases: ReadonlyArray<Case> = [
  { where: "before the key is written", point: { before: "INSERT", table: "checkouts" }, left: null },
  { where: "before the ledger's row is written", point: { before: "INSERT", table: "order_ledger" }, left: null },
  { where: "before the lines are written", point: { before: "INSERT", table: "order_lines" }, left: null },
  {
    where: "before the first state is written",
    point: { before: "INSERT", table: "order_states", when: first },
    left: null
  },
  {
    where: "before the order is committed",
    point: { before: "COMMIT", table: "order_states", when: first },
    left: null
  },
  {
    where: "when the order is committed and payment has not heard of it",
    point: "before payment hears",
    left: awaiting
  },
  {
    where: "while the processor is at work",
    point: "while the processor is at work",
    token: "tok_slow_5000",
    left: held
  },
  {
    where: "when payment has authorized and edge has not heard of it",
    point: "when payment has authorized",
    left: held
  },
  { where: "before the answer is written", point: { before: "UPDATE", table: "checkouts" }, left: held },
  { where: "before the ledger's row is changed", point: { before: "UPDATE", table: "order_ledger" }, left: held },
  {
    where: "before the second state is written",
    point: { before: "INSERT", table: "order_states", when: second },
    left: held
  },
  { where: "before the event is written", point: { before: "INSERT", table: "outbox" }, left: held },
  { where: "before the answer is committed", point: { before: "COMMIT", table: "outbox" }, left: held },
  {
    where: "before it is written that payment could not be reached",
    point: { before: "UPDATE", table: "checkouts", when: "NEW.stage = 'MARKED'" },
    paymentIsAway: true,
    left: awaiting
  },
  {
    where: "before a decline is written",
    point: { before: "UPDATE", table: "checkouts" },
    token: "tok_decline_expired",
    left: refused,
    end: declined
  },
  {
    where: "before a decline is committed",
    point: { before: "COMMIT", table: "outbox" },
    token: "tok_decline_expired",
    left: refused,
    end: declined
  }
]

/** It answers in its own words, and then again in the same. */
const assertAnswer = ({ body, status, text }: Said, end: Story) => {
  if (end === declined) return assert.deepStrictEqual([status, body["decline_code"]], [402, "card_expired"])
  const id = String(body["order_ledger_id"])
  assert.strictEqual(text, `{"order_ledger_id":"${id}","status":"AUTHORIZED","message":"Order received, processing"}`)
  return assert.strictEqual(status, 202)
}

layer(neighbours, { excludeTestServices: true })("an edge that was killed", (it) => {
  for (const { end = authorized, left, paymentIsAway, point, token, where } of cases) {
    it.effect(`${where}: one order is finished by its client's next request, and one by the sweeper`, () =>
      Effect.gen(function* () {
        const user = newUser()
        const [abandoned, repeated] = [newKey(), newKey()]
        const card = token ?? `tok_${crypto.randomUUID().replaceAll("-", "")}`
        const wish = { user, token: card, items: [{ product_id: yield* newProduct(price), quantity: 1 }] }
        const there = yield* replica({ SWEEP_EVERY: "1 hour", AUTHORIZE_WITHIN: "14 seconds" })
        const edge = yield* start()
        if (paymentIsAway) yield* edge.payment.be("away")
        yield* killAt(edge, point, user, [edge.at(place(abandoned, wish)), edge.at(place(repeated, wish))])
        assert.deepStrictEqual((yield* accountsOf(user)).map(withoutId), left === null ? [] : [left, left])

        const again = yield* there(place(repeated, wish))
        assertAnswer(again, end)
        assert.isUndefined(again.headers["idempotent-replayed"])
        const afterwards = (yield* accountsOf(user)).map(withoutId)
        assert.deepStrictEqual(afterwards, left === null ? [end] : [left, end])

        const sweeping = yield* replica({ SWEEP_EVERY: "50 millis" })
        yield* untilAnswered(user)
        const late = yield* sweeping(place(abandoned, wish))
        assertAnswer(late, end)
        // What never was, nobody finishes: the client's next request is its first.
        assert.strictEqual(late.headers["idempotent-replayed"], left === null ? undefined : "true")
        for (const [key, { text }] of [
          [abandoned, late],
          [repeated, again]
        ] as const) {
          const replay = yield* there(place(key, wish))
          assert.deepStrictEqual([replay.text, replay.headers["idempotent-replayed"]], [text, "true"])
        }
        assert.deepStrictEqual((yield* accountsOf(user)).map(withoutId), [end, end])
        assert.notStrictEqual(idOf(late), idOf(again))
        assert.deepStrictEqual(yield* tablesWith(card), [])
      })
    )
  }

  const committed: ReadonlyArray<readonly [string, Statement, Story]> = [
    [
      "when the order is committed and it has not heard of that",
      { before: "COMMIT", table: "order_states", when: first },
      awaiting
    ],
    ["when the answer is committed and nobody has heard of it", { before: "COMMIT", table: "outbox" }, authorized]
  ]
  for (const [where, point, left] of committed) {
    it.effect(`${where}: its client has the answer when it asks again`, () =>
      Effect.gen(function* () {
        const user = newUser()
        const key = newKey()
        const wish = { user, items: [{ product_id: yield* newProduct(price), quantity: 1 }] }
        const there = yield* replica({ SWEEP_EVERY: "1 hour" })
        const edge = yield* start()
        yield* killAfter(edge, point, user, [edge.at(place(key, wish))])
        assert.deepStrictEqual((yield* accountsOf(user)).map(withoutId), [left])
        const again = yield* there(place(key, wish))
        assertAnswer(again, authorized)
        assert.strictEqual(again.headers["idempotent-replayed"], left.isAnswered ? "true" : undefined)
        assert.strictEqual((yield* there(place(key, wish))).text, again.text)
        assert.deepStrictEqual((yield* accountsOf(user)).map(withoutId), [authorized])
      })
    )
  }
})
