/**
 * An edge that stands still in the middle of an order for longer than its lease, and goes on when another one has brought
 * that order to its end, or has left it to its client: it changes nothing, and answers from the row.
 */
import { Neighbours } from "@ecommerce/testing/Neighbours"
import * as Relay from "@ecommerce/testing/Relay"
import { until } from "@ecommerce/testing/ServiceProcess"
import { TestDatabase } from "@ecommerce/testing/TestDatabase"
import * as Witness from "@ecommerce/testing/Witness"
import { assert, layer } from "@effect/vitest"
import { Effect, Schedule } from "effect"

import { newProduct, place, replica, type Wish } from "./fixtures/Counter.ts"
import {
  accountsOf,
  authorizationsOf,
  layer as neighbours,
  leaveBehind,
  newKey,
  newUser,
  type Point,
  start,
  stopAt,
  tablesWith,
  untilAnswered
} from "./fixtures/EdgeProcess.ts"

const price = 1999

/** It is still waiting for payment when it goes on, however long it stood. */
const patient = { AUTHORIZE_WITHIN: "50 seconds" }

/** A customer's order with a card that takes so long. */
const newOrder = (token = "tok_visa_success") =>
  Effect.map(newProduct(price), (product_id) => {
    const wish: Wish & { readonly user: string } = { user: newUser(), token, items: [{ product_id, quantity: 1 }] }
    return { ...wish, key: newKey() }
  })

/** The order is answered with 503 by an edge that cannot reach payment, and so left to its client. */
const leaveToClient = Effect.fn("leaveToClient")(function* ({ key, ...wish }: { readonly key: string } & Wish) {
  const { payment } = yield* Neighbours
  const relay = yield* Relay.make(payment.url)
  yield* relay.be("away")
  const cutOff = yield* replica({ PAYMENT_URL: relay.url, SWEEP_EVERY: "1 hour" })
  const said = yield* cutOff(place(key, wish))
  assert.deepStrictEqual([said.status, said.body["error"]], [503, "payment_unavailable"])
})

const giveUp = Effect.fn("giveUp")(function* (user: string) {
  yield* replica({ SWEEP_EVERY: "50 millis", GIVE_UP_AFTER: "1 second" })
  yield* untilAnswered(user)
})

const snapshot = Effect.flatMap(Witness.make("edge-api"), (witness) => witness.snapshot)

interface Place {
  readonly where: string
  readonly point: Point
  readonly token: string
  readonly settings: Readonly<Record<string, string>>
  /** How it finds the way to payment when it goes on. */
  readonly path: Relay.Mode
  readonly finishers: ReadonlyArray<"its client's next request" | "the sweeper">
}

const places: ReadonlyArray<Place> = [
  {
    where: "before payment has heard of it",
    point: "before payment hears",
    token: "tok_visa_success",
    settings: patient,
    path: "open",
    finishers: ["its client's next request", "the sweeper"]
  },
  {
    where: "while payment's answer is on its way",
    point: "while the processor is at work",
    token: "tok_slow_5000",
    settings: patient,
    path: "open",
    finishers: ["its client's next request", "the sweeper"]
  },
  {
    where: "that cannot reach payment any more",
    point: "before payment hears",
    token: "tok_visa_success",
    settings: { AUTHORIZE_WITHIN: "1 second" },
    path: "away",
    finishers: ["the sweeper"]
  }
]

/** There is one order of this user, one authorization of it, and one word of that. */
const isAuthorizedOnce = Effect.fn("isAuthorizedOnce")(function* (user: string) {
  const [account, ...others] = yield* accountsOf(user)
  assert.deepInclude(account, { authorizations: 1, heldCents: price, told: ["order.authorized"] })
  assert.isEmpty(others)
})

