/**
 * What nobody works on any more: orders of an edge that is gone are settled, orders whose client does not come back are
 * given up, and old answers are forgotten.
 */
import { rowsOf } from "@ecommerce/sets/Sets"
import { Neighbours } from "@ecommerce/testing/Neighbours"
import { until } from "@ecommerce/testing/ServiceProcess"
import { deadlocksShow, TestDatabase } from "@ecommerce/testing/TestDatabase"
import { assert, layer } from "@effect/vitest"
import { Effect, Fiber, Layer, Schema } from "effect"

import { accountOf, get, idOf, layer as counter, newProduct, place, replica, type Wish } from "./fixtures/Counter.ts"
import {
  accountsOf,
  layer as neighbours,
  leaveBehind,
  newKey,
  newUser,
  tablesWith,
  untilAnswered,
  withoutId
} from "./fixtures/EdgeProcess.ts"

const price = 1999

const newWish = (token = "tok_visa_success") =>
  Effect.map(newProduct(price), (product_id) => {
    const wish: Wish & { readonly user: string } = { user: newUser(), token, items: [{ product_id, quantity: 1 }] }
    return wish
  })

/** Payment behaves like this while the work lasts. */
const during = Effect.fnUntraced(function* <A, E, R>(mode: "away" | "silent", work: Effect.Effect<A, E, R>) {
  const { relay } = (yield* Neighbours).payment
  yield* relay.be(mode)
  return yield* Effect.ensuring(work, relay.be("open"))
})

const checkoutRows = rowsOf(
  Schema.Struct({ key: Schema.String, epoch: Schema.Int, leaseUntil: Schema.Date, orderId: Schema.String })
)
const checkouts = Effect.flatMap(TestDatabase, ({ administrator: sql }) =>
  checkoutRows(sql`SELECT idempotency_key AS key, epoch, lease_until, order_id FROM edge_api.checkouts`)
)
const checkoutOf = (key: string) => Effect.map(checkouts, (all) => all.find((checkout) => checkout.key === key))

const isAt = (orderId: string, stage: string) => Effect.map(accountOf(orderId), (account) => account?.stage === stage)

const authorized = {
  status: "AUTHORIZED",
  stage: "OPEN",
  isAnswered: true,
  hasToken: false,
  told: ["order.authorized"],
  authorizations: 1,
  heldCents: price
}
const lapsed = {
  ...authorized,
  status: "AUTHORIZATION_FAILED",
  stage: "LAPSING",
  told: ["order.authorization_failed"],
  authorizations: 0,
  heldCents: 0
}

const sweeping = { SWEEP_EVERY: "50 millis", CHECKOUT_LEASE: "3 seconds", DUPLICATE_WAIT: "300 millis" }

layer(counter(sweeping), { excludeTestServices: true })("the sweeper", (it) => {
  it.effect("settles what is abandoned, as its request would have been answered", () =>
    Effect.gen(function* () {
      const wish = yield* newWish("tok_abandoned")
      const declined = yield* newWish("tok_decline_stolen")
      const [key, other] = [newKey(), newKey()]
      yield* leaveBehind(wish, [key])
      yield* leaveBehind(declined, [other])
      yield* Effect.forEach([wish, declined], ({ user }) => untilAnswered(user))
      assert.deepStrictEqual((yield* accountsOf(wish.user)).map(withoutId), [authorized])
      assert.deepStrictEqual(yield* tablesWith("tok_abandoned"), [])
      const said = yield* place(key, wish)
      assert.deepStrictEqual([said.status, said.headers["idempotent-replayed"]], [202, "true"])
      const refused = yield* place(other, declined)
      assert.containSubset(refused, { status: 402, body: { decline_code: "card_declined" } })
      assert.containSubset(yield* get(idOf(refused)), {
        status: "AUTHORIZATION_FAILED",
        reason: { code: "payment_declined" }
      })
    })
  )

  it.effect("leaves alone what somebody is at work on, and so does the order's own key", () =>
    Effect.gen(function* () {
      const wish = yield* newWish()
      const held = { ...wish, user: newUser() }
      const key = newKey()
      yield* leaveBehind(held, [key], { idle: "-1 hour" })
      yield* leaveBehind(wish, [newKey()])
      yield* untilAnswered(wish.user)
      const refused = yield* place(key, held)
      assert.deepStrictEqual([refused.status, refused.headers["retry-after"]], [409, "1"])
      assert.deepInclude((yield* accountsOf(held.user))[0], { isAnswered: false, authorizations: 0 })
      assert.deepInclude(yield* checkoutOf(key), { epoch: 1 })
    })
  )

  it.effect("goes on with what is abandoned until payment is back, and nobody is told to come again", () =>
    Effect.gen(function* () {
      const wish = yield* newWish()
      const key = newKey()
      yield* during(
        "away",
        Effect.gen(function* () {
          yield* leaveBehind(wish, [key])
          yield* until(Effect.map(checkoutOf(key), (checkout) => (checkout?.epoch ?? 0) >= 3))
          assert.deepInclude((yield* accountsOf(wish.user))[0], { stage: "OPEN", isAnswered: false, told: [] })
        })
      )
      yield* untilAnswered(wish.user)
      assert.deepStrictEqual((yield* accountsOf(wish.user)).map(withoutId), [authorized])
    })
  )

  it.effect("leaves to its client what was answered with 503, while its own key carries it on", () =>
    Effect.gen(function* () {
      const wish = yield* newWish()
      const key = newKey()
      const refused = yield* during("away", place(key, wish))
      assert.containSubset(refused, { status: 503, body: { error: "payment_unavailable" } })
      const marked = yield* checkoutOf(key)
      // Twice, so that a whole sweep lies between.
      for (const other of [newUser(), newUser()]) {
        yield* leaveBehind({ ...wish, user: other }, [newKey()])
        yield* untilAnswered(other)
      }
      assert.deepStrictEqual(yield* checkoutOf(key), marked)
      const untouched = { status: "AWAITING_AUTHORIZATION", stage: "MARKED", authorizations: 0, told: [] }
      assert.deepInclude(yield* accountOf(idOf(refused)), untouched)

      const placed = yield* place(key, wish)
      assert.deepStrictEqual([placed.status, idOf(placed)], [202, idOf(refused)])
      const [account, ...others] = yield* accountsOf(wish.user)
      assert.deepInclude(account, { ...authorized, stage: "MARKED" })
      assert.isEmpty(others)
    })
  )
})

