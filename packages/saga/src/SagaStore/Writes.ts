/**
 * What becomes of sagas that somebody has: a row each, and the lines of their journals.
 */
import { booleans, doubles, integers, jsons, rowsOf, texts, uuids } from "@ecommerce/sets/Sets"
import { PgClient } from "@effect/sql-pg"
import { Effect, Schema } from "effect"

import type * as Decide from "../Decide.ts"
import type { Held } from "./Rows.ts"

export interface Changed {
  readonly saga: Held
  readonly decision: Decide.Decision
  /** How long the call took, where there was one. */
  readonly millis: number | null
}

export const make = Effect.gen(function* () {
  const sql = yield* PgClient.PgClient

  /**
   * Rows that have another owner or another epoch by now are not changed, and are not in the answer. The owner is compared in a way
   * that no index serves: the one by owners holds all that a worker had since it was last vacuumed, and a plan that was made when
   * there were few went through all of them (6,142 rows read to write 31). The planner takes arrays for ten long, and compares
   * each of the sagas with each of the writes then; a series is a thousand to it, which it rather hashes (74 writes: 4.8 ms, and 1.0).
   */
  const update = (worker: string, writes: ReadonlyArray<Changed>) => {
    const ids = uuids(writes.map(({ saga }) => saga.id))
    const states = writes.map(({ decision }) => decision.state)
    const waits = writes.map(({ decision: { next } }) => (next._tag === "Wait" ? next : undefined))
    return flagRows(sql`
      WITH locked AS (SELECT id FROM sagas WHERE id = ANY(${ids}) ORDER BY id FOR NO KEY UPDATE)
      UPDATE sagas SET
        status = input.status, step = input.step, undos = input.undos::jsonb, attempts = input.attempts, claims = input.claims,
        may_have_happened = input.may_have_happened, stuck = input.stuck, results = input.results,
        failure = input.failure, version = input.version, entries = input.entries,
        owner = CASE input.next WHEN 'Send' THEN owner END,
        due_at = CASE input.next
          WHEN 'Send' THEN due_at
          WHEN 'Wait' THEN least(
            clock_timestamp() + make_interval(secs => input.wait_millis / 1000),
            CASE WHEN input.until_deadline THEN deadline_at END,
            CASE WHEN input.until_deadline AND cancel_requested THEN clock_timestamp() END
          )
          WHEN 'Park' THEN CASE WHEN input.until_cancel THEN
            CASE WHEN cancel_requested THEN clock_timestamp() ELSE deadline_at END
          END
        END,
        ended_at = CASE input.next WHEN 'End' THEN clock_timestamp() END,
        updated_at = clock_timestamp()
      FROM ROWS FROM (unnest(
        ${ids},
        ${integers(writes.map(({ saga }) => saga.epoch))},
        ${texts(states.map(({ status }) => status))},
        ${texts(states.map(({ step }) => step))},
        ${texts(states.map(({ undos }) => JSON.stringify(undos)))},
        ${integers(states.map(({ attempts }) => attempts))},
        ${integers(states.map(({ claims }) => claims))},
        ${booleans(states.map(({ mayHaveHappened }) => mayHaveHappened))},
        ${texts(states.map(({ stuck }) => stuck))},
        ${jsons(states.map(({ results }) => results))},
        ${jsons(states.map(({ failure }) => failure))},
        ${integers(states.map(({ version }) => version))},
        ${integers(states.map(({ entries }) => entries))},
        ${texts(writes.map(({ decision }) => decision.next._tag))},
        ${doubles(waits.map((wait) => wait?.millis ?? 0))},
        ${booleans(waits.map((wait) => wait?.untilDeadline ?? false))},
        ${booleans(writes.map(({ decision: { next } }) => next._tag === "Park" && next.untilCancel))}
      ), generate_series(1, ${writes.length}::integer)) AS input (
        id, epoch, status, step, undos, attempts, claims, may_have_happened, stuck, results, failure, version, entries,
        next, wait_millis, until_deadline, until_cancel, place
      )
      WHERE sagas.id = input.id AND sagas.id = ANY(ARRAY(SELECT id FROM locked))
        AND sagas.owner IS NOT DISTINCT FROM ${worker}::uuid AND sagas.epoch = input.epoch AND sagas.entries < input.entries
      RETURNING sagas.id, cancel_requested AS is_cancel_requested, clock_timestamp() >= deadline_at AS is_overdue`)
  }

  /**
   * Those that are as they would be by this: the same epoch and number of entries, and the same owner, or none where this gives the
   * saga out of hand.
   */
  const writtenBefore = (worker: string, writes: ReadonlyArray<Changed>) => {
    const ids = uuids(writes.map(({ saga }) => saga.id))
    return flagRows(sql`
      SELECT sagas.id, cancel_requested AS is_cancel_requested, clock_timestamp() >= deadline_at AS is_overdue
      FROM sagas JOIN unnest(
        ${ids},
        ${integers(writes.map(({ saga }) => saga.epoch))},
        ${integers(writes.map(({ decision }) => decision.state.entries))},
        ${booleans(writes.map(({ decision }) => decision.next._tag === "Send"))}
      ) AS input (id, epoch, entries, is_kept) USING (id, epoch, entries)
      WHERE sagas.id = ANY(${ids})
        AND (owner IS NOT DISTINCT FROM ${worker}::uuid OR (owner IS NULL AND NOT is_kept))`)
  }

  const journal = (worker: string, writes: ReadonlyArray<Changed>) => {
    const entries = writes.flatMap(({ decision, millis, saga }) =>
      decision.entries.map((entry) => ({ ...entry, id: saga.id, millis }))
    )
    return sql`
      INSERT INTO saga_journal (saga_id, seq, kind, step, attempt, outcome, code, detail, millis, worker)
      SELECT saga_id, seq, kind, step, attempt, outcome, code, detail, millis, ${worker}::uuid FROM unnest(
        ${uuids(entries.map(({ id }) => id))},
        ${integers(entries.map(({ seq }) => seq))},
        ${texts(entries.map(({ kind }) => kind))},
        ${texts(entries.map(({ step }) => step))},
        ${integers(entries.map(({ attempt }) => attempt))},
        ${texts(entries.map(({ outcome }) => outcome))},
        ${texts(entries.map(({ code }) => code))},
        ${texts(entries.map(({ detail }) => detail))},
        ${doubles(entries.map(({ millis }) => millis))}
      ) AS input (saga_id, seq, kind, step, attempt, outcome, code, detail, millis)`
  }

  return { update, writtenBefore, journal }
})

const flagRows = rowsOf(
  Schema.Struct({ id: Schema.String, isCancelRequested: Schema.Boolean, isOverdue: Schema.Boolean })
)
