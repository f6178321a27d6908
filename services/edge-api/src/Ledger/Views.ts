/**
 * An order as it is stored, and as its customer sees it.
 */
import { LedgerOrder, LedgerStatus, type LedgerSummary, OrderState } from "@ecommerce/contracts/Edge/Ledger"
import { OrderId, ProductId } from "@ecommerce/contracts/Ids"
import { Long, rowsOf } from "@ecommerce/sets/Sets"
import { Schema } from "effect"

const LineRow = Schema.Struct({
  orderId: OrderId,
  productId: ProductId,
  quantity: Schema.Int,
  unitPriceCents: Schema.Int
})
export const lineRows = rowsOf(LineRow)

const StateRow = Schema.Struct({ ...OrderState.fields, orderId: OrderId, at: Schema.DateTimeUtcFromDate })
export const stateRows = rowsOf(StateRow)

/** The driver reads timestamps as dates, and bigints as such. */
const EntryRow = Schema.Struct({
  orderId: OrderId,
  userId: LedgerOrder.fields.user_id,
  totalCents: Long,
  currency: Schema.String,
  createdAt: Schema.DateTimeUtcFromDate
})
export const entryRows = rowsOf(EntryRow)

const SummaryRow = Schema.Struct({
  orderLedgerId: OrderId,
  status: LedgerStatus,
  totalCents: Long,
  currency: Schema.String,
  createdAt: Schema.DateTimeUtcFromDate
})
export const summaryRows = rowsOf(SummaryRow)

export const summaryOf = (row: typeof SummaryRow.Type): LedgerSummary => ({
  order_ledger_id: row.orderLedgerId,
  status: row.status,
  total_cents: row.totalCents,
  currency: row.currency,
  created_at: row.createdAt
})

/** Where an order stands is what its history says: the statements may have seen different moments. */
export const viewOf = (
  { createdAt, currency, orderId, totalCents, userId }: typeof EntryRow.Type,
  lines: ReadonlyArray<typeof LineRow.Type>,
  states: ReadonlyArray<typeof StateRow.Type>,
  { at, reason, status }: typeof StateRow.Type
): LedgerOrder => ({
  order_ledger_id: orderId,
  user_id: userId,
  status,
  reason,
  items: lines.map(({ productId, quantity, unitPriceCents }) => ({
    product_id: productId,
    quantity,
    unit_price_cents: unitPriceCents,
    line_total_cents: quantity * unitPriceCents
  })),
  total_cents: totalCents,
  currency,
  states,
  created_at: createdAt,
  updated_at: at
})
