/**
 * Two books that have to agree: what is merely late is brought up to date in the background, and every difference is
 * told by `npm run reconcile`.
 */
import { claimPort } from "@ecommerce/stack/Port"
import { until } from "@ecommerce/testing/ServiceProcess"
import { TestDatabase } from "@ecommerce/testing/TestDatabase"
import { assert, describe, it, layer } from "@effect/vitest"
import { Effect } from "effect"

import {
  assertAgreement,
  amount,
  authorize,
  cancel,
  capture,
  type Command,
  killAt,
  layer as payment,
  newOrders,
  type Point,
  reconcile,
  start,
  storyOf
} from "./fixtures/PaymentProcess.ts"

const restless = { RECONCILE_EVERY: "1 second", RECONCILE_AFTER: "1 second" }

interface Late {
  readonly what: string
  readonly given: ReadonlyArray<Command>
  readonly killed: Command
  readonly point: Point
  readonly told: ReadonlyArray<string>
}

const late: ReadonlyArray<Late> = [
  {
    what: "money that the processor holds",
    given: [],
    killed: authorize,
    point: { book: "authorizations" },
    told: ["payment.authorized"]
  },
  {
    what: "money that the processor has taken",
    given: [authorize],
    killed: capture,
    point: { book: "captures" },
    told: ["payment.authorized", "payment.captured"]
  },
  {
    what: "what the processor has voided",
    given: [authorize],
    killed: cancel,
    point: { book: "voids" },
    told: ["payment.authorized", "payment.voided"]
  },
  {
    what: "what the processor has refunded",
    given: [authorize, capture],
    killed: cancel,
    point: { book: "refunds" },
    told: ["payment.authorized", "payment.captured", "payment.refunded"]
  }
]

interface Unheard {
  readonly what: string
  readonly given: ReadonlyArray<Command>
  readonly killed: Command
  readonly point: Point
}

const unheard: ReadonlyArray<Unheard> = [
  { what: "an authorization", given: [], killed: authorize, point: { processor: "authorize" } },
  { what: "a capture", given: [authorize], killed: capture, point: { processor: "capture" } },
  { what: "a void", given: [authorize], killed: cancel, point: { processor: "void" } },
  { what: "a refund", given: [authorize, capture], killed: cancel, point: { processor: "refund" } }
]

layer(payment, { excludeTestServices: true })("the reconciler in the background", (it) => {
  for (const { given, killed, point, told, what } of late) {
    it.effect(
      `writes down ${what} when the process that asked for it was killed, and tells it once`,
      () =>
        Effect.gen(function* () {
          const [order = ""] = yield* killedIn(given, killed, point)
          const before = yield* storyOf(order)
          assert.strictEqual(before?.isOpen, true)
          yield* start(restless)
          yield* until(Effect.map(storyOf(order), (story) => story?.isOpen === false))
          yield* twoRounds
          const after = yield* storyOf(order)
          assert.deepStrictEqual(after?.told, told)
          assert.deepStrictEqual([after?.state, after?.operations], [before?.state, before?.operations])
          assertAgreement(yield* reconcile())
        }),
      180_000
    )
  }

  for (const { given, killed, point, what } of unheard) {
    it.effect(
      `leaves ${what} alone of which the processor has never heard`,
      () =>
        Effect.gen(function* () {
          const [order = "", other = ""] = yield* killedIn(given, killed, point)
          const before = yield* storyOf(order)
          assert.strictEqual(before?.isOpen, true)
          const again = yield* start(restless)
          yield* twoRounds
          assert.deepStrictEqual(yield* storyOf(order), before)
          // So that the next test's books agree.
          for (const left of [order, other]) yield* again.ask(cancel, [left])
        }),
      180_000
    )
  }
})

const killedIn = Effect.fn("killedIn")(function* (given: ReadonlyArray<Command>, killed: Command, point: Point) {
  const orders = newOrders(2)
  const process = yield* start()
  for (const command of given) yield* process.ask(command, orders)
  yield* killAt(process, point, orders, process.ask(killed, orders))
  return orders
})