const patience = 5000
const impatient = {
  ...sweeping,
  GIVE_UP_AFTER: `${patience} millis`,
  AUTHORIZE_WITHIN: "5 seconds",
  CHECKOUT_LEASE: "8 seconds"
}

layer(counter(impatient), { excludeTestServices: true })("an order whose client does not come back", (it) => {
  it.effect("is given up when it has waited for so long, and not before", () =>
    Effect.gen(function* () {
      const wish = yield* newWish("tok_given_up")
      const key = newKey()
      const refused = yield* during("away", place(key, wish))
      assert.strictEqual(refused.status, 503)
      const marked = yield* checkoutOf(key)
      yield* untilAnswered(wish.user)
      assert.deepStrictEqual((yield* accountsOf(wish.user)).map(withoutId), [lapsed])
      const order = yield* get(idOf(refused))
      assert.strictEqual(order.reason?.code, "order_expired")
      const waited = Number(order.updated_at.epochMilliseconds) - Number(marked?.leaseUntil.getTime())
      assert.isAtLeast(waited, patience - 1)

      const expired = yield* place(key, wish)
      assert.containSubset(expired, { status: 410, body: { error: "order_expired", order_ledger_id: idOf(refused) } })
      assert.strictEqual(expired.headers["idempotent-replayed"], "true")
      assert.strictEqual((yield* place(key, wish)).text, expired.text)
      assert.deepStrictEqual((yield* accountsOf(wish.user)).map(withoutId), [lapsed])
      assert.deepStrictEqual(yield* tablesWith("tok_given_up"), [])
    })
  )

  it.effect("is given up, and the one that was placed again under a new key is the only one that holds money", () =>
    Effect.gen(function* () {
      const wish = yield* newWish()
      const refused = yield* during("silent", place(newKey(), wish))
      assert.strictEqual(refused.status, 503)
      assert.strictEqual((yield* place(newKey(), wish)).status, 202)
      yield* untilAnswered(wish.user)
      const [first, second, ...others] = (yield* accountsOf(wish.user)).map(withoutId)
      assert.deepStrictEqual([first, second], [{ ...lapsed, authorizations: 1 }, authorized])
      assert.isEmpty(others)
    })
  )

  it.effect("is given up in spite of payment being away for longer, and goes back to nobody meanwhile", () =>
    Effect.gen(function* () {
      const wish = yield* newWish()
      const key = newKey()
      const id = yield* during(
        "away",
        Effect.gen(function* () {
          const id = idOf(yield* place(key, wish))
          yield* until(isAt(id, "LAPSING"))
          const { epoch = 0 } = (yield* checkoutOf(key)) ?? {}
          assert.strictEqual((yield* place(key, wish)).status, 409)
          // Tried again, and again in vain.
          yield* until(Effect.map(checkoutOf(key), (checkout) => (checkout?.epoch ?? 0) > epoch))
          assert.deepInclude(yield* accountOf(id), { stage: "LAPSING", isAnswered: false, told: [] })
          return id
        })
      )
      yield* untilAnswered(wish.user)
      assert.deepStrictEqual((yield* accountsOf(wish.user)).map(withoutId), [lapsed])
      assert.containSubset(yield* place(key, wish), { status: 410, body: { order_ledger_id: id } })
    })
  )
})

