/**
 * What has to be so of every order, across all services. Each rule says of one order what is wrong with it, if anything.
 *
 * An order that is on its way, and within its bounds, is judged by nobody.
 */
import type { OrderFacts } from "./OrderFacts.ts"

export interface OrderRule {
  readonly invariant: string
  readonly judge: (facts: OrderFacts) => string | undefined
}

/** How the order's way has ended, as the orchestrator sees it. */
export type End = "kept" | "undone" | "never began"

export const endOf = ({ cancelOrder, ledger, placeOrder }: OrderFacts): End | undefined => {
  if (cancelOrder !== undefined) return cancelOrder.status === "COMPLETED" ? "undone" : undefined
  if (placeOrder === undefined) return ledger?.status === "AUTHORIZATION_FAILED" ? "never began" : undefined
  if (placeOrder.status === "COMPLETED") return "kept"
  return placeOrder.status === "FAILED" || placeOrder.status === "CANCELLED" ? "undone" : undefined
}

/** A little longer than it takes to be told of something. */
const grace = 60
/** As long as edge leaves an order to its client whose payment could not be reached. */
const longestAwaiting = 20 * 60

const isAwaiting = (facts: OrderFacts) => facts.ledger?.status === "AWAITING_AUTHORIZATION"

/** A saga on its way writes something at least as often, however long it waits between two attempts. */
const longestIdle = 5 * 60

/** On its way, and not for too long. */
export const isMoving = (facts: OrderFacts): boolean => {
  const { cancelOrder, ledger, placeOrder } = facts
  const sagas = [placeOrder, cancelOrder].filter((saga) => saga !== undefined)
  const open = sagas.filter(({ status }) => status === "RUNNING" || status === "COMPENSATING")
  if (open.some(({ stuck }) => stuck !== null)) return false
  if (open.length > 0) {
    // Only what can still turn back has a deadline.
    return open.every(({ definition, secondsIdle, secondsOverdue, status }) =>
      definition === "place-order" && status === "RUNNING" ? secondsOverdue < grace : secondsIdle < longestIdle
    )
  }
  if (ledger === undefined) return sagas.some(({ secondsIdle }) => secondsIdle < grace)
  if (isAwaiting(facts)) return ledger.secondsInState < longestAwaiting
  // What has happened a moment ago may not have been told of yet.
  const sinceLast = Math.min(ledger.secondsSinceCancel ?? Infinity, ...sagas.map(({ secondsIdle }) => secondsIdle))
  const isTold = ledger.status === statusOf(facts) && (ledger.secondsSinceCancel === null || endOf(facts) !== "kept")
  return !isTold && Math.min(sinceLast, sagas.length === 0 ? ledger.secondsInState : Infinity) < grace
}

/** What edge has to say of it in the end. */
const statusOf = ({ cancelOrder, placeOrder }: OrderFacts) => {
  if (cancelOrder?.status === "COMPLETED") return "CANCELLED"
  return placeOrder?.status ?? "AUTHORIZATION_FAILED"
}

const ended =
  (judge: (facts: OrderFacts, end: End) => string | undefined): OrderRule["judge"] =>
  (facts) => {
    const end = endOf(facts)
    return end === undefined ? undefined : judge(facts, end)
  }

export const orderRules: ReadonlyArray<OrderRule> = [
  {
    invariant: "every order behind its authorization has a saga, and every saga its order",
    judge: (facts) => {
      const { ledger, placeOrder } = facts
      // Whatever it is that is known of it.
      if (ledger === undefined) return "is not in the ledger"
      const isBehind = !isAwaiting(facts) && ledger.status !== "AUTHORIZATION_FAILED"
      return isBehind && placeOrder === undefined ? `is ${ledger.status} and has no saga` : undefined
    }
  },
  {
    invariant: "nothing is on its way for longer than it may be, and nothing is stuck",
    judge: (facts) => {
      const { cancelOrder, ledger, placeOrder } = facts
      const stuck = placeOrder?.stuck ?? cancelOrder?.stuck ?? null
      if (stuck !== null) return `is stuck: ${stuck}`
      if (facts.payment?.isOpen === true) return "has a payment of which nobody knows what came of it"
      if (endOf(facts) !== undefined || ledger === undefined) return undefined
      return `is ${ledger.status} for ${Math.round(ledger.secondsInState)} s`
    }
  },
  {
    invariant: "the ledger tells how each order has ended",
    judge: ended((facts) => {
      const { ledger } = facts
      return ledger === undefined || ledger.status === statusOf(facts)
        ? undefined
        : `is ${ledger.status} in the ledger and ${statusOf(facts)} by its saga`
    })
  },
  {
    invariant: "whoever has cancelled an order does not have it",
    judge: ended(({ ledger }, end) =>
      end === "kept" && ledger !== undefined && ledger.secondsSinceCancel !== null
        ? "was cancelled, and is completed"
        : undefined
    )
  },
  {
    invariant: "the orders service agrees: confirmed where kept, cancelled where undone",
    judge: ended(({ ledger, order }, end) => {
      if (end === "kept") {
        if (order?.status !== "CONFIRMED") return `is completed, and ${order?.status ?? "not there"} at orders`
        return order.totalCents === ledger?.totalCents
          ? undefined
          : `is worth ${ledger?.totalCents} in the ledger and ${order.totalCents} at orders`
      }
      return order === undefined || order.status === "CANCELLED"
        ? undefined
        : `is undone, and ${order.status} at orders`
    })
  },
  {
    invariant: "inventory agrees: held where kept, given back or refused where undone",
    judge: ended(({ reservation }, end) => {
      if (end === "kept") {
        return reservation?.state === "RESERVED"
          ? undefined
          : `is completed, and its stock ${reservation?.state ?? "is not held"}`
      }
      return reservation?.state === "RESERVED" ? "is undone, and its stock is held" : undefined
    })
  },
  {
    invariant: "payment agrees: captured in full where kept, nothing taken or held where not",
    judge: ended(({ ledger, payment }, end) => {
      const [captured, refunded] = [payment?.capturedCents ?? 0, payment?.refundedCents ?? 0]
      if (end === "kept") {
        return captured === ledger?.totalCents && refunded === 0
          ? undefined
          : `is completed for ${ledger?.totalCents}: ${captured} captured, ${refunded} refunded`
      }
      if (captured !== refunded) return `is undone: ${captured} captured, ${refunded} refunded`
      const isHeld = payment !== undefined && payment.approvedCents > 0 && captured === 0 && !payment.isVoid
      return isHeld ? `is undone, and ${payment.approvedCents} are held` : undefined
    })
  },
  {
    invariant: "the processor's own books agree with payment's",
    judge: ended(({ payment }) => {
      if (payment === undefined) return undefined
      if (payment.processorState === null) {
        return payment.approvedCents > 0 ? "has money held that the processor does not know of" : undefined
      }
      const { capturedCents, processorCapturedCents, processorRefundedCents, processorState, refundedCents } = payment
      if (processorState === "AUTHORIZED") return "has ended, and the processor holds money for it"
      return processorCapturedCents === capturedCents && processorRefundedCents === refundedCents
        ? undefined
        : `processor: ${processorCapturedCents} captured, ${processorRefundedCents} refunded; payment: ${capturedCents}, ${refundedCents}`
    })
  },
  {
    invariant: "the processor did nothing twice for an order",
    judge: ({ payment }) =>
      payment !== undefined && payment.doubleOperations > 0
        ? `has ${payment.doubleOperations} operations too many`
        : undefined
  }
]