/** Of a reconciler that begins one a second after the last; nothing shows that it has looked and found nothing to do. */
const twoRounds = Effect.sleep("4 seconds")

/** As many captured payments in both books, beginning with the oldest; answers their ids in their order. */
const fill = Effect.fn("fill")(function* (count: number) {
  const { administrator: sql } = yield* TestDatabase
  yield* sql`
    INSERT INTO payment.payments (order_id, authorization_id, amount_cents, currency, digest, capture_id, capture_cents,
      capture_digest, is_open)
    SELECT gen_random_uuid(), 'auth_' || lpad(to_hex(place), 32, '0'), ${amount}::int8, 'USD', 'digest',
      'cap_' || lpad(to_hex(place), 32, '0'), ${amount}::int8, 'digest', false
    FROM generate_series(1, ${count}::int4) AS place`
  yield* sql`
    INSERT INTO payment.authorizations (authorization_id, amount_cents)
    SELECT authorization_id, amount_cents FROM payment.payments`
  yield* sql`
    INSERT INTO payment.captures (authorization_id, capture_id, approved_cents, amount_cents)
    SELECT authorization_id, capture_id, amount_cents, capture_cents FROM payment.payments`
  yield* sql`
    INSERT INTO payment.processor_payments (reference, state, authorized_cents, captured_cents)
    SELECT authorization_id, 'CAPTURED', amount_cents, capture_cents FROM payment.payments`
  return Array.from({ length: count }, (_, place) => `auth_${(place + 1).toString(16).padStart(32, "0")}`)
})

/** One way in which the books of a captured payment may come apart, and what is said of it. */
interface Difference {
  readonly what: string
  readonly breaking: (id: string) => string
  readonly says: string
}

const there = (state: string, authorized: number, captured: number, refunded: number) =>
  `${state} there (authorized ${authorized}, captured ${captured}, refunded ${refunded})`
const takenThere = there("CAPTURED", amount, amount, 0)
const processor = (set: string) => (id: string) =>
  `UPDATE payment.processor_payments SET ${set} WHERE reference = '${id}'`
const uncaptured = (id: string) => `DELETE FROM payment.captures WHERE authorization_id = '${id}'`
const refundedHere = (cents: number) => (id: string) =>
  `INSERT INTO payment.refunds (authorization_id, captured_cents, amount_cents) VALUES ('${id}', ${amount}, ${cents})`
const heldThere = "state = 'AUTHORIZED', captured_cents = 0"