layer(neighbours, { excludeTestServices: true })("several edges on one database", (it) => {
  it.effect("share what is abandoned: nothing is taken twice", () =>
    Effect.gen(function* () {
      const wish = yield* newWish()
      const declined = { ...wish, user: newUser(), token: "tok_decline_insufficient" }
      yield* leaveBehind(wish, Array.from({ length: 500 }, newKey))
      yield* leaveBehind(declined, Array.from({ length: 100 }, newKey))
      const each = replica({ SWEEP_EVERY: "1 millis", CHECKOUT_LEASE: "50 seconds" })
      yield* Effect.all([each, each, each], { concurrency: "unbounded" })
      yield* untilAnswered(wish.user)
      yield* untilAnswered(declined.user)
      const all = (yield* accountsOf(wish.user)).map(withoutId)
      for (const one of all) assert.deepStrictEqual(one, authorized)
      const refused = (yield* accountsOf(declined.user)).map(withoutId)
      const failed = { ...lapsed, stage: "OPEN", authorizations: 1 }
      for (const one of refused) assert.deepStrictEqual(one, failed)
      assert.deepStrictEqual([all.length, refused.length], [500, 100])
      // Taken once, by whoever settled it.
      assert.deepStrictEqual([...new Set((yield* checkouts).map(({ epoch }) => epoch))], [2])
    })
  )

  it.effect("that find a lease expired at the same moment do not both take it", () =>
    Effect.gen(function* () {
      const { administrator: sql } = yield* TestDatabase
      const wish = yield* newWish()
      const key = newKey()
      const settings = { SWEEP_EVERY: "1 hour", CHECKOUT_LEASE: "50 seconds" }
      // Both are to wait, however long the second one takes to come.
      yield* Layer.build(deadlocksShow("edge-api"))
      const [here, there] = yield* Effect.all([replica(settings), replica(settings)])
      // Their sweepers leave this one alone.
      yield* leaveBehind(wish, [key], { stage: "MARKED" })
      // In one transaction PostgreSQL shows the same picture again and again, unless it is told to take another one.
      const waiting = Effect.andThen(
        sql`SELECT pg_stat_clear_snapshot()`,
        sql`SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`
      )
      const both = yield* sql.withTransaction(
        Effect.gen(function* () {
          yield* sql`SELECT FROM edge_api.checkouts WHERE idempotency_key = ${key} FOR UPDATE`
          const asking = [here(place(key, wish)), there(place(key, wish))]
          const both = yield* Effect.forkChild(Effect.all(asking, { concurrency: "unbounded" }))
          yield* until(Effect.map(waiting, (rows) => rows.length === 2))
          return both
        })
      )
      const answers = yield* Fiber.join(both)
      assert.strictEqual(new Set(answers.map(({ text }) => text)).size, 1)
      const kinds = answers.map(({ headers }) => headers["idempotent-replayed"] ?? "first")
      assert.sameMembers(kinds, ["first", "true"])
      assert.deepInclude(yield* checkoutOf(key), { epoch: 2 })
      assert.deepStrictEqual((yield* accountsOf(wish.user)).map(withoutId), [{ ...authorized, stage: "MARKED" }])
    })
  )

  it.effect("forget answers that were kept for long enough, all of them, and nothing else", () =>
    Effect.gen(function* () {
      const wish = yield* newWish()
      const [old, young, late, unanswered, marked] = [newKey(), newKey(), newKey(), newKey(), newKey()]
      yield* leaveBehind(wish, [old, ...Array.from({ length: 5500 }, newKey)], {
        age: "25 hours",
        idle: "25 hours",
        isAnswered: true
      })
      yield* leaveBehind(wish, [young], { age: "23 hours", idle: "23 hours", isAnswered: true })
      // Payment was away for a day, and then this one had its answer.
      yield* leaveBehind(wish, [late], { age: "25 hours", idle: "1 hour", isAnswered: true })
      yield* leaveBehind(wish, [unanswered], { age: "25 hours", idle: "-1 hour" })
      yield* leaveBehind(wish, [marked], { age: "25 hours", stage: "MARKED" })
      const entries = (yield* accountsOf(wish.user)).length
      const there = yield* replica({ SWEEP_EVERY: "1 hour", GIVE_UP_AFTER: "1 hour" })
      const ours = new Set((yield* accountsOf(wish.user)).map(({ orderId }) => String(orderId)))
      const kept = Effect.map(checkouts, (all) => all.filter(({ orderId }) => ours.has(orderId)).map(({ key }) => key))
      yield* until(Effect.map(kept, (keys) => keys.length <= 4))
      assert.sameMembers([...(yield* kept)], [young, late, unanswered, marked])
      // The orders stay; the key may be had for another one.
      assert.lengthOf(yield* accountsOf(wish.user), entries)
      const placed = yield* there(place(old, wish))
      assert.deepStrictEqual([placed.status, placed.headers["idempotent-replayed"]], [202, undefined])
      assert.strictEqual((yield* there(place(young, wish))).headers["idempotent-replayed"], "true")
    })
  )
})
