/**
 * kill -9 between what the processor does and what payment writes down about it, at every such point: the same command
 * asked again has its answer, a payment that is cancelled instead keeps no money, and both books tell the same.
 */
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"

import {
  amount,
  authorize,
  cancel,
  capture,
  type Command,
  killAt,
  layer as payment,
  newOrders,
  type Point,
  start,
  type Story,
  storyOf
} from "./fixtures/PaymentProcess.ts"

const held = (told: ReadonlyArray<string>): Story => ({
  approved: amount,
  captured: null,
  voided: null,
  refunded: null,
  isOpen: false,
  state: "AUTHORIZED",
  sums: `${amount} 0 0`,
  operations: ["authorize"],
  told
})
const authorized = held(["payment.authorized"])
const captured: Story = {
  ...authorized,
  captured: amount,
  state: "CAPTURED",
  sums: `${amount} ${amount} 0`,
  operations: ["authorize", "capture"],
  told: ["payment.authorized", "payment.captured"]
}
const voided: Story = {
  ...authorized,
  voided: amount,
  state: "VOIDED",
  operations: ["authorize", "void"],
  told: ["payment.authorized", "payment.voided"]
}
const refunded: Story = {
  ...captured,
  refunded: amount,
  state: "REFUNDED",
  sums: `${amount} ${amount} ${amount}`,
  operations: ["authorize", "capture", "refund"],
  told: ["payment.authorized", "payment.captured", "payment.refunded"]
}
/** The void was asked for, and "already captured" was the answer. */
const refundedAfterAll: Story = { ...refunded, operations: ["authorize", "capture", "void", "refund"] }
/** Cancelled before the processor had heard of it. */
const reversed: Story = {
  ...authorized,
  approved: 0,
  state: "VOIDED",
  sums: "0 0 0",
  operations: ["void"],
  told: []
}

interface Case {
  readonly where: string
  /** What goes well before. */
  readonly given: ReadonlyArray<Command>
  /** What is killed before, where one kill is not enough. */
  readonly killedBefore?: { readonly command: Command; readonly point: Point }
  readonly killed: Command
  readonly point: Point
  /** What the processor knows at the moment of death. */
  readonly state: string | null
  /** What asking again answers, and how the books stand then. */
  readonly again: readonly [string, Story]
  /** The same for cancelling. */
  readonly cancelled: readonly [string, Story]
}

const cases: ReadonlyArray<Case> = [
  {
    where: "authorize-payment before the processor holds the money",
    given: [],
    killed: authorize,
    point: { processor: "authorize" },
    state: null,
    again: ["ok", authorized],
    cancelled: ["nothing", reversed]
  },
  {
    where: "authorize-payment when the processor holds the money and it is not written down",
    given: [],
    killed: authorize,
    point: { book: "authorizations" },
    state: "AUTHORIZED",
    again: ["ok", authorized],
    cancelled: ["voided", voided]
  },
  {
    where: "capture-payment before the processor takes the money",
    given: [authorize],
    killed: capture,
    point: { processor: "capture" },
    state: "AUTHORIZED",
    again: ["ok", captured],
    cancelled: ["voided", voided]
  },
  {
    where: "capture-payment when the processor has taken the money and it is not written down",
    given: [authorize],
    killed: capture,
    point: { book: "captures" },
    state: "CAPTURED",
    again: ["ok", captured],
    cancelled: ["refunded", refundedAfterAll]
  },
  {
    where: "cancel-payment before the processor voids",
    given: [authorize],
    killed: cancel,
    point: { processor: "void" },
    state: "AUTHORIZED",
    again: ["voided", voided],
    cancelled: ["voided", voided]
  },
  {
    where: "cancel-payment when the processor has voided and it is not written down",
    given: [authorize],
    killed: cancel,
    point: { book: "voids" },
    state: "VOIDED",
    again: ["voided", voided],
    cancelled: ["voided", voided]
  },
  {
    where: "cancel-payment before the processor refunds",
    given: [authorize, capture],
    killed: cancel,
    point: { processor: "refund" },
    state: "CAPTURED",
    again: ["refunded", refunded],
    cancelled: ["refunded", refunded]
  },
  {
    where: "cancel-payment when the processor has refunded and it is not written down",
    given: [authorize, capture],
    killed: cancel,
    point: { book: "refunds" },
    state: "REFUNDED",
    again: ["refunded", refunded],
    cancelled: ["refunded", refunded]
  },
  {
    where: "cancel-payment when the void was answered with a lost capture, which is not written down yet",
    given: [authorize],
    killedBefore: { command: capture, point: { book: "captures" } },
    killed: cancel,
    point: { book: "captures" },
    state: "CAPTURED",
    again: ["refunded", refundedAfterAll],
    cancelled: ["refunded", refundedAfterAll]
  },
  {
    where: "cancel-payment when the void was answered with a lost capture, before the refund",
    given: [authorize],
    killedBefore: { command: capture, point: { book: "captures" } },
    killed: cancel,
    point: { processor: "refund" },
    state: "CAPTURED",
    again: ["refunded", refundedAfterAll],
    cancelled: ["refunded", refundedAfterAll]
  },
  {
    where: "cancel-payment when the lost capture is refunded and that is not written down",
    given: [authorize],
    killedBefore: { command: capture, point: { book: "captures" } },
    killed: cancel,
    point: { book: "refunds" },
    state: "REFUNDED",
    again: ["refunded", refundedAfterAll],
    cancelled: ["refunded", refundedAfterAll]
  }
]

layer(payment, { excludeTestServices: true })("a payment process that was killed in", (it) => {
  for (const { again, cancelled, given, killed, killedBefore, point, state, where } of cases) {
    it.effect(
      `${where}: asked again it answers, cancelled it keeps no money`,
      () =>
        Effect.gen(function* () {
          // One batch: both die the same death, and one lives on in each way.
          const orders = newOrders(2)
          const [repeated = "", withdrawn = ""] = orders
          const first = yield* start()
          for (const command of given) assert.deepStrictEqual(yield* first.ask(command, orders), ["ok", "ok"])
          if (killedBefore !== undefined) {
            yield* killAt(first, killedBefore.point, orders, first.ask(killedBefore.command, orders))
          }
          const second = killedBefore === undefined ? first : yield* start()
          yield* killAt(second, point, orders, second.ask(killed, orders))
          for (const order of orders) {
            const story = yield* storyOf(order)
            assert.deepStrictEqual([story?.isOpen, story?.state], [true, state])
          }

          const third = yield* start()
          assert.deepStrictEqual(yield* third.ask(killed, [repeated]), [again[0]])
          assert.deepStrictEqual(yield* storyOf(repeated), again[1])
          assert.deepStrictEqual(yield* third.ask(killed, [repeated]), [again[0]])
          // What comes late, after the kill and before the cancellation is through, takes nothing.
          if (killed === cancel) assert.deepStrictEqual(yield* third.ask(capture, [withdrawn]), ["PaymentCancelled"])
          assert.deepStrictEqual(yield* third.ask(cancel, [withdrawn]), [cancelled[0]])
          assert.deepStrictEqual(yield* storyOf(withdrawn), cancelled[1])
          for (const command of [authorize, capture]) {
            assert.deepStrictEqual(yield* third.ask(command, [withdrawn]), ["PaymentCancelled"])
          }
          assert.deepStrictEqual(yield* third.ask(cancel, [withdrawn]), [cancelled[0]])
          assert.deepStrictEqual(yield* storyOf(withdrawn), cancelled[1])
          assert.deepStrictEqual(yield* storyOf(repeated), again[1])
        }),
      180_000
    )
  }
})
