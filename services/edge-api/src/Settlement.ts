/**
 * Bringing an order to its authorization: payment is asked, and what it says is written, with the answer to the request.
 *
 * Whoever does this holds the order's lease. It may be the request itself, the same request sent again, or the sweeper after
 * a crash; all of them ask payment under the same key, the order's id, so that there is one authorization at the most.
 */
import * as Settings from "@ecommerce/chassis/Settings"
import { type General, Unavailable } from "@ecommerce/commands/Command"
import { OrderAccepted, OrderDeclined, OrderExpired } from "@ecommerce/contracts/Edge/Checkout"
import type { FailureReason } from "@ecommerce/contracts/Edge/Ledger"
import { totalOf } from "@ecommerce/contracts/Orders/Lifecycle"
import { PaymentClient } from "@ecommerce/contracts/Payment"
import type { PaymentDeclined } from "@ecommerce/contracts/Payment/Commands"
import { inTrace } from "@ecommerce/protocol/Problem"
import * as Traceparent from "@ecommerce/protocol/Traceparent"
import * as Batched from "@ecommerce/sets/Batched"
import { isolated } from "@ecommerce/sets/Isolation"
import { Context, Duration, Effect, Layer, Option, Schedule, Schema } from "effect"
import type { SqlError } from "effect/sql"

import { Checkouts, leaseFor } from "./Checkouts.ts"
import type { Decision, OpenOrder } from "./Checkouts/Requests.ts"
import { Watch } from "./Watch.ts"

export interface Settled {
  readonly status: number
  readonly body: string
}

/** Payment had nothing to say within our patience; or the order is in other hands by now. */
export type Unsettled = "unreachable" | "lost"

export class Settlement extends Context.Service<
  Settlement,
  {
    readonly settle: (order: OpenOrder) => Effect.Effect<Settled | Unsettled, SqlError.SqlError>
    /** Leaves the order to its client. False if it is in other hands by now. */
    readonly mark: (order: OpenOrder) => Effect.Effect<boolean, SqlError.SqlError>
    /** Gives the order up: whatever payment holds for it is let go, and nothing can be held for it afterwards. */
    readonly giveUp: (order: OpenOrder) => Effect.Effect<Settled | Unsettled, SqlError.SqlError>
  }
