/**
 * What each of the services has stored of orders, joined in memory, a slice of ids at a time.
 */
import { Long, rowsOf } from "@ecommerce/sets/Sets"
import { Effect, Schema } from "effect"

import type { Books } from "./Books.ts"

/** Ids above the first, up to and with the second. */
export interface Slice {
  readonly after: string
  readonly upTo: string
}

const LedgerRow = Schema.Struct({
  orderId: Schema.String,
  status: Schema.String,
  totalCents: Long,
  secondsInState: Schema.Number,
  /** Since its customer has cancelled it. */
  secondsSinceCancel: Schema.NullOr(Schema.Number)
})
const SagaRow = Schema.Struct({
  orderId: Schema.String,
  definition: Schema.String,
  status: Schema.String,
  stuck: Schema.NullOr(Schema.String),
  /** Below 0 before its deadline. */
  secondsOverdue: Schema.Number,
  /** Since something was last written of it. */
  secondsIdle: Schema.Number
})
const OrderRow = Schema.Struct({
  orderId: Schema.String,
  status: Schema.NullOr(Schema.String),
  totalCents: Schema.NullOr(Long)
})
const ReservationRow = Schema.Struct({ orderId: Schema.String, state: Schema.String })
const ItemRow = Schema.Struct({ orderId: Schema.String, productId: Schema.String, quantity: Long })
const PaymentRow = Schema.Struct({
  orderId: Schema.String,
  isOpen: Schema.Boolean,
  approvedCents: Long,
  capturedCents: Long,
  refundedCents: Long,
  isVoid: Schema.Boolean,
  /** The processor's own books. */
  processorState: Schema.NullOr(Schema.String),
  processorCapturedCents: Long,
  processorRefundedCents: Long,
  doubleOperations: Long
})

/** Everything that is known of one order. */
export interface OrderFacts {
  readonly orderId: string
  readonly ledger: typeof LedgerRow.Type | undefined
  readonly placeOrder: typeof SagaRow.Type | undefined
  readonly cancelOrder: typeof SagaRow.Type | undefined
  readonly order: typeof OrderRow.Type | undefined
  readonly reservation: typeof ReservationRow.Type | undefined
  readonly items: ReadonlyArray<typeof ItemRow.Type>
  readonly payment: typeof PaymentRow.Type | undefined
}

const ledgerRows = rowsOf(LedgerRow)
const sagaRows = rowsOf(SagaRow)
const orderRows = rowsOf(OrderRow)
const reservationRows = rowsOf(ReservationRow)
const itemRows = rowsOf(ItemRow)
const paymentRows = rowsOf(PaymentRow)

export const read = Effect.fn("OrderFacts.read")(function* (books: Books, { after, upTo }: Slice) {
  const all = yield* Effect.all(
    {
      ledger: ledgerRows(books.edge`
        SELECT order_id, order_ledger.status, total_cents,
          extract(epoch FROM clock_timestamp() - at)::float8 AS seconds_in_state,
          extract(epoch FROM clock_timestamp() - requested_at)::float8 AS seconds_since_cancel
        FROM edge_api.order_ledger JOIN edge_api.order_states USING (order_id, version)
        LEFT JOIN edge_api.cancellations USING (order_id)
        WHERE order_id > ${after} AND order_id <= ${upTo}`),
      sagas: sagaRows(books.orchestrator`
        SELECT key AS order_id, definition, status, stuck,
          extract(epoch FROM clock_timestamp() - deadline_at)::float8 AS seconds_overdue,
          extract(epoch FROM clock_timestamp() - updated_at)::float8 AS seconds_idle
        FROM orchestrator.sagas
        WHERE definition IN ('place-order', 'cancel-order') AND key > ${after} AND key <= ${upTo}`),
      orders: orderRows(books.orders`
        SELECT order_id, status, total_cents FROM orders.orders WHERE order_id > ${after} AND order_id <= ${upTo}`),
      reservations: reservationRows(books.inventory`
        SELECT order_id, state FROM inventory.reservations WHERE order_id > ${after} AND order_id <= ${upTo}`),
      items: itemRows(books.inventory`
        SELECT order_id, product_id, quantity FROM inventory.reservation_items
        WHERE order_id > ${after} AND order_id <= ${upTo}`),
      payments: paymentRows(books.payment`
        SELECT order_id, is_open, coalesce(authorizations.approved_cents, 0) AS approved_cents,
          coalesce(captures.amount_cents, 0) AS captured_cents, coalesce(refunds.amount_cents, 0) AS refunded_cents,
          voids.authorization_id IS NOT NULL AS is_void, processor.state AS processor_state,
          coalesce(processor.captured_cents, 0) AS processor_captured_cents,
          coalesce(processor.refunded_cents, 0) AS processor_refunded_cents,
          (SELECT count(*) - count(DISTINCT operation) FROM payment.processor_operations
            WHERE reference = payments.authorization_id) AS double_operations
        FROM payment.payments
        LEFT JOIN payment.authorizations USING (authorization_id)
        LEFT JOIN payment.captures USING (authorization_id)
        LEFT JOIN payment.refunds USING (authorization_id)
        LEFT JOIN payment.voids USING (authorization_id)
        LEFT JOIN payment.processor_payments AS processor ON processor.reference = payments.authorization_id
        WHERE order_id > ${after} AND order_id <= ${upTo}`)
    },
    { concurrency: "unbounded" }
  )
  const byId = <A extends { readonly orderId: string }>(rows: ReadonlyArray<A>) =>
    new Map(rows.map((row) => [row.orderId, row]))
  const ledger = byId(all.ledger)
  const placeOrder = byId(all.sagas.filter(({ definition }) => definition === "place-order"))
  const cancelOrder = byId(all.sagas.filter(({ definition }) => definition === "cancel-order"))
  const orders = byId(all.orders)
  const reservations = byId(all.reservations)
  const payments = byId(all.payments)
  const items = Map.groupBy(all.items, ({ orderId }) => orderId)
  const ids = new Set(
    [ledger, placeOrder, cancelOrder, orders, reservations, payments].flatMap((rows) => [...rows.keys()])
  )
  return [...ids].map((orderId): OrderFacts => ({
    orderId,
    ledger: ledger.get(orderId),
    placeOrder: placeOrder.get(orderId),
    cancelOrder: cancelOrder.get(orderId),
    order: orders.get(orderId),
    reservation: reservations.get(orderId),
    items: items.get(orderId) ?? [],
    payment: payments.get(orderId)
  }))
})

const boundRows = rowsOf(Schema.Struct({ upTo: Schema.NullOr(Schema.String) }))
const last = "ffffffff-ffff-ffff-ffff-ffffffffffff"

/** The slice after this id, of so many orders of the ledger; the last one takes what others have stored behind it as well. */
export const sliceAfter = Effect.fn("OrderFacts.sliceAfter")(function* (books: Books, after: string, size: number) {
  const [row] = yield* boundRows(books.edge`
    SELECT (SELECT order_id FROM edge_api.order_ledger WHERE order_id > ${after} ORDER BY order_id OFFSET ${size - 1} LIMIT 1) AS up_to`)
  return { after, upTo: row?.upTo ?? last, isLast: row?.upTo === null || row === undefined }
})
