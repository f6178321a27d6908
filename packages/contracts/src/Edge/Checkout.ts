/**
 * Placing an order: the request, its answer, and what can be in the way.
 */
import { FieldIssue, MalformedRequest } from "@ecommerce/protocol/GeneralProblems"
import * as Idempotency from "@ecommerce/protocol/Idempotency"
import { Problem } from "@ecommerce/protocol/Problem"
import { RateLimit } from "@ecommerce/protocol/RateLimit"
import { Text } from "@ecommerce/protocol/Validation"
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, HttpApiSchema, OpenApi } from "effect/http-api"

import { OrderId, ProductId, UserId } from "../Ids.ts"
import { CardToken, DeclineCode } from "../Payment/Commands.ts"
import { LedgerOrder } from "./Ledger.ts"

export const RequestedLine = Schema.Struct({
  product_id: ProductId,
  quantity: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 100 }))
})
export type RequestedLine = typeof RequestedLine.Type

const Email = Text.check(
  Schema.isBetweenCodePoints(3, 255),
  Schema.isPattern(/^[^\s@]+@[^\s@]+$/u, { expected: "an e-mail address" })
)

export const NewOrder = Schema.Struct({
  user_id: UserId,
  email: Email,
  items: Schema.Array(RequestedLine)
    .check(Schema.isBetweenLength(1, 50))
    .annotate({ description: "A product may stand on several lines. Prices are the catalogue's." }),
  payment: Schema.Struct({ method: Schema.Literal("card"), token: CardToken })
}).annotate({ identifier: "NewOrder" })
export type NewOrder = typeof NewOrder.Type

export const OrderAccepted = Schema.Struct({
  order_ledger_id: OrderId,
  status: Schema.Literal("AUTHORIZED"),
  message: Schema.String
}).annotate({ identifier: "OrderAccepted" })
export type OrderAccepted = typeof OrderAccepted.Type

/** What is in the way of selling a product. */
export const Objection = Schema.Literals(["unknown", "inactive"])
export type Objection = typeof Objection.Type

export class ProductNotSold extends Problem<ProductNotSold>()(
  "ProductNotSold",
  { code: "product_not_sold", status: 422, title: "Not everything that was ordered is sold here." },
  {
    products: Schema.Array(Schema.Struct({ product_id: ProductId, objection: Objection })),
    errors: Schema.Array(FieldIssue)
  }
) {}

export class OrderDeclined extends Problem<OrderDeclined>()(
  "OrderDeclined",
  { code: "payment_declined", status: 402, title: "The payment was declined." },
  { order_ledger_id: OrderId, decline_code: DeclineCode }
) {}

/** Nobody came back with the order's key after its payment could not be reached. */
export class OrderExpired extends Problem<OrderExpired>()(
  "OrderExpired",
  { code: "order_expired", status: 410, title: "This order was given up; place it again under a new Idempotency-Key." },
  { order_ledger_id: OrderId }
) {}

export class PaymentUnavailable extends Problem<PaymentUnavailable>()(
  "PaymentUnavailable",
  {
    code: "payment_unavailable",
    status: 503,
    title: "Payment cannot be reached; send the order again under the same Idempotency-Key."
  },
  { order_ledger_id: OrderId }
) {}

export class PricesUnavailable extends Problem<PricesUnavailable>()(
  "PricesUnavailable",
  { code: "prices_unavailable", status: 503, title: "Prices cannot be learnt at the moment; try again shortly." },
  {}
) {}

export const checkoutGroup = HttpApiGroup.make("checkout")
  .add(
    HttpApiEndpoint.post("place", "/orders", {
      headers: {
        [Idempotency.headerName]: Idempotency.IdempotencyKey,
        prefer: Schema.optionalKey(Schema.String).annotate({
          description: "`wait=N`: up to 30 seconds for the order's end, and the order itself if it comes by then."
        })
      },
      payload: NewOrder,
      success: [OrderAccepted.pipe(HttpApiSchema.status(202)), LedgerOrder],
      error: [
        MalformedRequest,
        ProductNotSold,
        OrderDeclined,
        OrderExpired,
        PaymentUnavailable,
        PricesUnavailable,
        Idempotency.MissingIdempotencyKey,
        Idempotency.IdempotencyKeyReused,
        Idempotency.RequestInProgress
      ]
    }).annotate(
      OpenApi.Description,
      "Places an order, once for its key, and answers when its payment is authorized. `Location` tells where the order is, " +
        "`Idempotent-Replayed` that this is the first answer again, `Preference-Applied` that it was waited, `Retry-After` " +
        "when to come again, and `RateLimit-Limit`, `-Remaining` and `-Reset` how often one may."
    )
  )
  .middleware(RateLimit)
  .annotate(OpenApi.Description, "Taking orders.")
