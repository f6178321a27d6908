/**
 * Whether payment's books and the processor's say the same, and bringing ours up to date where they are merely late.
 *
 * It only ever asks the processor (`lookup`, `list`) and never has it do anything: an intention that never reached it is
 * for whoever intended it to repeat.
 */
import * as Settings from "@ecommerce/chassis/Settings"
import * as Worker from "@ecommerce/chassis/Worker"
import { AuthorizationId } from "@ecommerce/contracts/Payment/Commands"
import { rowsOf } from "@ecommerce/sets/Sets"
import { PgClient } from "@effect/sql-pg"
import { Array, Clock, Context, Duration, Effect, Layer, Metric, Schema, Stream } from "effect"
import type { SqlError } from "effect/sql"

import { Books, type PaymentState, type Posting } from "./Books.ts"
import { missingEntries } from "./Books/Entries.ts"
import { Processor, type ProcessorRecord, type ProcessorUnavailable } from "./Processor.ts"

/** One payment about which the two books do not agree. */
export interface Difference {
  readonly authorizationId: AuthorizationId
  readonly says: string
}

type Asking<A> = Effect.Effect<A, SqlError.SqlError | ProcessorUnavailable>

const every = Settings.duration(
  "RECONCILE_EVERY",
  "1 minute",
  "How often payment looks after open payments and compares its books with the processor's."
)
const settleAfter = Settings.duration(
  "RECONCILE_AFTER",
  "30 seconds",
  "How long a payment may be open before the processor is asked what became of it."
)
const pageSize = 500

const differing = Metric.gauge("payment_reconciliation_differences", {
  description: "In how many payments the two books did not agree at the last look."
})

export class Reconciliation extends Context.Service<
  Reconciliation,
  {
    /** Brings the books up to date for payments that are open for longer than this; answers what was posted. */
    readonly settleLate: (olderThan: Duration.Duration) => Asking<ReadonlyArray<Posting>>
    /** Every difference between the two books, in payments whose ids come after this one. */
    readonly compare: (after: string) => Asking<ReadonlyArray<Difference>>
  }
>()("@ecommerce/payment/Reconciliation") {
  static readonly layer = Layer.effect(
    Reconciliation,
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      const books = yield* Books
      const processor = yield* Processor

      const openPage = (after: string, age: Duration.Duration) =>
        idRows(sql`
          SELECT authorization_id AS id FROM payments
          WHERE is_open AND authorization_id > ${after}
            AND created_at < clock_timestamp() - make_interval(secs => ${Duration.toSeconds(age)}::double precision)
          ORDER BY authorization_id LIMIT ${pageSize}`)

      const page = (after: string) =>
        idRows(sql`
          SELECT authorization_id AS id FROM payments
          WHERE authorization_id > ${after} ORDER BY authorization_id LIMIT ${pageSize}`)

      const settleLate = Effect.fn("Reconciliation.settleLate")(function* (olderThan: Duration.Duration) {
        return yield* paged((after) => openPage(after, olderThan)).pipe(
          Stream.mapEffect((ids) =>
            Effect.flatMap(processor.lookup(ids), (records) => books.settle(records, noTraces))
          ),
          Stream.runCollect,
          Effect.map((postings) => postings.flat())
        )
      })

      const check = Effect.fnUntraced(function* (ids: ReadonlyArray<AuthorizationId>) {
        const said = yield* processor.lookup(ids)
        const payments = new Map((yield* books.find(ids)).map((payment) => [payment.authorizationId, payment]))
        return said.flatMap((record) => differenceOf(payments.get(record.reference), record))
      })

      /** Every id that only one of the books has, or of which they tell different stories at this moment. */
      const suspects = (start: string) =>
        Stream.concat(
          Stream.mapEffect(paged(page, start), check),
          Stream.paginate(start, (after) =>
            Effect.gen(function* () {
              const listed = (yield* processor.list({ after, limit: pageSize })).map(({ reference }) => reference)
              const known = new Set((yield* books.find(listed)).map(({ authorizationId }) => authorizationId))
              const unknown = listed.filter((reference) => !known.has(reference))
              return [[yield* check(unknown)], Array.last(listed)] as const
            })
          )
        )

      const compare = Effect.fn("Reconciliation.compare")(function* (after: string) {
        const found = (yield* Stream.runCollect(suspects(after))).flat()
        if (found.length === 0) return []
        // What was under way between the two looks agrees a moment later.
        yield* Effect.sleep("2 seconds")
        const again = Array.chunksOf(
          found.map(({ authorizationId }) => authorizationId),
          pageSize
        )
        return (yield* Effect.forEach(again, check)).flat()
      })

      return Reconciliation.of({ settleLate, compare })
    })
  )

  static readonly layerWorker = Layer.unwrap(
    Effect.gen(function* () {
      const reconciliation = yield* Reconciliation
      const age = yield* settleAfter.read
      return Worker.layer("reconciliation", reconcile(reconciliation, age), { every: yield* every.read })
    })
  )
}

