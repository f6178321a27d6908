/**
 * The shop as its customers know it: HTTP through published ports, as anybody with curl would ask.
 */
import { isTerminal, LedgerStatus } from "@ecommerce/contracts/Edge/Ledger"
import { Effect, Fiber, Option, Ref, Schedule, Schema } from "effect"
import { HttpClient, HttpClientRequest } from "effect/http"

export interface Addresses {
  readonly inventory: string
  readonly edge: string
}

/** A product with stock, as the README makes one. */
export const stockedProduct = Effect.fn("Shop.stockedProduct")(function* (
  at: Addresses,
  sku: string,
  quantity: number
) {
  const product = yield* post(`${at.inventory}/products`, { name: "Wireless Mouse", sku, priceCents: 2999 })
  const { id } = yield* Effect.flatMap(product.json, decodeProduct)
  yield* post(`${at.inventory}/products/${id}/stock`, { quantity, reason: "Initial inventory" }, `stock-${sku}`)
  return id
})

export const hasProduct = Effect.fnUntraced(function* (at: Addresses, id: string) {
  const { status } = yield* HttpClient.get(`${at.inventory}/products/${id}`)
  return status === 200
})

/** The order's id when it is accepted, which is asked for under one key until the answer is definite; none where it is declined. */
export const order = Effect.fn("Shop.order")(function* (at: Addresses, productId: string, key: string) {
  const attempt = post(
    `${at.edge}/orders`,
    {
      user_id: "550e8400-e29b-41d4-a716-446655440000",
      email: "test@example.com",
      items: [{ product_id: productId, quantity: 2 }],
      payment: { method: "card", token: "tok_visa_success" }
    },
    key
  )
  const answer = yield* attempt.pipe(
    Effect.flatMap((response) =>
      response.status === 409 || response.status === 429 || response.status >= 500
        ? Effect.fail(response.status)
        : Effect.succeed(response)
    ),
    Effect.timeout("30 seconds"),
    Effect.retry({ schedule: Schedule.spaced("300 millis"), times: 400 })
  )
  if (answer.status === 402) return Option.none<string>()
  const { order_ledger_id } = yield* Effect.flatMap(answer.json, decodeAccepted)
  return Option.some(order_ledger_id)
})

export const statusOf = Effect.fnUntraced(function* (at: Addresses, orderId: string) {
  const response = yield* HttpClient.get(`${at.edge}/orders/${orderId}`)
  return (yield* Effect.flatMap(response.json, decodeOrder)).status
})

/** What becomes of it. */
export const endOf = (at: Addresses, orderId: string) =>
  statusOf(at, orderId).pipe(
    Effect.timeout("10 seconds"),
    Effect.retry({ schedule: Schedule.spaced("500 millis"), times: 100 }),
    Effect.repeat({ until: isTerminal, schedule: Schedule.spaced("100 millis") }),
    Effect.timeoutOrElse({ duration: "4 minutes", orElse: () => Effect.succeed("on its way still" as const) })
  )

export interface Taken {
  readonly accepted: ReadonlyArray<string>
  readonly declined: number
}

/** So many customers who order again and again, until this is told to stop; it answers what they have ordered by then. */
export const crowd = Effect.fn("Shop.crowd")(function* (at: Addresses, productId: string, customers: number) {
  const taken = yield* Ref.make<Taken>({ accepted: [], declined: 0 })
  const isOver = yield* Ref.make(false)
  const customer = Effect.fnUntraced(function* (number: number) {
    for (let count = 0; !(yield* Ref.get(isOver)); count++) {
      const id = yield* order(at, productId, `crowd-${number}-${count}`)
      yield* Ref.update(taken, ({ accepted, declined }) =>
        Option.match(id, {
          onNone: () => ({ accepted, declined: declined + 1 }),
          onSome: (some) => ({ accepted: [...accepted, some], declined })
        })
      )
      yield* Effect.sleep("100 millis")
    }
  })
  const numbers = Array.from({ length: customers }, (_, number) => number)
  const ordering = yield* Effect.forkScoped(Effect.forEach(numbers, customer, { concurrency: "unbounded" }))
  return Ref.set(isOver, true).pipe(Effect.andThen(Fiber.join(ordering)), Effect.andThen(Ref.get(taken)))
})

const post = (url: string, body: unknown, key?: string) =>
  HttpClient.execute(
    HttpClientRequest.post(url).pipe(
      HttpClientRequest.bodyJsonUnsafe(body),
      key === undefined ? (request) => request : HttpClientRequest.setHeader("idempotency-key", key)
    )
  )

const decodeProduct = Schema.decodeUnknownEffect(Schema.Struct({ id: Schema.String }))
const decodeAccepted = Schema.decodeUnknownEffect(Schema.Struct({ order_ledger_id: Schema.String }))
const decodeOrder = Schema.decodeUnknownEffect(Schema.Struct({ status: LedgerStatus }))
