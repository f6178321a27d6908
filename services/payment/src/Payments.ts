/**
 * Payments: money is held, taken, and given back, each once, whatever is lost, repeated or done at the same time.
 *
 * Every command goes the same way, for a set: what is intended is committed; the processor is asked, for all at the same
 * time, outside of any transaction; what it says is committed to the books; the answers are read from there. Whoever asks
 * again goes the same way with the same keys, and finds what was done. Between any two of these the process may die.
 */
import { KeyConflict, type Received, Unavailable } from "@ecommerce/commands/Command"
import { type Run, tracesOf } from "@ecommerce/commands/CommandServer"
import type { OrderId } from "@ecommerce/contracts/Ids"
import {
  type AuthorizePayment,
  type CancelPayment,
  CaptureRefused,
  type CapturePayment,
  type PaymentAuthorized,
  PaymentCancelled,
  type PaymentCaptured,
  PaymentDeclined,
  type PaymentReturned
} from "@ecommerce/contracts/Payment/Commands"
import { Context, Effect, Layer, Result } from "effect"

import { Books, type PaymentState } from "./Books.ts"
import { Intentions } from "./Intentions.ts"
import { Processor, type ProcessorRecord, type ProcessorUnavailable } from "./Processor.ts"

type Ask = (payment: Held) => Effect.Effect<ProcessorRecord, ProcessorUnavailable>

export class Payments extends Context.Service<
  Payments,
  {
    readonly authorize: Run<AuthorizePayment, PaymentAuthorized, PaymentDeclined | PaymentCancelled>
    readonly capture: Run<CapturePayment, PaymentCaptured, CaptureRefused | PaymentCancelled>
    readonly cancel: Run<CancelPayment, PaymentReturned, never>
  }