layer(neighbours, { excludeTestServices: true })("an edge that stood still in an order", (it) => {
  for (const { finishers, point, settings, path, token, where } of places) {
    for (const finisher of finishers) {
      it.effect(`${where} finds it finished by ${finisher}, changes nothing, and gives the same answer`, () =>
        Effect.gen(function* () {
          const { key, ...wish } = yield* newOrder(token)
          const zombie = yield* start(settings)
          const answer = yield* stopAt(zombie, point, wish.user, zombie.at(place(key, wish)))
          const sweeps = finisher === "the sweeper" ? "50 millis" : "1 hour"
          const there = yield* replica({ SWEEP_EVERY: sweeps, AUTHORIZE_WITHIN: "14 seconds" })
          if (finisher === "the sweeper") yield* untilAnswered(wish.user)
          const finished = yield* there(place(key, wish))
          assert.strictEqual(finished.status, 202)
          const before = yield* snapshot

          yield* zombie.payment.be(path)
          yield* zombie.signal("SIGCONT")
          const said = yield* answer
          assert.deepStrictEqual([said.status, said.text], [202, finished.text])
          assert.strictEqual(said.headers["idempotent-replayed"], "true")
          assert.deepStrictEqual(yield* snapshot, before)
          yield* isAuthorizedOnce(wish.user)
        })
      )
    }
  }

  it.effect("that was left to its client meanwhile does not authorize it, though payment holds the money", () =>
    Effect.gen(function* () {
      const { key, ...wish } = yield* newOrder("tok_slow_5000")
      const zombie = yield* start(patient)
      const point = "while the processor is at work"
      const answer = yield* stopAt(zombie, point, wish.user, zombie.at(place(key, wish)))
      yield* leaveToClient({ ...wish, key })
      yield* until(Effect.map(authorizationsOf(wish.user), (count) => count === 1))
      const before = yield* snapshot
      yield* zombie.signal("SIGCONT")
      const said = yield* answer
      assert.deepStrictEqual([said.status, said.body["error"]], [503, "payment_unavailable"])
      assert.deepStrictEqual(yield* snapshot, before)
      const [marked] = yield* accountsOf(wish.user)
      assert.deepInclude(marked, { status: "AWAITING_AUTHORIZATION", stage: "MARKED", told: [], heldCents: price })

      yield* giveUp(wish.user)
      const [account] = yield* accountsOf(wish.user)
      assert.deepInclude(account, { authorizations: 1, heldCents: 0, told: ["order.authorization_failed"] })
      assert.strictEqual((yield* zombie.at(place(key, wish))).status, 410)
    })
  )

  it.effect("that was given up meanwhile holds no money for it", () =>
    Effect.gen(function* () {
      const { key, ...wish } = yield* newOrder()
      const zombie = yield* start(patient)
      const answer = yield* stopAt(zombie, "before payment hears", wish.user, zombie.at(place(key, wish)))
      yield* leaveToClient({ ...wish, key })
      yield* giveUp(wish.user)
      const before = yield* snapshot
      yield* zombie.payment.be("open")
      yield* zombie.signal("SIGCONT")
      const said = yield* answer
      assert.deepStrictEqual([said.status, said.body["error"]], [410, "order_expired"])
      assert.strictEqual(said.headers["idempotent-replayed"], "true")
      assert.deepStrictEqual(yield* snapshot, before)
      const [account] = yield* accountsOf(wish.user)
      const told = ["order.authorization_failed"]
      assert.deepInclude(account, { status: "AUTHORIZATION_FAILED", authorizations: 0, heldCents: 0, told })
    })
  )

  // PostgreSQL ends a transaction in which nothing happens any more (idle_in_transaction_session_timeout of the role).
  const transactions = [
    { where: "is entered", point: { before: "INSERT", table: "order_ledger" } },
    { where: "is answered", point: { before: "INSERT", table: "outbox" } }
  ] as const
  for (const { point, where } of transactions) {
    it.effect(`in the transaction in which it ${where} stops nobody for long, and changes nothing afterwards`, () =>
      Effect.gen(function* () {
        const { administrator, name } = yield* TestDatabase
        yield* administrator.unsafe(
          `ALTER ROLE ecommerce_edge_api IN DATABASE ${name} SET idle_in_transaction_session_timeout = '1s'`
        ).unprepared
        const { key, ...wish } = yield* newOrder()
        const there = yield* replica({ SWEEP_EVERY: "1 hour" })
        const zombie = yield* start(patient)
        const answer = yield* stopAt(zombie, point, wish.user, zombie.at(place(key, wish)))
        const finished = yield* there(place(key, wish)).pipe(
          Effect.repeat({ until: ({ status }) => status === 202, schedule: Schedule.spaced("100 millis") }),
          Effect.timeout("100 seconds")
        )
        const before = yield* snapshot
        yield* zombie.signal("SIGCONT")
        // It cannot tell by itself what became of its transaction.
        assert.strictEqual((yield* answer).status, 409)
        assert.strictEqual((yield* zombie.at(place(key, wish))).text, finished.text)
        assert.deepStrictEqual(yield* snapshot, before)
        yield* isAuthorizedOnce(wish.user)
      })
    )
  }

  it.effect("that it had taken over from another one which is gone finds it finished, and changes nothing", () =>
    Effect.gen(function* () {
      const { key, ...wish } = yield* newOrder("tok_taken_over")
      const zombie = yield* start({ ...patient, SWEEP_EVERY: "50 millis" })
      const leaving = Effect.andThen(leaveBehind(wish, [key]), Effect.never)
      yield* stopAt(zombie, "before payment hears", wish.user, leaving)
      const there = yield* replica({ SWEEP_EVERY: "1 hour" })
      const finished = yield* there(place(key, wish))
      assert.strictEqual(finished.status, 202)
      const before = yield* accountsOf(wish.user)
      const replay = yield* there(place(key, wish))
      yield* zombie.payment.be("open")
      yield* zombie.signal("SIGCONT")
      // When it sweeps again it is through with the first.
      const later = newUser()
      yield* leaveBehind({ ...wish, user: later }, [newKey()])
      yield* untilAnswered(later)
      assert.deepStrictEqual(yield* accountsOf(wish.user), before)
      assert.strictEqual((yield* zombie.at(place(key, wish))).text, replay.text)
      assert.deepInclude(before[0], { authorizations: 1, heldCents: price, told: ["order.authorized"] })
      assert.deepStrictEqual(yield* tablesWith("tok_taken_over"), [])
    })
  )
})
