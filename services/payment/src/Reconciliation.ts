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
import { Array, Context, Duration, Effect, Layer, Metric, Option, Predicate, Schema, Stream } from "effect"
import type { SqlError } from "effect/sql"

import { Books, type PaymentState, type Posting } from "./Books.ts"
import { missingEntries } from "./Books/Entries.ts"
import { Processor, type ProcessorRecord, type ProcessorUnavailable } from "./Processor.ts"
import * as Rounds from "./Reconciliation/Rounds.ts"

/** One payment about which the two books do not agree. */
export interface Difference {
  readonly authorizationId: AuthorizationId
  readonly says: string
  /** Something is still intended with it, of which nobody knows what came of it. */
  readonly isOpen: boolean
}

export interface Comparison {
  readonly compared: number
  readonly differences: ReadonlyArray<Difference>
}

/** Payments by their ids, which begin with the time in which they were made. */
export interface Span {
  readonly after: string
  /** A look that had no end would run after every payment that comes meanwhile. */
  readonly until: string
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
  "How old a payment has to be before the processor is asked what became of it."
)
const pageSize = 500

/** So many payments of the last day are compared in one round. */
const pieceSize = 5000

const differing = Metric.gauge("payment_reconciliation_differences", {
  description: "In how many payments the two books did not agree at the last look.",
  attributes: { unit: "{payment}" }
})

export class Reconciliation extends Context.Service<
  Reconciliation,
  {
    /** Brings the books up to date for payments that are open for longer than this; answers what was posted. */
    readonly settleLate: (olderThan: Duration.Duration) => Asking<ReadonlyArray<Posting>>
    /** Every difference between the two books, in payments whose ids are in this span. */
    readonly compare: (span: Span) => Asking<Comparison>
    /** Those of these that do not agree now. */
    readonly recheck: (ids: ReadonlyArray<AuthorizationId>) => Asking<ReadonlyArray<Difference>>
    /** Where a piece of this span ends, if it has more payments than a piece. */
    readonly endOfPiece: (span: Span) => Asking<string | undefined>
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

      const page = (after: string, until: string) =>
        idRows(sql`
          SELECT authorization_id AS id FROM payments
          WHERE authorization_id > ${after} AND authorization_id <= ${until}
          ORDER BY authorization_id LIMIT ${pageSize}`)

      const settleLate = Effect.fn("Reconciliation.settleLate")(function* (olderThan: Duration.Duration) {
        return yield* paged((after) => openPage(after, olderThan)).pipe(
          Stream.mapEffect((ids) =>
            Effect.flatMap(processor.lookup(ids), (records) => books.settle(records, noTraces))
          ),
          Stream.runCollect,
          Effect.map((settled) => settled.flatMap(({ postings }) => postings))
        )
      })

      const check = Effect.fnUntraced(function* (ids: ReadonlyArray<AuthorizationId>) {
        if (ids.length === 0) return []
        const said = yield* processor.lookup(ids)
        const payments = new Map((yield* books.find(ids)).map((payment) => [payment.authorizationId, payment]))
        return said.flatMap((record) => differenceOf(payments.get(record.reference), record))
      })

      const recheck = (ids: ReadonlyArray<AuthorizationId>) =>
        Effect.map(Effect.forEach(Array.chunksOf(ids, pageSize), check), (pages) => pages.flat())

      const ours = ({ after, until }: Span) =>
        Stream.mapEffect(
          paged((last) => page(last, until), after),
          (ids) => Effect.map(check(ids), (differences) => ({ compared: ids.length, differences }))
        )

      /** Only those that we have never heard of: the others are compared from our side. */
      const theirs = ({ after, until }: Span) =>
        Stream.paginate(after, (last) =>
          Effect.gen(function* () {
            const listed = (yield* processor.list({ after: last, limit: pageSize })).map(({ reference }) => reference)
            const within = listed.filter((reference) => reference <= until)
            const known = new Set((yield* books.find(within)).map(({ authorizationId }) => authorizationId))
            const unknown = within.filter((reference) => !known.has(reference))
            const page = { compared: unknown.length, differences: yield* check(unknown) }
            const next = within.length === pageSize ? Array.last(within) : Option.none()
            return [[page], next] as const
          })
        )

      const compare = Effect.fn("Reconciliation.compare")(function* (span: Span) {
        const pages = yield* Stream.runCollect(Stream.concat(ours(span), theirs(span)))
        const compared = pages.reduce((sum, page) => sum + page.compared, 0)
        const found = pages.flatMap(({ differences }) => differences)
        if (found.length === 0) return { compared, differences: [] }
        // What was under way between the two looks agrees a moment later.
        yield* Effect.sleep("2 seconds")
        return { compared, differences: yield* recheck(found.map(({ authorizationId }) => authorizationId)) }
      })

      const endOfPiece = ({ after, until }: Span) =>
        Effect.map(
          idRows(sql`
            SELECT authorization_id AS id FROM payments
            WHERE authorization_id > ${after} AND authorization_id <= ${until}
            ORDER BY authorization_id OFFSET ${pieceSize} LIMIT 1`),
          ([row]) => row?.id
        )

      return Reconciliation.of({ settleLate, compare, recheck, endOfPiece })
    })
  )

  /** Two workers, because a long comparison must not keep anything open; nor does either make the service unready. */
  static readonly layerWorkers = Layer.unwrap(
    Effect.gen(function* () {
      const reconciliation = yield* Reconciliation
      const age = yield* settleAfter.read
      const options = { every: yield* every.read, roundTimeout: "1 hour", stalledAfter: "1 day" } as const
      return Layer.merge(
        Worker.layer("settling", settle(reconciliation, age), options),
        Worker.layer("reconciliation", tellDifferences(yield* Rounds.make(reconciliation, age)), options)
      )
    })
  )
}

