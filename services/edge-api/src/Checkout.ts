/**
 * Placing an order: the whole story of one `POST /orders`.
 *
 * Prices first; then the order goes into the ledger, with its key; then payment is asked; then its answer is written, with
 * the answer to the request. Where the key is there already, the request is judged by what is kept under it. What has
 * begun is done to its end, whether the client still listens or not.
 */
import * as Database from "@ecommerce/chassis/Database"
import { Gate } from "@ecommerce/chassis/Gate"
import * as Settings from "@ecommerce/chassis/Settings"
import { toTheEnd } from "@ecommerce/commands/CommandServer"
import {
  NewOrder,
  PaymentUnavailable,
  type PricesUnavailable,
  type ProductNotSold
} from "@ecommerce/contracts/Edge/Checkout"
import type { OrderId } from "@ecommerce/contracts/Ids"
import { MalformedRequest } from "@ecommerce/protocol/GeneralProblems"
import { type Answer, digestOf, IdempotencyKeyReused, RequestInProgress } from "@ecommerce/protocol/Idempotency"
import * as Traceparent from "@ecommerce/protocol/Traceparent"
import * as Batched from "@ecommerce/sets/Batched"
import { isolated } from "@ecommerce/sets/Isolation"
import * as Trace from "@ecommerce/telemetry/Trace"
import { Cause, Clock, Context, Data, Duration, Effect, Layer, Option, Result, Schema } from "effect"
import { SqlError } from "effect/sql"

import { Checkouts } from "./Checkouts.ts"
import type { Draft, Kept, OpenOrder } from "./Checkouts/Requests.ts"
import * as InFlight from "./InFlight.ts"
import { Prices } from "./Prices.ts"
import { Settlement } from "./Settlement.ts"

export interface OrderRequest {
  readonly key: string
  readonly order: NewOrder
}

/** The first answer to the request, or the same again. */
export interface Placed extends Answer {
  readonly orderId: OrderId
}

export type Refusal =
  | ProductNotSold
  | PricesUnavailable
  | PaymentUnavailable
  | MalformedRequest
  | IdempotencyKeyReused
  | RequestInProgress

interface Request extends OrderRequest {
  readonly digest: string
  /** Until when somebody else's work on it is waited for. */
  readonly until: number
}

export class Checkout extends Context.Service<
  Checkout,
  { readonly place: (request: OrderRequest) => Effect.Effect<Placed, Refusal> }
