/**
 * What payment offers: commands that hold, take and give back money, and a look at payments. All of it takes the service
 * token.
 */
import * as CommandClient from "@ecommerce/commands/CommandClient"
import { feedGroup } from "@ecommerce/outbox/FeedEndpoint"
import type { Place } from "@ecommerce/protocol/Place"
import { strictParsing, Validation } from "@ecommerce/protocol/Validation"
import { Context, Effect, Layer } from "effect"
import { HttpApi, OpenApi } from "effect/http-api"

import { authorizePayment, cancelPayment, capturePayment, commandsGroup } from "./Payment/Commands.ts"
import { paymentsGroup } from "./Payment/Payments.ts"

export const payment: Place = { name: "payment", port: 3002 }

export class PaymentApi extends HttpApi.make("payment")
  .add(paymentsGroup)
  .add(commandsGroup)
  .add(feedGroup)
  .middleware(Validation)
  .annotateMerge(strictParsing)
  .annotateMerge(
    OpenApi.annotations({
      title: "Payment",
      version: "0.1.0",
      description: "Authorizations, captures, voids and refunds."
    })
  ) {}

/** Payment as other services ask it: `payment.authorizePayment({ orderId, amountCents, currency, token })`. */
export class PaymentClient extends Context.Service<PaymentClient>()("@ecommerce/contracts/PaymentClient", {
  make: (server: CommandClient.Server) => {
    const to = CommandClient.to(server)
    return Effect.all({
      authorizePayment: to(authorizePayment),
      capturePayment: to(capturePayment),
      cancelPayment: to(cancelPayment)
    })
  }
}) {
  static readonly layer = (server: CommandClient.Server) => Layer.effect(PaymentClient, PaymentClient.make(server))
}