const settle = Effect.fn("Reconciliation.settle")(function* (
  { settleLate }: Reconciliation["Service"],
  age: Duration.Duration
) {
  const late = yield* settleLate(age)
  if (late.length > 0) yield* Effect.logInfo(`${late.length} entries were late and are in the books now`)
}, ignoreAbsence)

/** Without those that are still under way: they are merely late. */
const tellDifferences = Effect.fn("Reconciliation.reconcile")(function* (round: Asking<ReadonlyArray<Difference>>) {
  const differences = yield* round
  const lasting = differences.filter(({ isOpen }) => !isOpen)
  yield* Metric.update(differing, lasting.length)
  yield* Effect.forEach(lasting.slice(0, mostTold), ({ authorizationId, says }) =>
    Effect.logWarning(`The books do not agree about ${authorizationId}: ${says}`)
  )
  if (lasting.length > mostTold) yield* Effect.logWarning(`… and about ${lasting.length - mostTold} more`)
}, ignoreAbsence)

function ignoreAbsence<A, E, R>(round: Effect.Effect<A, E | ProcessorUnavailable, R>) {
  return Effect.catchIf(
    round,
    (error) => Predicate.isTagged(error, "ProcessorUnavailable"),
    () => Effect.logInfo("The processor does not answer; the books are compared another time")
  )
}

const mostTold = 20

/** After every id: they are hexadecimal. */
export const lastId = "auth_g"

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
      return [ids.length === 0 ? [] : [ids], ids.length === pageSize ? Array.last(ids) : Option.none()] as const
    })
  )

const differenceOf = (payment: PaymentState | undefined, record: ProcessorRecord): ReadonlyArray<Difference> => {
  const { authorizedCents, capturedCents, reference: authorizationId, refundedCents, state } = record
  const there = `${state} there (authorized ${authorizedCents}, captured ${capturedCents}, refunded ${refundedCents})`
  if (payment === undefined) {
    return state === "UNKNOWN" ? [] : [{ authorizationId, isOpen: false, says: `unknown here; ${there}` }]
  }
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
    ...(payment.decidedAt !== null && here.authorized === 0 && state === "UNKNOWN" ? ["declined here"] : []),
    ...(record.declineCode !== null && payment.decidedAt !== null && record.declineCode !== payment.declineCode
      ? [
          `${payment.declineCode === null ? "approved" : `declined as ${payment.declineCode}`} here, ${record.declineCode} there`
        ]
      : []),
    ...(payment.cancelledAt !== null && isKept ? ["cancelled here, and the money is not given back yet"] : [])
  ]
  if (complaints.length === 0) return []
  return [{ authorizationId, isOpen: payment.isOpen, says: `${complaints.join("; ")}; ${there}` }]
}

const sumsOf = ({ amountCents, capturedCents, decidedAt, declineCode, refundedCents }: PaymentState) => ({
  authorized: decidedAt !== null && declineCode === null ? (amountCents ?? 0) : 0,
  captured: capturedCents ?? 0,
  refunded: refundedCents ?? 0
})
