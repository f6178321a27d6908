/**
 * Where sagas are kept: where each of them stands, who has it, and what has become of it.
 *
 * A saga is claimed by raising its epoch and writing down its owner; every later write names both, so that one who has lost
 * it changes nothing and hears of it. What came of a step, what is sent next, the journal and what others are told commit
 * together. All times are the database's. Every operation takes a set; rows are locked in the order of their ids, or passed
 * over where somebody else has them.
 */
import { integers, rowsOf, texts } from "@ecommerce/sets/Sets"
import { PgClient } from "@effect/sql-pg"
import { Context, Duration, Effect, Layer, Schema } from "effect"
import type { SqlError } from "effect/sql"

import type * as Decide from "./Decide.ts"
import type { NewSaga } from "./Saga.ts"
import { traceparentOf } from "./SagaEngine/Telling.ts"
import * as Claims from "./SagaStore/Claims.ts"
import { type Held, heldColumns, heldOf, heldRows } from "./SagaStore/Rows.ts"
import * as Writes from "./SagaStore/Writes.ts"

/** What others are told of a saga, in the transaction in which it happened. */
export interface Told extends Decide.News {
  readonly sagaId: string
  readonly definition: string
  readonly key: string
  readonly traceparent: string | null
}

export type Announce = (told: ReadonlyArray<Told>) => Effect.Effect<void, SqlError.SqlError, PgClient.PgClient>

/** A saga that begins, with what is decided about it from the start. */
export interface Opening {
  readonly saga: NewSaga
  readonly decision: Decide.Decision
}

/** What is to become of a saga that its writer has. */
export interface Write extends Writes.Changed {
  /** Begins in the same transaction if the saga is completed by this, and somebody has asked to cancel it. */
  readonly ifCancelled: Opening | undefined
}

/** A saga by its name. */
export interface Named {
  readonly definition: string
  readonly key: string
}

type Sql<A> = Effect.Effect<A, SqlError.SqlError>

export class SagaStore extends Context.Service<
  SagaStore,
  {
    /** Those that are there already stay as they are. Answers how many are new. */
    readonly start: (openings: ReadonlyArray<Opening>) => Sql<number>
    /** Takes due sagas, the longest due first. Nothing where the worker's lease has run out. */
    readonly claim: (claim: Claims.Claim) => Sql<ReadonlyArray<Held>>
    /** Takes this one, due or not, where nobody has it and it is not at its end. In the caller's transaction. */
    readonly claimOne: (worker: string, id: string) => Sql<Held | undefined>
    /** Each saga once. Answers, of those that are still the worker's, what others want of them. */
    readonly write: (worker: string, writes: ReadonlyArray<Write>) => Sql<ReadonlyMap<string, Decide.Flags>>
    /** Each saga once. Answers those that there are, as they are then. In the caller's transaction. */
    readonly requestCancel: (sagas: ReadonlyArray<Named>) => Sql<ReadonlyArray<Held>>
    /** The worker lives, for so long again. */
    readonly beat: (worker: string, name: string, lease: Duration.Duration) => Sql<void>
    /** Gives back a portion of what workers have whose lease has run out, or whom nobody knows; answers how many. */
    readonly takeFromTheDead: Sql<number>
    /** Gives this one back for a while; one that was not sent is as if it had not been claimed. */
    readonly letGo: (worker: string, saga: Held, pause: Duration.Duration, wasSent: boolean) => Sql<void>
    /** Gives back what the worker has besides these, without knowing of it. */
    readonly giveBackAllBut: (worker: string, known: ReadonlyArray<string>) => Sql<void>
    /** Gives back all that the worker has. Those that it has not sent are as if it had not claimed them. */
    readonly leave: (worker: string, unsent: ReadonlyArray<string>) => Sql<void>
  }
