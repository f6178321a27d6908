/**
 * Who has which saga: a worker has one lease for all of its sagas, and each saga has an owner and an epoch.
 *
 * A lease for each saga was left: renewing them meets the writes of the same rows, in another order.
 */
import { integers, rowsOf, texts, uuids } from "@ecommerce/sets/Sets"
import { PgClient } from "@effect/sql-pg"
import { Duration, Effect, Schema } from "effect"

import { type Held, heldColumns, heldOf, heldRows } from "./Rows.ts"

/** What a worker knows how to do, and how much of it it wants. */
export interface Claim {
  readonly worker: string
  readonly definitions: ReadonlyArray<{ readonly name: string; readonly version: number }>
  readonly most: number
  /** Those that were sent again and again without an outcome: they may be what ends their workers. */
  readonly suspects: boolean
}

/** A saga with so many sends and no outcome is a suspect. */
const suspectAfter = 2

export const make = Effect.gen(function* () {
  const sql = yield* PgClient.PgClient
  const columns = sql.literal(heldColumns)

  const claim = ({ definitions, most, suspects, worker }: Claim) =>
    Effect.map(
      heldRows(sql`
        WITH due AS (
          SELECT picked.id, picked.due_at FROM unnest(
            ${texts(definitions.map(({ name }) => name))}, ${integers(definitions.map(({ version }) => version))}
          ) AS known (definition, definition_version)
          CROSS JOIN LATERAL (
            SELECT id, due_at FROM sagas
            WHERE sagas.definition = known.definition AND sagas.definition_version = known.definition_version
              AND owner IS NULL AND due_at <= now() AND (claims >= ${suspectAfter}) = ${suspects}
            ORDER BY due_at LIMIT ${most} FOR NO KEY UPDATE SKIP LOCKED
          ) AS picked
          WHERE EXISTS (SELECT FROM saga_workers WHERE id = ${worker} AND lease_until > clock_timestamp())
          ORDER BY picked.due_at LIMIT ${most}
        )
        UPDATE sagas SET owner = ${worker}, epoch = epoch + 1, claims = claims + 1
        WHERE id = ANY(ARRAY(SELECT id FROM due))
        RETURNING ${columns}`),
      (rows) => rows.map(heldOf)
    )

  const claimOne = (worker: string, id: string) =>
    Effect.map(
      heldRows(sql`
        UPDATE sagas SET owner = ${worker}, epoch = epoch + 1
        WHERE id = ${id} AND owner IS NULL AND ended_at IS NULL
        RETURNING ${columns}`),
      ([row]) => (row === undefined ? undefined : heldOf(row))
    )

  const beat = (worker: string, name: string, lease: Duration.Duration) => {
    const until = sql`clock_timestamp() + make_interval(secs => ${Duration.toSeconds(lease)}::double precision)`
    return Effect.asVoid(sql`
      INSERT INTO saga_workers (id, name, lease_until) VALUES (${worker}, ${name}, ${until})
      ON CONFLICT (id) DO UPDATE SET lease_until = excluded.lease_until`)
  }

  /**
   * What a worker is about to write at the same time is left for the next portion. In no order: what is passed over where
   * somebody has it cannot deadlock, and with ORDER BY id a plan that was made when there were few sagas goes through all of
   * them by their ids (1,001,255 rows read with a million that had ended).
   */
  const takeFromTheDead = Effect.gen(function* () {
    const [row] = yield* countRows(sql`
      WITH gone AS (
        SELECT DISTINCT owner FROM sagas WHERE owner IS NOT NULL
          AND NOT EXISTS (SELECT FROM saga_workers WHERE id = sagas.owner AND lease_until >= clock_timestamp())
      ), orphaned AS (
        SELECT id FROM sagas WHERE owner = ANY(ARRAY(SELECT owner FROM gone))
        LIMIT ${portion} FOR NO KEY UPDATE SKIP LOCKED
      ), freed AS (
        UPDATE sagas SET owner = NULL, due_at = clock_timestamp()
        WHERE id = ANY(ARRAY(SELECT id FROM orphaned)) RETURNING 1
      )
      SELECT count(*)::integer AS count FROM freed`)
    yield* sql`
      DELETE FROM saga_workers WHERE lease_until < clock_timestamp() - interval '1 minute'
        AND NOT EXISTS (SELECT FROM sagas WHERE owner = saga_workers.id)`
    return row?.count ?? 0
  })

  /**
   * A cancel is not kept waiting, once: where it could turn the saga back, it has done so with that. Behind the last way back
   * it turns nothing, and without a pause five sends would be over within a second.
   */
  const letGo = (worker: string, { epoch, id }: Held, pause: Duration.Duration, wasSent: boolean) =>
    Effect.asVoid(sql`
      UPDATE sagas SET owner = NULL, claims = claims - (NOT ${wasSent}::boolean AND claims > 0)::integer,
        due_at = clock_timestamp() + CASE WHEN cancel_requested AND status = 'RUNNING' AND claims <= 1 THEN interval '0'
          ELSE make_interval(secs => ${Duration.toSeconds(pause)}::double precision) END
      WHERE id = ${id} AND owner = ${worker} AND epoch = ${epoch}`)

  /** A claim whose answer was lost has given the worker sagas of which it does not know. They were not sent. */
  const giveBackAllBut = (worker: string, known: ReadonlyArray<string>) =>
    Effect.asVoid(sql`
      UPDATE sagas SET owner = NULL, due_at = clock_timestamp(), claims = greatest(claims - 1, 0)
      WHERE owner = ${worker} AND id <> ALL(${uuids(known)})`)

  const leave = (worker: string, unsent: ReadonlyArray<string>) =>
    Effect.andThen(
      sql`
        UPDATE sagas SET owner = NULL, due_at = clock_timestamp(),
          claims = claims - (id = ANY(${uuids(unsent)}) AND claims > 0)::integer
        WHERE owner = ${worker}`,
      Effect.asVoid(sql`DELETE FROM saga_workers WHERE id = ${worker}`)
    )

  return { claim, claimOne, beat, takeFromTheDead, letGo, giveBackAllBut, leave }
})

/** So that no transaction is long. */
const portion = 1000

const countRows = rowsOf(Schema.Struct({ count: Schema.Int }))