const differences: ReadonlyArray<Difference> = [
  { what: "a capture is missing here", breaking: uncaptured, says: `not posted here yet: captured; ${takenThere}` },
  {
    what: "a capture is missing there",
    breaking: processor(heldThere),
    says: `captured ${amount} here; ${there("AUTHORIZED", amount, 0, 0)}`
  },
  {
    what: "the whole payment is missing there",
    breaking: (id) => `DELETE FROM payment.processor_payments WHERE reference = '${id}'`,
    says: `authorized ${amount} here; captured ${amount} here; ${there("UNKNOWN", 0, 0, 0)}`
  },
  {
    what: "the whole payment is missing here",
    breaking: (id) => `
      DELETE FROM payment.captures WHERE authorization_id = '${id}';
      DELETE FROM payment.authorizations WHERE authorization_id = '${id}';
      DELETE FROM payment.payments WHERE authorization_id = '${id}'`,
    says: `unknown here; ${takenThere}`
  },
  {
    what: "less was captured there",
    breaking: processor("captured_cents = 4000"),
    says: `captured ${amount} here; ${there("CAPTURED", amount, 4000, 0)}`
  },
  {
    what: "more was captured there",
    breaking: processor("authorized_cents = 9000, captured_cents = 9000"),
    says: `authorized ${amount} here; captured ${amount} here; ${there("CAPTURED", 9000, 9000, 0)}`
  },
  {
    what: "more is held there",
    breaking: processor("authorized_cents = 9000"),
    says: `authorized ${amount} here; ${there("CAPTURED", 9000, amount, 0)}`
  },
  {
    what: "it was declined here and is held there",
    breaking: (id) => `
      DELETE FROM payment.captures WHERE authorization_id = '${id}';
      UPDATE payment.payments SET capture_id = NULL, capture_cents = NULL, capture_digest = NULL
      WHERE authorization_id = '${id}';
      UPDATE payment.authorizations SET decline_code = 'card_expired' WHERE authorization_id = '${id}';
      ${processor(heldThere)(id)}`,
    says: `authorized 0 here; ${there("AUTHORIZED", amount, 0, 0)}`
  },
  {
    what: "a refund is missing there",
    breaking: refundedHere(amount),
    says: `refunded ${amount} here; ${takenThere}`
  },
  {
    what: "a refund is missing here",
    breaking: processor(`state = 'REFUNDED', refunded_cents = ${amount}`),
    says: `not posted here yet: refunded; ${there("REFUNDED", amount, amount, amount)}`
  },
  {
    what: "more was refunded there",
    breaking: (id) => `
      ${refundedHere(1000)(id)};
      ${processor(`state = 'REFUNDED', refunded_cents = ${amount}`)(id)}`,
    says: `refunded 1000 here; ${there("REFUNDED", amount, amount, amount)}`
  },
  {
    what: "it is cancelled here and its money is kept there",
    breaking: (id) => `
      UPDATE payment.payments SET cancelled_at = now(), is_open = true WHERE authorization_id = '${id}'`,
    says: `cancelled here, and the money is not given back yet; ${takenThere}`
  }
]

describe("npm run reconcile", () => {
  it.live("says that the books agree where they do, and ends with 0", () =>
    Effect.gen(function* () {
      assertAgreement(yield* reconcile())
      yield* fill(3)
      assertAgreement(yield* reconcile())
    }).pipe(Effect.provide(payment))
  )

  it.live("prints a line for each difference, and ends with 1", () =>
    Effect.gen(function* () {
      const { administrator } = yield* TestDatabase
      const [, ...ids] = yield* fill(differences.length + 2)
      const broken = differences.map((difference, place) => ({ ...difference, id: ids[place] ?? "" }))
      yield* Effect.forEach(
        broken.flatMap(({ breaking, id }) => breaking(id).split(";")),
        (statement) => administrator.unsafe(statement)
      )
      const { code, lines } = yield* reconcile()
      const saidOf = (about: string) => lines.filter((line) => line.startsWith(about)).map((line) => line.slice(39))
      assert.deepStrictEqual(
        broken.map(({ id, what }) => [what, ...saidOf(id)]),
        broken.map(({ says, what }) => [what, says])
      )
      assert.strictEqual(lines.length, broken.length + 1)
      assert.match(
        lines.at(-1) ?? "",
        new RegExp(`^The books do not agree about ${broken.length} of [0-9]+ payments\\.$`, "u")
      )
      assert.strictEqual(code, 1)
    }).pipe(Effect.provide(payment))
  )

  it.live("finds the one difference in the last page of many", () =>
    Effect.gen(function* () {
      const { administrator } = yield* TestDatabase
      const broken = (yield* fill(1200)).at(-1) ?? ""
      assertAgreement(yield* reconcile())
      yield* administrator.unsafe(uncaptured(broken))
      const { code, lines } = yield* reconcile()
      assert.deepStrictEqual([code, lines.length, lines[0]?.split("  ")[0]], [1, 2, broken])
    }).pipe(Effect.provide(payment))
  )

  it.live("ends with 78 and one sentence when the database cannot be reached", () =>
    Effect.gen(function* () {
      const port = yield* claimPort(0, "127.0.0.1")
      const { code, lines } = yield* reconcile({ DATABASE_URL: `postgres://nobody:nothing@127.0.0.1:${port}/none` })
      assert.deepStrictEqual([code, lines.length], [78, 1])
      assert.match(lines[0] ?? "", /^The books cannot be read: /)
    }).pipe(Effect.provide(payment))
  )
})
