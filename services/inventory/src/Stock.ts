/**
 * Stock by hand: what arrived, what broke, what was counted wrong. Each change happens once for its Idempotency-Key.
 */
import * as Database from "@ecommerce/chassis/Database"
import type { ProductId } from "@ecommerce/contracts/Ids"
import { stockAdjusted } from "@ecommerce/contracts/Inventory/Events"
import { ProductNotFound } from "@ecommerce/contracts/Inventory/Products"
import {
  InsufficientStock,
  type StockChange,
  StockChanged,
  StockOutOfRange
} from "@ecommerce/contracts/Inventory/Stock"
import * as Outbox from "@ecommerce/outbox/Outbox"
import { MalformedRequest } from "@ecommerce/protocol/GeneralProblems"
import { type Answer, digestOf, IdempotencyKeyReused, RequestInProgress } from "@ecommerce/protocol/Idempotency"
import { inTrace } from "@ecommerce/protocol/Problem"
import { largestInt4 } from "@ecommerce/protocol/Validation"
import { isolated } from "@ecommerce/sets/Isolation"
import type { Outcomes } from "@ecommerce/sets/Sets"
import * as Trace from "@ecommerce/telemetry/Trace"
import { PgClient } from "@effect/sql-pg"
import { Context, Effect, Layer, Result, Schema } from "effect"
import type { SqlError } from "effect/sql"

import { type Claimed, IdempotencyKeys } from "./IdempotencyKeys.ts"
import { type Adjustment, type Change, type LockedProduct, StockLedger } from "./StockLedger.ts"

export interface StockRequest {
  readonly key: string
  readonly productId: ProductId
  readonly change: StockChange
}

type Refusal = IdempotencyKeyReused | RequestInProgress | MalformedRequest

export class Stock extends Context.Service<
  Stock,
  {
    /** In the order of the requests; a change that does not fit is refused, and the refusal is the key's answer too. */
    readonly adjust: (requests: ReadonlyArray<StockRequest>) => Effect.Effect<Outcomes<Answer, Refusal>>
  }
>()("@ecommerce/inventory/Stock") {
  static readonly layer = Layer.effect(
    Stock,
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      const ledger = yield* StockLedger
      const keys = yield* IdempotencyKeys

      const adjustOnce = Effect.fn("Stock.adjustOnce")(function* (requests: ReadonlyArray<StockRequest>) {
        const claims = requests.map((request) => ({ key: request.key, digest: contentOf(request) }))
        const claimed = yield* Effect.catchIf(keys.claim(route, claims), waitedTooLong, () => new KeyHeld())
        const fresh = requests.filter(({ key }) => claimed.get(key) === "new")
        if (fresh.length === 0) return requests.map(({ key }) => outcomeOf(claimed.get(key), undefined))
        const locked = yield* ledger.lock(fresh.map(({ productId }) => productId))
        const decided = decideAll(fresh, locked)
        const adjustments = yield* ledger.write(
          decided.flatMap(({ change }) => (change === undefined ? [] : [change])),
          locked
        )
        yield* Outbox.append(adjustments.flatMap((adjustment) => [adjustedEvent(adjustment), ...adjustment.events]))
        const span = yield* Trace.here
        const answers = answerAll(decided, adjustments, span?.traceId)
        yield* keys.store(
          route,
          [...answers].map(([key, answer]) => ({ key, ...answer }))
        )
        return requests.map(({ key }) => outcomeOf(claimed.get(key), answers.get(key)))
      })

      /** A key that somebody holds is found like a bad item: in halves, so that the others need not wait for it. */
      const run = (
        requests: ReadonlyArray<StockRequest>
      ): Effect.Effect<ReadonlyArray<Result.Result<Answer, Refusal>>, SqlError.SqlError> =>
        Effect.catchTag(Database.inTransaction(sql)(adjustOnce(requests)), "KeyHeld", () => {
          if (requests.length === 1) return Effect.succeed([Result.fail(new RequestInProgress())])
          const middle = Math.ceil(requests.length / 2)
          const halves = [run(requests.slice(0, middle)), run(requests.slice(middle))]
          return Effect.map(Effect.all(halves), (outcomes) => outcomes.flat())
        })

      const adjust = isolated<StockRequest, Result.Result<Answer, Refusal>, never>({
        run,
        keyOf: ({ key }) => key,
        contentOf,
        onBadItem: () => Result.fail(new MalformedRequest())
      })

      return Stock.of({ adjust: (requests) => Database.dies(adjust(requests)) })
    })
  )
}