/** One round: what is merely late is brought up to date, and what was touched in the last day is compared. */
const reconcile = Effect.fn("Reconciliation.reconcile")(
  function* ({ compare, settleLate }: Reconciliation["Service"], age: Duration.Duration) {
    const late = yield* settleLate(age)
    if (late.length > 0) yield* Effect.logInfo(`${late.length} entries were late and are in the books now`)
    const since = idOf((yield* Clock.currentTimeMillis) - Duration.toMillis(window))
    const differences = yield* compare(since)
    yield* Metric.update(differing, differences.length)
    yield* Effect.forEach(differences, ({ authorizationId, says }) =>
      Effect.logWarning(`The books do not agree about ${authorizationId}: ${says}`)
    )
  },
  Effect.catchTag("ProcessorUnavailable", ({ reason }) => Effect.logInfo(`Nothing to compare with: ${reason}`))
)

const window = Duration.days(1)

/** Ids begin with the time in which they were made. */
const idOf = (millis: number) => `auth_${Math.trunc(millis).toString(16).padStart(12, "0")}`

const idRows = rowsOf(Schema.Struct({ id: AuthorizationId }))
const noTraces: ReadonlyMap<string, string | null> = new Map()

/** Ids in pages, each after the last of the one before. */
const paged = <E>(
  pageAfter: (after: string) => Effect.Effect<ReadonlyArray<{ readonly id: AuthorizationId }>, E>,
  start = ""
) =>
  Stream.paginate(start, (after) =>
    Effect.map(pageAfter(after), (rows) => {
      const ids = rows.map(({ id }) => id)
      return [ids.length === 0 ? [] : [ids], Array.last(ids)] as const
    })
  )

const differenceOf = (payment: PaymentState | undefined, record: ProcessorRecord): ReadonlyArray<Difference> => {
  const { authorizedCents, capturedCents, reference: authorizationId, refundedCents, state } = record
  const there = `${state} there (authorized ${authorizedCents}, captured ${capturedCents}, refunded ${refundedCents})`
  if (payment === undefined) return state === "UNKNOWN" ? [] : [{ authorizationId, says: `unknown here; ${there}` }]
  const missing = missingEntries(payment, record).map(({ entry }) => entry)
  const here = sumsOf(payment)
  const isKept = state === "AUTHORIZED" || state === "CAPTURED"
  const complaints = [
    ...(missing.length > 0 ? [`not posted here yet: ${missing.join(", ")}`] : []),
    ...(payment.decidedAt !== null && here.authorized !== authorizedCents
      ? [`authorized ${here.authorized} here`]
      : []),
    ...(here.captured !== capturedCents && !missing.includes("captured") ? [`captured ${here.captured} here`] : []),
    ...(here.refunded !== refundedCents && !missing.includes("refunded") ? [`refunded ${here.refunded} here`] : []),
    ...(payment.voidedAt !== null && state !== "VOIDED" ? ["voided here"] : []),
    ...(payment.cancelledAt !== null && isKept ? ["cancelled here, and the money is not given back yet"] : [])
  ]
  if (complaints.length === 0) return []
  return [{ authorizationId, says: `${complaints.join("; ")}; ${there}` }]
}

const sumsOf = ({ amountCents, capturedCents, decidedAt, declineCode, refundedCents }: PaymentState) => ({
  authorized: decidedAt !== null && declineCode === null ? (amountCents ?? 0) : 0,
  captured: capturedCents ?? 0,
  refunded: refundedCents ?? 0
})
