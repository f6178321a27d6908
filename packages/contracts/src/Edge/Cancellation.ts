/**
 * Cancelling an order: on its way it is undone, completed it is taken back.
 */
import { Problem } from "@ecommerce/protocol/Problem"
import { RateLimit } from "@ecommerce/protocol/RateLimit"
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, HttpApiSchema, OpenApi } from "effect/http-api"

import { OrderId } from "../Ids.ts"
import { LedgerOrderNotFound, LedgerStatus } from "./Ledger.ts"

export const CancelAnswer = Schema.Struct({
  order_ledger_id: OrderId,
  status: LedgerStatus.annotate({ description: "Where the order stands at this moment." }),
  message: Schema.String
}).annotate({ identifier: "CancelAnswer" })
export type CancelAnswer = typeof CancelAnswer.Type

export class OrderNotAuthorizedYet extends Problem<OrderNotAuthorizedYet>()(
  "OrderNotAuthorizedYet",
  {
    code: "order_not_authorized_yet",
    status: 409,
    title: "The order's payment is not authorized yet; cancel it when it is."
  },
  { order_ledger_id: OrderId }
) {}

export const cancellationGroup = HttpApiGroup.make("cancellation")
  .add(
    HttpApiEndpoint.post("cancel", "/orders/:id/cancel", {
      params: { id: OrderId },
      success: CancelAnswer.pipe(HttpApiSchema.status(202)),
      error: [LedgerOrderNotFound, OrderNotAuthorizedYet]
    }).annotate(
      OpenApi.Description,
      "The customer does not want the order any more. Needs no key: however often it is sent, it is done once."
    )
  )
  .middleware(RateLimit)
  .annotate(OpenApi.Description, "Cancelling orders.")
