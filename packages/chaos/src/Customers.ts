/**
 * The load: customers who order, wait, lose patience, hang up, come back under the same key, cancel; each with a record of their
 * own. They know nothing of what is behind the edges.
 */
import { randomUUID } from "node:crypto"

import { isFinal, isTerminal } from "@ecommerce/contracts/Edge/Ledger"
import { Cause, Clock, Context, Duration, Effect, FiberSet, Layer, Option, Random, Ref, Schema } from "effect"
import { HttpClient, HttpClientRequest } from "effect/http"

import { type Answered, answerOf, decodeFailure, decodePage, decodeStanding, isLater, noFailure } from "./Answers.ts"
import { hasFailed, type Kind, type Sheet, type Told } from "./Record.ts"

export interface Options {
  /** Who comes, when, and what they do; not when anybody answers. */
  readonly seed: number
  readonly edgeUrls: ReadonlyArray<string>
  readonly plentiful: Product
  /** Of which there is not enough. */
  readonly scarce: Product
}

export interface Product {
  readonly id: string
  readonly priceCents: number
}

/** One who orders, and notes what happens. */
interface Customer {
  readonly sheet: Sheet
  readonly note: (by: (known: Sheet) => Partial<Sheet>) => Effect.Effect<void>
}

/** How often of a hundred. */
const mixture: ReadonlyArray<readonly [Kind, number]> = [
  ["paid", 34],
  ["slow card", 10],
  ["declined", 7],
  ["capture declined", 7],
  ["scarce", 10],
  ["sent twice", 10],
  ["cancelled early", 7],
  ["cancelled late", 6],
  ["hung up", 9]
]

const tokens: Readonly<Partial<Record<Kind, string>>> = {
  "slow card": "tok_slow_700",
  declined: "tok_decline_insufficient",
  "capture declined": "tok_capture_declined"
}

/** How long a customer waits for an answer before asking again. */
const patience = Duration.seconds(5)
const quantity = 2

export class Customers extends Context.Service<
  Customers,
  {
    /** Comes and comes, until it is interrupted; those who have begun go on. */
    readonly arrive: Effect.Effect<never>
    /** So many of this kind, now. */
    readonly send: (kind: Kind, count: number) => Effect.Effect<void>
    /** Until everybody has had an answer. */
    readonly done: Effect.Effect<void>
    readonly sheets: Effect.Effect<ReadonlyArray<Sheet>>
    /** All of a customer's orders, as they are told now. */
    readonly ask: (userId: string) => Effect.Effect<ReadonlyArray<Told>>
  }