>()("@ecommerce/saga/SagaStore") {
  /** With what others are told, and how long a saga has until it has to be past its last way back. */
  static readonly layer = (announce: Announce, deadline: Duration.Duration) =>
    Layer.effect(
      SagaStore,
      Effect.gen(function* () {
        const sql = yield* PgClient.PgClient
        const { claim, ...claims } = yield* Claims.make
        const { journal, update, writtenBefore } = yield* Writes.make
        const seconds = Duration.toSeconds(deadline)

        const tell = (told: ReadonlyArray<Told>) =>
          told.length === 0 ? Effect.void : Effect.provideService(announce(told), PgClient.PgClient, sql)

        const insert = Effect.fnUntraced(function* (openings: ReadonlyArray<Opening>) {
          if (openings.length === 0) return 0
          const inserted = yield* startedRows(sql`
            INSERT INTO sagas (definition, definition_version, key, status, step, input, traceparent, version, due_at, deadline_at)
            SELECT definition, definition_version, key, 'RUNNING', step, input::jsonb, traceparent, version, clock_timestamp(),
              clock_timestamp() + make_interval(secs => ${seconds}::double precision)
            FROM unnest(
              ${texts(openings.map(({ saga }) => saga.definition))},
              ${integers(openings.map(({ saga }) => saga.definitionVersion))},
              ${texts(openings.map(({ saga }) => saga.key))},
              ${texts(openings.map(({ decision }) => decision.state.step))},
              ${texts(openings.map(({ saga }) => JSON.stringify(saga.input)))},
              ${texts(openings.map(({ saga }) => saga.traceparent))},
              ${integers(openings.map(({ decision }) => decision.state.version))}
            ) AS input (definition, definition_version, key, step, input, traceparent, version)
            ORDER BY definition, key
            ON CONFLICT ON CONSTRAINT sagas_by_key DO NOTHING
            RETURNING id AS saga_id, definition, key, traceparent`)
          const newsOf = new Map(openings.map(({ decision, saga }) => [nameOf(saga), decision.news]))
          yield* tell(inserted.flatMap((row) => (newsOf.get(nameOf(row)) ?? []).map((news) => ({ ...row, ...news }))))
          return inserted.length
        })

        const writeAll = Effect.fnUntraced(function* (worker: string, writes: ReadonlyArray<Write>) {
          const flags = new Map((yield* update(worker, writes)).map(({ id, ...wanted }) => [id, wanted]))
          const written = writes.filter(({ saga }) => flags.has(saga.id))
          const others = writes.filter(({ saga }) => !flags.has(saga.id))
          // Committed before, and nobody heard of it: written again it would be in the journal twice.
          const before = others.length === 0 ? [] : yield* writtenBefore(worker, others)
          for (const { id, ...wanted } of before) flags.set(id, wanted)
          if (written.length === 0) return flags
          yield* journal(worker, written)
          yield* tell(written.flatMap(toldBy))
          const next = written.flatMap(({ decision, ifCancelled, saga }) => {
            const isLate = decision.state.status === "COMPLETED" && flags.get(saga.id)?.isCancelRequested === true
            return isLate && ifCancelled !== undefined ? [ifCancelled] : []
          })
          yield* insert(next)
          return flags
        })

        const requestCancel = Effect.fn("SagaStore.requestCancel")(function* (sagas: ReadonlyArray<Named>) {
          const rows = yield* heldRows(sql`
            WITH locked AS (
              SELECT id FROM sagas WHERE (definition, key) IN (
                SELECT * FROM unnest(
                  ${texts(sagas.map(({ definition }) => definition))}, ${texts(sagas.map(({ key }) => key))}
                )
              ) ORDER BY id FOR NO KEY UPDATE
            )
            UPDATE sagas SET
              cancel_requested = true,
              due_at = CASE WHEN owner IS NULL AND status = 'RUNNING' THEN clock_timestamp() ELSE due_at END
            WHERE id = ANY(ARRAY(SELECT id FROM locked))
            RETURNING ${sql.literal(heldColumns)}`)
          return rows.map(heldOf)
        })

        return SagaStore.of({
          ...claims,
          claim: (wanted) => (wanted.most > 0 ? claim(wanted) : Effect.succeed([])),
          start: insert,
          write: Effect.fn("SagaStore.write")((worker, writes) => sql.withTransaction(writeAll(worker, writes))),
          requestCancel
        })
      })
    )
}

const startedRows = rowsOf(
  Schema.Struct({
    sagaId: Schema.String,
    definition: Schema.String,
    key: Schema.String,
    traceparent: Schema.NullOr(Schema.String)
  })
)

const nameOf = ({ definition, key }: Named) => JSON.stringify([definition, key])

const toldBy = ({ decision, saga }: Write): ReadonlyArray<Told> => {
  const { definition, id: sagaId, key } = saga
  const traceparent = traceparentOf(saga, decision.state)
  return decision.news.map((news) => ({ ...news, sagaId, definition, key, traceparent }))
}
