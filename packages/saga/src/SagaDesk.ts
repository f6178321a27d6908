/**
 * What an operator sees of sagas, and does with those that do not get on.
 */
import { randomUUID } from "node:crypto"

import { Problem } from "@ecommerce/protocol/Problem"
import { Long, rowsOf, TimeOrNull } from "@ecommerce/sets/Sets"
import { PgClient } from "@effect/sql-pg"
import { Context, Effect, Layer, Schema } from "effect"
import type { SqlError } from "effect/sql"

import * as Catalogue from "./Catalogue.ts"
import * as Decide from "./Decide.ts"
import type { Definition } from "./Saga.ts"
import { SagaStore } from "./SagaStore.ts"
import { Failure, Status, Stuck } from "./SagaStore/Rows.ts"

/** Those that are open wait, run or go back; those that are stuck are open as well. */
export const Filter = Schema.Literals([...Status.literals, "OPEN", "STUCK"])
export type Filter = typeof Filter.Type

export const Summary = Schema.Struct({
  id: Schema.String,
  definition: Schema.String,
  definitionVersion: Schema.Int,
  key: Schema.String,
  status: Status,
  step: Schema.NullOr(Schema.String),
  attempts: Schema.Int,
  stuck: Schema.NullOr(Stuck),
  failure: Schema.NullOr(Failure),
  isCancelRequested: Schema.Boolean,
  isOwned: Schema.Boolean,
  dueAt: TimeOrNull,
  createdAt: Schema.DateTimeUtcFromDate,
  updatedAt: Schema.DateTimeUtcFromDate,
  endedAt: TimeOrNull
})
export type Summary = typeof Summary.Type

/** One line of a journal. */
export const Line = Schema.Struct({
  seq: Schema.Int,
  kind: Schema.Literals(["run", "undo"]),
  step: Schema.String,
  attempt: Schema.Int,
  outcome: Schema.String,
  code: Schema.NullOr(Schema.String),
  detail: Schema.NullOr(Schema.String),
  millis: Schema.NullOr(Schema.Number),
  worker: Schema.NullOr(Schema.String),
  at: Schema.DateTimeUtcFromDate
})
export type Line = typeof Line.Type

export interface Whole extends Summary {
  readonly undos: ReadonlyArray<string>
  readonly deadlineAt: Schema.DateTimeUtcFromDate["Type"]
  readonly traceparent: string | null
  readonly journal: ReadonlyArray<Line>
}

/** How sagas are, as a whole. */
export interface Vitals {
  readonly open: number
  readonly stuck: number
  /** For how long the one that has waited longest has been due and nobody has taken it. */
  readonly oldestDueSeconds: number
  /** Those that are due and that nobody here has the definition of. */
  readonly unclaimable: number
}

export class SagaUnknown extends Problem<SagaUnknown>()(
  "SagaUnknown",
  { code: "saga_not_found", status: 404, title: "There is no saga with this id." },
  { id: Schema.String }
) {}

export class SagaBusy extends Problem<SagaBusy>()(
  "SagaBusy",
  { code: "saga_busy", status: 409, title: "Somebody works on this saga at this moment; ask again shortly." },
  { id: Schema.String }
) {}

export class SagaEnded extends Problem<SagaEnded>()(
  "SagaEnded",
  { code: "saga_ended", status: 409, title: "This saga has come to its end." },
  { id: Schema.String }
) {}

export class ResultNeeded extends Problem<ResultNeeded>()(
  "ResultNeeded",
  { code: "result_needed", status: 422, title: "The step needs a result that the steps behind it can read." },
  { id: Schema.String, step: Schema.String }
) {}

export interface Resolution {
  readonly id: string
  /** What was done by hand. */
  readonly note: string
  readonly by: string
  /** What the step would have answered; nothing for an undo. */
  readonly result?: unknown
}

type Sql<A, E = never> = Effect.Effect<A, SqlError.SqlError | E>

export class SagaDesk extends Context.Service<
  SagaDesk,
  {
    /** The newest first, those before this one. */
    readonly list: (filter: Filter, limit: number, before?: string) => Sql<ReadonlyArray<Summary>>
    readonly find: (id: string) => Sql<Whole, SagaUnknown>
    /** All sagas of this key, in the order in which they began: an order's. */
    readonly ofKey: (key: string) => Sql<ReadonlyArray<Summary>>
    /** Its step is sent as soon as somebody takes it, as if it had not been tried. */
    readonly retryNow: (id: string) => Sql<void, SagaUnknown | SagaEnded | SagaBusy>
    /** The step that it is at counts as done, by hand; it goes on behind it. */
    readonly resolve: (resolution: Resolution) => Sql<void, SagaUnknown | SagaEnded | SagaBusy | ResultNeeded>
    readonly vitals: Sql<Vitals>
  }
