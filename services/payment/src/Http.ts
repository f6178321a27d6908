/**
 * Payment over HTTP: one line an endpoint. The rules are in the nouns.
 */
import * as Database from "@ecommerce/chassis/Database"
import * as Http from "@ecommerce/chassis/Http"
import type * as Service from "@ecommerce/chassis/Service"
import type { StartupError } from "@ecommerce/chassis/StartupError"
import * as CommandServer from "@ecommerce/commands/CommandServer"
import { payment, PaymentApi } from "@ecommerce/contracts/Payment"
import { authorizePayment, cancelPayment, capturePayment } from "@ecommerce/contracts/Payment/Commands"
import { PaymentNotFound } from "@ecommerce/contracts/Payment/Payments"
import { Feed } from "@ecommerce/outbox/Feed"
import { Effect, Layer } from "effect"
import { HttpApiBuilder } from "effect/http-api"

import { Books } from "./Books.ts"
import * as Guard from "./Guard.ts"
import { Intentions } from "./Intentions.ts"
import { Payments } from "./Payments.ts"
import * as PretendProcessor from "./PretendProcessor.ts"
import { Reconciliation } from "./Reconciliation.ts"
import { viewOf } from "./Views.ts"

const payments = HttpApiBuilder.group(
  PaymentApi,
  "payments",
  Effect.fn(function* (handlers) {
    const books = yield* Books
    return handlers.handleAll({
      list: ({ query }) =>
        Effect.map(Database.dies(books.read([query.order_id])), (found) => ({
          payments: [...found.values()].flatMap((state) => viewOf(state) ?? [])
        })),
      get: Effect.fnUntraced(function* ({ params: { authorizationId } }) {
        const [found] = yield* Database.dies(books.find([authorizationId]))
        const view = found === undefined ? undefined : viewOf(found)
        return view === undefined ? yield* new PaymentNotFound({ authorizationId }) : view
      })
    })
  })
)

const commands = HttpApiBuilder.group(
  PaymentApi,
  "commands",
  Effect.fn(function* (handlers) {
    const payments = yield* Payments
    return handlers.handleAll({
      "authorize-payment": CommandServer.handler(authorizePayment, payments.authorize),
      "capture-payment": CommandServer.handler(capturePayment, payments.capture),
      "cancel-payment": CommandServer.handler(cancelPayment, payments.cancel)
    })
  })
)

const feed = HttpApiBuilder.group(PaymentApi, "feed", (handlers) =>
  Effect.map(Feed, ({ read }) => handlers.handle("read", ({ query }) => read(query)))
)

/** The nouns of payment, over a database and with the pretend processor behind its guard. */
export const nouns = Layer.mergeAll(Payments.layer, Reconciliation.layer).pipe(
  Layer.provideMerge(Intentions.layer),
  Layer.provideMerge(Books.layer),
  Layer.provideMerge(Guard.layer.pipe(Layer.provide(PretendProcessor.layer)))
)

/** The service as the chassis and the tests run it. */
export const definition = {
  place: payment,
  routes: Http.routes(PaymentApi).pipe(
    Layer.provide([payments, commands, feed]),
    Layer.merge(Reconciliation.layerWorkers),
    Layer.provide(nouns)
  )
} satisfies Service.Definition<StartupError>