>()("@ecommerce/edge-api/Settlement") {
  static readonly layer = Layer.effect(
    Settlement,
    Effect.gen(function* () {
      const checkouts = yield* Checkouts
      const payment = yield* PaymentClient
      const watch = yield* Watch
      const patience = yield* authorizeWithin.read
      if (Duration.isGreaterThanOrEqualTo(patience, yield* leaseFor.read)) {
        yield* Effect.logWarning(
          `${leaseFor.key} should be longer than ${authorizeWithin.key}: orders change hands for nothing`
        )
      }

      /** True for those that were in our epoch. What PostgreSQL will not store is left to the sweeper, and to its log. */
      const writeAnswer = yield* Batched.make(
        "answer-checkouts",
        isolated<Decision, boolean, never>({
          run: (decisions) =>
            Effect.map(checkouts.answer(decisions), (changed) => {
              for (const at of changed) watch.tell(at)
              const decided = new Set(changed.map(({ orderId }) => orderId))
              return decisions.map(({ order }) => decided.has(order.orderId))
            }),
          keyOf: ({ order }) => order.orderId,
          contentOf: ({ order, status }) => `${order.epoch} ${status}`,
          onBadItem: () => false
        })
      )
      const mark = yield* Batched.make(
        "mark-checkouts",
        isolated<OpenOrder, boolean, never>({
          run: (orders) =>
            Effect.map(checkouts.mark(orders), (marked) => orders.map(({ orderId }) => marked.has(orderId))),
          keyOf: ({ orderId }) => orderId,
          contentOf: ({ epoch }) => String(epoch),
          onBadItem: () => false
        })
      )

      const write = (decision: Decision) =>
        Effect.flatMap(writeAnswer(decision), (isOurs): Effect.Effect<Settled | Unsettled> =>
          isOurs
            ? Effect.as(report(decision), { status: decision.status, body: decision.body })
            : Effect.succeed("lost")
        )

      /** The same order again and again, as long as nobody knows what became of the last time. */
      const insist = <A, E>(asked: Effect.Effect<A, E | General>) =>
        asked.pipe(
          Effect.retry({ while: isUnavailable, schedule: pauses, times: 3 }),
          Effect.timeoutOrElse({ duration: patience, orElse: () => Effect.succeed("unreachable" as const) })
        )

      const authorize = ({ currency, lines, orderId, token }: OpenOrder) =>
        insist(payment.authorizePayment({ orderId, amountCents: totalOf(lines), currency, token }))

      const settle = Effect.fn("Settlement.settle")(function* (order: OpenOrder) {
        return yield* authorize(order).pipe(
          Effect.map((said) => (said === "unreachable" ? said : accepted(order))),
          Effect.catchTags({
            PaymentDeclined: (refusal) => Effect.succeed(declined(order, refusal)),
            PaymentCancelled: () => Effect.succeed(expired(order)),
            Unavailable: () => Effect.succeed("unreachable" as const),
            KeyConflict: (bug) => misunderstood(order, bug),
            BadItem: (bug) => misunderstood(order, bug)
          }),
          Effect.flatMap((decision) => (decision === "unreachable" ? Effect.succeed(decision) : write(decision)))
        )
      })

      const giveUp = Effect.fn("Settlement.giveUp")(function* (order: OpenOrder) {
        return yield* insist(payment.cancelPayment({ orderId: order.orderId })).pipe(
          Effect.map((said) => (said === "unreachable" ? said : expired(order))),
          Effect.catchTags({
            Unavailable: () => Effect.succeed("unreachable" as const),
            KeyConflict: (bug) => misunderstood(order, bug),
            BadItem: (bug) => misunderstood(order, bug)
          }),
          Effect.flatMap((decision) => (decision === "unreachable" ? Effect.succeed(decision) : write(decision)))
        )
      })

      return Settlement.of({ settle, mark, giveUp })
    })
  )
}

const report = ({ failure, order: { orderId } }: Decision) =>
  Effect.logInfo(`order ${orderId}: ${failure === null ? "authorized" : `not authorized, ${failure.code}`}`).pipe(
    Effect.annotateLogs({ "order.id": orderId })
  )

const authorizeWithin = Settings.duration(
  "AUTHORIZE_WITHIN",
  "6 seconds",
  "How long payment may take to authorize an order, retries included; then the client is told that it cannot be reached."
)

const pauses = Schedule.jittered(Schedule.exponential("50 millis", 3))

const isUnavailable = Schema.is(Unavailable)

/** Never seen, and a bug on one of the two sides: somebody has to look, and the customer may try again meanwhile. */
const misunderstood = ({ orderId }: OpenOrder, bug: unknown) =>
  Effect.as(
    Effect.logError("Payment did not accept how it was asked", bug).pipe(Effect.annotateLogs({ "order.id": orderId })),
    "unreachable" as const
  )

const encodeAccepted = Schema.encodeSync(Schema.fromJsonString(Schema.toCodecJson(OrderAccepted)))
const encodeRefused = Schema.encodeSync(
  Schema.fromJsonString(Schema.toCodecJson(Schema.Union([OrderDeclined, OrderExpired])))
)

const accepted = (order: OpenOrder): Decision => ({
  order,
  failure: null,
  status: 202,
  body: encodeAccepted({
    order_ledger_id: order.orderId,
    status: "AUTHORIZED",
    message: "Order received, processing"
  })
})

const failed = (order: OpenOrder, problem: OrderDeclined | OrderExpired, detail: string | null): Decision => {
  const failure: FailureReason = { code: problem.error, detail }
  const traceId = Option.getOrUndefined(Traceparent.spanOf(order.traceparent))?.traceId
  return { order, failure, status: problem.status, body: inTrace(encodeRefused(problem), traceId) }
}

const declined = (order: OpenOrder, { declineCode }: PaymentDeclined) =>
  failed(order, new OrderDeclined({ order_ledger_id: order.orderId, decline_code: declineCode }), declineCode)

const expired = (order: OpenOrder) => failed(order, new OrderExpired({ order_ledger_id: order.orderId }), null)