>()("@ecommerce/saga/SagaDesk") {
  static readonly layer = (definitions: ReadonlyArray<Definition<unknown>>) =>
    Layer.effect(
      SagaDesk,
      Effect.gen(function* () {
        const sql = yield* PgClient.PgClient
        const store = yield* SagaStore
        const catalogue = Catalogue.make(definitions)
        const versions = catalogue.versions.map(({ name, version }) => `${name} ${version}`)
        const columns = sql.literal(summaryColumns)

        const isOfFilter = (filter: Filter) => {
          if (filter === "OPEN") return sql`ended_at IS NULL`
          if (filter === "STUCK") return sql`stuck IS NOT NULL`
          return isEnd(filter)
            ? sql`status = ${filter} AND ended_at IS NOT NULL`
            : sql`status = ${filter} AND ended_at IS NULL`
        }

        const list = Effect.fn("SagaDesk.list")((filter: Filter, limit: number, before = afterAll) =>
          summaryRows(sql`
            SELECT ${columns} FROM sagas WHERE ${isOfFilter(filter)} AND id < ${before} ORDER BY id DESC LIMIT ${limit}`)
        )

        const ofKey = Effect.fn("SagaDesk.ofKey")((key: string) =>
          summaryRows(sql`
            SELECT ${columns} FROM sagas
            WHERE (definition, key) IN (SELECT name, ${key} FROM unnest(${catalogue.names}::text[]) AS known (name))
            ORDER BY id`)
        )

        const find = Effect.fn("SagaDesk.find")(function* (id: string) {
          const [saga] = yield* wholeRows(sql`
            SELECT ${columns}, undos, deadline_at, traceparent FROM sagas WHERE id = ${id}`)
          if (saga === undefined) return yield* new SagaUnknown({ id })
          const journal = yield* lineRows(sql`
            SELECT seq, kind, step, attempt, outcome, code, detail, millis, worker, at FROM saga_journal
            WHERE saga_id = ${id} ORDER BY seq`)
          return { ...saga, journal }
        })

        /** Why nothing can be done with a saga. */
        const inTheWay = Effect.fnUntraced(function* (id: string) {
          const { endedAt } = yield* find(id)
          return yield* endedAt === null ? new SagaBusy({ id }) : new SagaEnded({ id })
        })

        const retryNow = Effect.fn("SagaDesk.retryNow")(function* (id: string) {
          const asked = yield* sql`
            UPDATE sagas SET due_at = clock_timestamp(), claims = 0,
              may_have_happened = may_have_happened OR (claims > 0 AND status = 'RUNNING')
            WHERE id = ${id} AND owner IS NULL AND ended_at IS NULL RETURNING 1 AS one`
          if (asked.length === 0) return yield* inTheWay(id)
        })

        const resolveIt = Effect.fnUntraced(function* ({ by, id, note, result = null }: Resolution) {
          const hand = randomUUID()
          const saga = yield* store.claimOne(hand, id)
          if (saga === undefined) return yield* inTheWay(id)
          const { state } = saga
          const definition = catalogue.find(saga)
          const step = state.step ?? ""
          if (definition === undefined || (state.status === "RUNNING" && !definition.mayResult(step, result))) {
            return yield* new ResultNeeded({ id, step })
          }
          const decision = Decide.onResolution(definition.plan, state, result, `${by}: ${note}`)
          const next: Decide.Next =
            decision.next._tag === "Send" ? { _tag: "Wait", millis: 0, untilDeadline: false } : decision.next
          yield* store.write(hand, [
            { saga, decision: { ...decision, next }, millis: null, ifCancelled: catalogue.followUp(saga, decision) }
          ])
        })

        const vitals = Effect.gen(function* () {
          const [row] = yield* vitalRows(sql`
            SELECT
              (SELECT count(*) FROM sagas WHERE ended_at IS NULL) AS open,
              (SELECT count(*) FROM sagas WHERE stuck IS NOT NULL) AS stuck,
              coalesce(extract(epoch FROM clock_timestamp() - min(due_at) FILTER (
                WHERE definition || ' ' || definition_version = ANY(${versions}::text[])
              )), 0)::float8 AS oldest_due_seconds,
              count(*) FILTER (WHERE NOT definition || ' ' || definition_version = ANY(${versions}::text[])) AS unclaimable
            FROM sagas WHERE owner IS NULL AND due_at <= now()`)
          return row ?? { open: 0, stuck: 0, oldestDueSeconds: 0, unclaimable: 0 }
        })

        return SagaDesk.of({
          list,
          find,
          ofKey,
          retryNow,
          resolve: (resolution) => sql.withTransaction(resolveIt(resolution)),
          vitals
        })
      })
    )
}

const afterAll = "ffffffff-ffff-ffff-ffff-ffffffffffff"

const isEnd = (filter: Filter) => filter === "COMPLETED" || filter === "FAILED" || filter === "CANCELLED"

const summaryColumns = `id, definition, definition_version, key, status, step, attempts, stuck, failure,
  cancel_requested AS is_cancel_requested, owner IS NOT NULL AS is_owned, due_at, created_at, updated_at, ended_at`

const summaryRows = rowsOf(Summary)
const wholeRows = rowsOf(
  Schema.Struct({
    ...Summary.fields,
    undos: Schema.Array(Schema.String),
    deadlineAt: Schema.DateTimeUtcFromDate,
    traceparent: Schema.NullOr(Schema.String)
  })
)
const lineRows = rowsOf(Line)
const vitalRows = rowsOf(Schema.Struct({ open: Long, stuck: Long, oldestDueSeconds: Schema.Number, unclaimable: Long }))