>()("@ecommerce/chaos/Customers") {
  static readonly layer = (options: Options) =>
    Layer.effect(
      Customers,
      Effect.gen(function* () {
        const http = yield* HttpClient.HttpClient
        const fibers = yield* FiberSet.make()
        /** By customer. */
        const sheets = new Map<string, Ref.Ref<Sheet>>()
        const noterOf =
          (kept: Ref.Ref<Sheet>): Customer["note"] =>
          (by) =>
            Ref.update(kept, (known) => ({ ...known, ...by(known) }))

        /** None where nothing came back in time. */
        const request = (turn: number, make: (url: string) => HttpClientRequest.HttpClientRequest, wait = patience) =>
          http.execute(make(options.edgeUrls[turn % options.edgeUrls.length] ?? "")).pipe(
            Effect.flatMap((response) => Effect.map(response.text, (body): Answered => ({ response, body }))),
            Effect.timeout(wait),
            Effect.option
          )

        /** Again and again, at one edge after the other, until there is an answer that is not for later. */
        const insist = Effect.fnUntraced(function* (first: number, ask: (turn: number) => ReturnType<typeof request>) {
          for (let turn = first; ; turn++) {
            const answered = yield* ask(turn)
            if (Option.isSome(answered) && !isLater(answered.value)) return answered.value
            yield* pause
          }
        })

        /** The same once: what is asked until it is right may be wrong for long. */
        const wonder = ({ note }: Pick<Customer, "note">, { body, response }: Answered, when: string) =>
          note(({ strange }) => ({
            strange: [...new Set([...strange, `was answered with ${response.status} ${body}${when}`])]
          }))

        const order = (sheet: Sheet, wanted: number) => (url: string) => {
          const product = sheet.kind === "scarce" ? options.scarce : options.plentiful
          return HttpClientRequest.post(`${url}/orders`).pipe(
            HttpClientRequest.setHeader("idempotency-key", sheet.key),
            HttpClientRequest.bodyJsonUnsafe({
              user_id: sheet.userId,
              email: "ada@example.com",
              items: [{ product_id: product.id, quantity: wanted }],
              payment: { method: "card", token: tokens[sheet.kind] ?? "tok_visa_success" }
            })
          )
        }

        /** Under the same key. */
        const place = Effect.fnUntraced(function* (customer: Customer, first: number) {
          const { note, sheet } = customer
          const answered = yield* insist(first, (turn) =>
            Effect.gen(function* () {
              const isImpatient = sheet.kind === "hung up" && turn - first < 3
              const wait = isImpatient ? Duration.millis(yield* Random.nextIntBetween(1, 60)) : patience
              yield* note(({ requests }) => ({ requests: requests + 1 }))
              return yield* request(turn, order(sheet, quantity), wait)
            })
          )
          const answer = answerOf(answered)
          if (answer === undefined) return yield* wonder(customer, answered, "")
          yield* note(({ answers }) => ({ answers: [...answers, answer] }))
          return answer.status === 202 ? answer.orderId : undefined
        })

        /** Something else under the same key: nobody may take one order for the other. */
        const placeAnother = Effect.fnUntraced(function* (customer: Customer) {
          const answered = yield* insist(0, (turn) => request(turn, order(customer.sheet, quantity + 1)))
          const isRefused = answered.response.status === 422 && answered.body.includes("idempotency_key_reused")
          if (!isRefused) yield* wonder(customer, answered, " for another order under the same key")
        })

        const cancel = Effect.fnUntraced(function* (customer: Customer, orderId: string) {
          const answered = yield* insist(0, (turn) =>
            request(turn, (url) => HttpClientRequest.post(`${url}/orders/${orderId}/cancel`))
          )
          if (answered.response.status !== 202) return yield* wonder(customer, answered, " when it was cancelled")
          const { status } = yield* decodeStanding(answered.body)
          yield* customer.note(() => ({ isCancelled: !isFinal(status) }))
        })

        /** What should not have been answered is noted, and asked again. */
        const read = Effect.fnUntraced(function* (customer: Pick<Customer, "note">, path: string, first = 0) {
          for (let turn = first; ; turn++) {
            const answered = yield* insist(turn, (at) => request(at, (url) => HttpClientRequest.get(`${url}${path}`)))
            if (answered.response.status === 200) return answered.body
            yield* wonder(customer, answered, " when it was looked at")
            yield* pause
          }
        })

        const awaitEnd = Effect.fnUntraced(function* (customer: Customer, orderId: string) {
          for (let turn = 0; ; turn++) {
            const { status } = yield* decodeStanding(yield* read(customer, `/orders/${orderId}`, turn))
            if (isTerminal(status)) return
            yield* pause
          }
        })

        const live = Effect.fnUntraced(
          function* (customer: Customer) {
            const { kind } = customer.sheet
            const turn = yield* Random.nextIntBetween(0, 1)
            if (kind === "sent twice") {
              // At both edges at once, and again when it is long over.
              yield* Effect.all([place(customer, turn), place(customer, turn + 1)], { concurrency: 2 })
              yield* Effect.sleep(yield* Random.nextIntBetween(200, 4000))
              yield* place(customer, turn)
              return yield* placeAnother(customer)
            }
            const orderId = yield* place(customer, turn)
            if (orderId === undefined) return
            if (kind === "cancelled late") yield* awaitEnd(customer, orderId)
            if (kind === "cancelled early") yield* Effect.sleep(yield* Random.nextIntBetween(0, 150))
            if (kind === "cancelled early" || kind === "cancelled late") yield* cancel(customer, orderId)
          },
          // Nobody goes without a word, whose record would then be taken for whole.
          (life, { note }) =>
            Effect.catchCause(life, (cause) =>
              note(({ strange }) => ({ strange: [...strange, `gave up: ${Cause.pretty(cause)}`] }))
            )
        )

        const counts = new Map<string, number>()

        /** Those of one origin are numbered, and each draws by itself: who waits longer changes nothing for the others. */
        const begin = Effect.fnUntraced(function* (kind: Kind, origin: string) {
          const number = (counts.get(origin) ?? 0) + 1
          counts.set(origin, number)
          const product = kind === "scarce" ? options.scarce : options.plentiful
          const sheet: Sheet = {
            key: randomUUID(),
            kind,
            userId: randomUUID(),
            totalCents: quantity * product.priceCents,
            requests: 0,
            answers: [],
            isCancelled: false,
            strange: []
          }
          const kept = yield* Ref.make(sheet)
          sheets.set(sheet.userId, kept)
          const note = noterOf(kept)
          yield* FiberSet.run(fibers, Random.withSeed(live({ sheet, note }), `${options.seed} ${origin} ${number}`))
        })

        const arrive = Effect.gen(function* () {
          yield* begin(yield* draw, "arriving")
          yield* Effect.sleep(yield* Random.nextIntBetween(20, 180))
        }).pipe(Effect.forever, Random.withSeed(`${options.seed} arrivals`))

        /** A list of orders does not say why one has failed; the order itself does. */
        const ask = Effect.fnUntraced(function* (userId: string) {
          const kept = sheets.get(userId)
          const customer = { note: kept === undefined ? () => Effect.void : noterOf(kept) }
          const { orders } = yield* decodePage(yield* read(customer, `/orders?user_id=${userId}`))
          return yield* Effect.forEach(orders, ({ order_ledger_id: orderId, status, total_cents: totalCents }) =>
            Effect.gen(function* () {
              const { reason } = hasFailed(status)
                ? yield* decodeFailure(yield* read(customer, `/orders/${orderId}`))
                : noFailure
              const told: Told = { orderId, status, totalCents, reason: reason?.code ?? null }
              return told
            })
          )
        }, Effect.orDie)

        return Customers.of({
          arrive,
          send: (kind, count) => Effect.replicateEffect(begin(kind, `sent, ${kind}`), count, { discard: true }),
          done: FiberSet.awaitEmpty(fibers),
          sheets: Effect.suspend(() => Effect.forEach(sheets.values(), Ref.get)),
          ask
        })
      })
    )
}