const route = "POST /products/:id/stock"

const contentOf = ({ change, productId }: StockRequest) => digestOf({ productId, change })

/** The first request with this key is still at work, in another transaction. */
class KeyHeld extends Schema.TaggedError<KeyHeld>()("KeyHeld", {}) {}

/** The role's lock_timeout bounds the wait for the first request with a key. */
const waitedTooLong = ({ reason }: SqlError.SqlError) => reason._tag === "LockTimeoutError"

interface Decided {
  readonly key: string
  /** Absent where the request is refused. */
  readonly change?: Change
  readonly refusal?: ProductNotFound | InsufficientStock | StockOutOfRange
}

/** Each request sees the stock that those before it leave. */
const decideAll = (
  requests: ReadonlyArray<StockRequest>,
  locked: ReadonlyMap<ProductId, LockedProduct>
): ReadonlyArray<Decided> => {
  const stock = new Map([...locked].map(([id, product]) => [id, product.stockQuantity]))
  return requests.map(({ change, key, productId }): Decided => {
    const availableQuantity = stock.get(productId)
    if (availableQuantity === undefined) return { key, refusal: new ProductNotFound({ productId }) }
    const after = availableQuantity + change.quantity
    if (after < 0) {
      const requestedChange = change.quantity
      return { key, refusal: new InsufficientStock({ productId, requestedChange, availableQuantity }) }
    }
    if (change.quantity > 0 && after > largestInt4)
      return { key, refusal: new StockOutOfRange({ productId, availableQuantity }) }
    stock.set(productId, after)
    const { notes = null, quantity, reason, referenceId = null } = change
    return { key, change: { productId, kind: "manual", quantity, reason, referenceId, notes } }
  })
}

const stockChanged = ({ after, before, id, productId, quantity, reason }: Adjustment): StockChanged => ({
  adjustmentId: id,
  productId,
  previousQuantity: before,
  quantityChange: quantity,
  newQuantity: after,
  reason
})

const adjustedEvent = (adjustment: Adjustment) =>
  stockAdjusted.of({ subject: adjustment.productId, version: adjustment.version, data: stockChanged(adjustment) })

const Refused = Schema.Union([ProductNotFound, InsufficientStock, StockOutOfRange])
const encodeChanged = Schema.encodeSync(Schema.fromJsonString(Schema.toCodecJson(StockChanged)))
const encodeRefused = Schema.encodeSync(Schema.fromJsonString(Schema.toCodecJson(Refused)))

/** The answers by key; adjustments come in the order of the changes. */
const answerAll = (
  decided: ReadonlyArray<Decided>,
  adjustments: ReadonlyArray<Adjustment>,
  traceId: string | undefined
) => {
  const written = adjustments.values()
  return new Map(
    decided.map(({ key, refusal }): [string, Answer] => {
      if (refusal !== undefined) {
        const body = inTrace(encodeRefused(refusal), traceId)
        return [key, { status: refusal.status, body, replayed: false }]
      }
      const { value } = written.next()
      if (value === undefined) throw new Error(`The change with the key ${key} was not written`)
      return [key, { status: 200, body: encodeChanged(stockChanged(value)), replayed: false }]
    })
  )
}

const outcomeOf = (claimed: Claimed | undefined, answer: Answer | undefined): Result.Result<Answer, Refusal> => {
  if (answer !== undefined) return Result.succeed(answer)
  if (typeof claimed === "object") return Result.succeed({ ...claimed, replayed: true })
  return Result.fail(new IdempotencyKeyReused())
}