>()("@ecommerce/payment/Payments") {
  static readonly layer = Layer.effect(
    Payments,
    Effect.gen(function* () {
      const books = yield* Books
      const intentions = yield* Intentions
      const processor = yield* Processor

      /**
       * Asks for some of these at the same time and posts what is said. Answers how all stand afterwards, and why some of them
       * had no answer: those are looked at again, because somebody else may have heard.
       */
      const askFor = Effect.fnUntraced(function* (
        known: ReadonlyMap<OrderId, PaymentState>,
        payments: ReadonlyArray<PaymentState>,
        traces: ReadonlyMap<string, string | null>,
        ask: Ask
      ) {
        const answers = yield* Effect.forEach(
          payments.filter(isHeld),
          (payment) =>
            Effect.match(ask(payment), {
              onFailure: ({ reason }) => ({ record: [], silence: [[payment.orderId, reason] as const] }),
              onSuccess: (record) => ({ record: [record], silence: [] })
            }),
          { concurrency: "unbounded" }
        )
        const settled = yield* books.settle(
          answers.flatMap(({ record }) => record),
          traces
        )
        const silence = new Map(answers.flatMap((answer) => answer.silence))
        const unheard = silence.size === 0 ? [] : yield* books.read([...silence.keys()])
        return { silence, payments: new Map([...known, ...settled.payments, ...unheard]) }
      })

      const authorize = Effect.fn("Payments.authorize")(function* (orders: ReadonlyArray<Received<AuthorizePayment>>) {
        const tokens = new Map(orders.map(({ digest, payload }) => [payload.orderId, { digest, token: payload.token }]))
        const intended = yield* intentions.authorize(orders)
        const undecided = [...intended.values()].filter(
          ({ cancelledAt, decidedAt, digest, orderId }) =>
            cancelledAt === null && decidedAt === null && digest === tokens.get(orderId)?.digest
        )
        const { payments, silence } = yield* askFor(
          intended,
          undecided,
          tracesOf(orders),
          ({ amountCents, authorizationId, orderId }) => {
            const token = tokens.get(orderId)?.token
            if (token === undefined) return Effect.die(new Error(`There is no token for the order ${orderId}`))
            const key = `${authorizationId}/authorize`
            return processor.authorize({ key, reference: authorizationId, amountCents, token })
          }
        )
        return orders.map(({ digest, key, payload: { orderId } }) => {
          const payment = presentIn(payments, orderId)
          const { amountCents, authorizationId, cancelledAt, declineCode, decidedAt } = payment
          if (cancelledAt !== null) return Result.fail(new PaymentCancelled({ orderId }))
          if (payment.digest !== digest) return Result.fail(new KeyConflict({ key }))
          if (authorizationId === null || amountCents === null || decidedAt === null) {
            return unavailable("authorize-payment", silence.get(orderId))
          }
          // Only a cancelled payment is reversed.
          if (declineCode === "reversed") return Result.fail(new PaymentCancelled({ orderId }))
          if (declineCode !== null) return Result.fail(new PaymentDeclined({ orderId, declineCode }))
          return Result.succeed({ orderId, authorizationId, amountCents, authorizedAt: decidedAt })
        })
      })

      const capture = Effect.fn("Payments.capture")(function* (orders: ReadonlyArray<Received<CapturePayment>>) {
        const intended = yield* intentions.capture(orders)
        const open = [...intended.values()].filter(
          ({ cancelledAt, captureId, captureRefusal, capturedAt }) =>
            cancelledAt === null && captureId !== null && capturedAt === null && captureRefusal === null
        )
        const { payments, silence } = yield* askFor(
          intended,
          open,
          tracesOf(orders),
          ({ authorizationId, captureCents }) =>
            processor.capture({
              key: `${authorizationId}/capture`,
              reference: authorizationId,
              amountCents: captureCents ?? 0
            })
        )
        return orders.map(({ digest, key, payload: { orderId } }) => {
          const payment = presentIn(payments, orderId)
          const { cancelledAt, captureId, captureRefusal, capturedAt, capturedCents } = payment
          const asked = payment.captureDigest ?? payment.captureRefusalDigest
          if (cancelledAt !== null) return Result.fail(new PaymentCancelled({ orderId }))
          if (asked !== null && asked !== digest) return Result.fail(new KeyConflict({ key }))
          if (captureRefusal !== null) return Result.fail(new CaptureRefused({ orderId, reason: captureRefusal }))
          if (payment.voidedAt !== null) return Result.fail(new CaptureRefused({ orderId, reason: "not_authorized" }))
          if (captureId === null || capturedAt === null || capturedCents === null) {
            return unavailable("capture-payment", silence.get(orderId) ?? "The authorization is not decided yet.")
          }
          return Result.succeed({ orderId, captureId, amountCents: capturedCents, capturedAt })
        })
      })

      const cancel = Effect.fn("Payments.cancel")(function* (orders: ReadonlyArray<Received<CancelPayment>>) {
        const orderIds = orders.map(({ payload }) => payload.orderId)
        const traces = tracesOf(orders)
        const intended = yield* intentions.cancel(orders)
        // The tombstone is there: from now on nothing is taken. What the processor says decides between void and refund.
        const open = [...intended.values()].filter((payment) => returnedOf(payment) === undefined)
        const untaken = open.filter(({ capturedAt }) => capturedAt === null)
        const voided = yield* askFor(intended, untaken, traces, ({ authorizationId }) =>
          processor.void({ key: `${authorizationId}/void`, reference: authorizationId })
        )
        const taken = [...voided.payments.values()].filter(
          ({ capturedAt, refundedAt }) => capturedAt !== null && refundedAt === null
        )
        const refunded = yield* askFor(voided.payments, taken, traces, ({ authorizationId, capturedCents }) =>
          processor.refund({
            key: `${authorizationId}/refund`,
            reference: authorizationId,
            amountCents: capturedCents ?? 0
          })
        )
        return orderIds.map((orderId) => {
          const returned = returnedOf(presentIn(refunded.payments, orderId))
          return returned === undefined
            ? unavailable("cancel-payment", voided.silence.get(orderId) ?? refunded.silence.get(orderId))
            : Result.succeed({ orderId, ...returned })
        })
      })

      return Payments.of({ authorize, capture, cancel })
    })
  )
}

interface Held extends PaymentState {
  readonly authorizationId: NonNullable<PaymentState["authorizationId"]>
  readonly amountCents: number
}
const isHeld = (payment: PaymentState): payment is Held =>
  payment.authorizationId !== null && payment.amountCents !== null

const presentIn = (payments: ReadonlyMap<OrderId, PaymentState>, orderId: OrderId) => {
  const payment = payments.get(orderId)
  if (payment === undefined) throw new Error(`The payment of the order ${orderId} is not there`)
  return payment
}

const unavailable = (command: string, reason = "The processor has not told what became of it.") =>
  Result.fail(new Unavailable({ command, reason }))

/** What became of a cancelled payment's money; undefined while that is open. */
const returnedOf = (payment: PaymentState): Omit<PaymentReturned, "orderId"> | undefined => {
  const { amountCents, authorizationId, declineCode, refundedAt, refundedCents, voidedAt } = payment
  if (refundedAt !== null) return { returned: "refunded", amountCents: refundedCents ?? 0 }
  if (voidedAt !== null) return { returned: "voided", amountCents: amountCents ?? 0 }
  return authorizationId === null || declineCode !== null ? { returned: "nothing", amountCents: 0 } : undefined
}