>()("@ecommerce/edge-api/Checkout") {
  static readonly layer = Layer.effect(
    Checkout,
    Effect.gen(function* () {
      const checkouts = yield* Checkouts
      const prices = yield* Prices
      const settlement = yield* Settlement
      const patience = yield* waitFor.read
      const { aside } = yield* Gate
      const inFlight = InFlight.make<Placed, Refusal>({
        aside,
        replay: (placed) => ({ ...placed, replayed: true })
      })

      const open = yield* Batched.make(
        "open-checkouts",
        isolated<Draft, Opened, never>({
          run: (drafts) => Effect.map(checkouts.open(drafts), (orders) => orders.map((order) => order ?? "known")),
          keyOf: ({ key }) => key,
          contentOf: ({ digest }) => digest,
          onBadItem: () => "bad"
        })
      )
      const look = yield* Batched.make("look-at-checkouts", (keys: ReadonlyArray<string>) =>
        Effect.map(checkouts.look(keys), (kept) => keys.map((key) => kept.get(key)))
      )

      const settle = Effect.fnUntraced(function* (request: Request, order: OpenOrder) {
        yield* Trace.about({ "order.id": order.orderId })
        const settled = yield* settlement.settle(order)
        if (typeof settled === "object") return { ...settled, orderId: order.orderId, replayed: false }
        if (settled === "unreachable" && (yield* settlement.mark(order))) {
          return yield* new PaymentUnavailable({ order_ledger_id: order.orderId })
        }
        return yield* attend(request, "has waited")
      })

      /** The key is there already. Whoever has waited while somebody was at work has the outcome of that, and begins nothing. */
      const attend = Effect.fnUntraced(function* (
        request: Request,
        since: "comes first" | "has waited",
        pause = 20
      ): Effect.fn.Return<Placed, Refusal | Failing> {
        const kept = yield* look(request.key)
        if (kept === undefined) return yield* unclear
        const { orderId } = kept
        yield* Trace.about({ "order.id": orderId })
        const answer = answerIn(kept)
        if (kept.digest !== request.digest) return yield* new IdempotencyKeyReused()
        if (answer !== undefined) return { ...answer, orderId, replayed: true }
        if (!kept.isLeased && kept.stage !== "LAPSING") {
          if (kept.stage === "MARKED" && since === "has waited") {
            return yield* new PaymentUnavailable({ order_ledger_id: orderId })
          }
          const [taken] = yield* checkouts.take([orderId])
          if (taken !== undefined) return yield* settle(request, taken)
        }
        if ((yield* Clock.currentTimeMillis) + pause > request.until) return yield* new RequestInProgress()
        yield* aside(Effect.sleep(pause))
        return yield* attend(request, "has waited", Math.min(pause * 2, longestPause))
      })

      const begin = Effect.fnUntraced(function* (request: Request, lines: Draft["lines"]) {
        const { digest, key, order } = request
        const { email, payment, user_id: userId } = order
        const traceparent = Option.getOrNull(yield* Traceparent.current)
        const opened = yield* open({ key, digest, token: payment.token, traceparent, userId, email, lines }).pipe(
          // It may have been there before, or in a half of the batch that was taken before the rest was refused.
          Effect.catchIf(Database.isRefused, (error) =>
            Effect.flatMap(look(key), (kept) =>
              kept === undefined ? Effect.fail(new NotTaken({ error })) : Effect.succeed("known" as const)
            )
          )
        )
        if (opened === "bad") return yield* new MalformedRequest()
        return yield* opened === "known" ? attend(request, "comes first") : settle(request, opened)
      })

      /**
       * From here on the order may be in the ledger, and be brought to its end by others: nothing may sound like a no, unless the
       * database itself has said that it does not take it.
       */
      const orUnclear = <A>(work: Effect.Effect<A, Refusal | Failing | NotTaken>) =>
        Effect.catchCause(work, (cause): Effect.Effect<A, Refusal> => {
          const said = Option.getOrUndefined(Cause.findErrorOption(cause))
          if (said?._tag === "NotTaken") return Effect.die(said.error)
          if (said !== undefined && isRefusal(said)) return Effect.fail(said)
          return Effect.andThen(Effect.logWarning(`What became of an order is not clear yet: ${why(cause)}`), unclear)
        })

      const run = Effect.fn("Checkout.run")(function* (request: Request) {
        const priced = yield* Effect.result(prices.price(request.order.items))
        if (Result.isSuccess(priced)) return yield* orUnclear(begin(request, priced.success))
        // An order that is there already does not depend on what is sold by now.
        const kept = yield* Database.dies(look(request.key))
        return yield* kept === undefined ? Effect.fail(priced.failure) : orUnclear(attend(request, "comes first"))
      })

      const place = Effect.fn("Checkout.place")(function* ({ key, order }: OrderRequest) {
        const digest = digestOf(encodeOrder(order))
        const until = (yield* Clock.currentTimeMillis) + Duration.toMillis(patience)
        return yield* inFlight({ key, digest, until, work: toTheEnd(run({ key, order, digest, until })) })
      })

      return Checkout.of({ place })
    })
  )
}

const waitFor = Settings.duration(
  "DUPLICATE_WAIT",
  "8 seconds",
  "How long a request waits for the first one with its Idempotency-Key, before it is answered with 409."
)

const encodeOrder = Schema.encodeSync(Schema.toCodecJson(NewOrder))

/** `known`: the key is there already; `bad`: PostgreSQL will not store it. */
type Opened = OpenOrder | "known" | "bad"

type Failing = SqlError.SqlError

/** The order is not in the ledger, and will not be by this request. */
class NotTaken extends Data.TaggedError("NotTaken")<{ readonly error: SqlError.SqlError }> {}

const longestPause = 250

const unclear = Effect.fail(
  new RequestInProgress({ detail: "Send it again under the same key to learn what became of it." })
)

const answerIn = ({ body, status }: Kept) => (status === null || body === null ? undefined : { status, body })

/** In a few words where it is the database: there may be many who are told the same. */
const why = (cause: Cause.Cause<unknown>) => {
  const error = Cause.squash(cause)
  return SqlError.isSqlError(error) ? Database.describe(error) : Cause.pretty(cause)
}

const isRefusal = (error: Refusal | Failing): error is Refusal => error._tag !== "SqlError"