const pause = Effect.flatMap(Random.nextIntBetween(100, 500), Effect.sleep)

const draw = Effect.gen(function* () {
  let left = yield* Random.nextIntBetween(0, 99)
  for (const [kind, share] of mixture) {
    left -= share
    if (left < 0) return kind
  }
  return "paid" as const
})

/** Some of everything are there, and too few of one. */
export const stock = Effect.fn("Customers.stock")(function* (inventoryUrl: string) {
  const http = yield* HttpClient.HttpClient
  const make = Effect.fnUntraced(function* (sku: string, priceCents: number, initialStock: number) {
    const response = yield* http.execute(
      HttpClientRequest.post(`${inventoryUrl}/products`).pipe(
        HttpClientRequest.bodyJsonUnsafe({ name: sku, sku, priceCents, initialStock })
      )
    )
    const { id } = yield* Effect.flatMap(response.json, decodeProduct)
    const product: Product = { id, priceCents }
    return product
  })
  const now = yield* Clock.currentTimeMillis
  return { plentiful: yield* make(`PLENTY-${now}`, 2499, 1_000_000), scarce: yield* make(`SCARCE-${now}`, 999, 20) }
}, Effect.orDie)

const decodeProduct = Schema.decodeUnknownEffect(Schema.Struct({ id: Schema.String }))
