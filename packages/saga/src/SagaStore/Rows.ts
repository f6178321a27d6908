/**
 * A saga as it is stored, and as whoever works on it has it.
 */
import { rowsOf } from "@ecommerce/sets/Sets"
import { Schema } from "effect"

import type * as Decide from "../Decide.ts"
import type { Stored } from "../Saga/Story.ts"

const Reason = { code: Schema.String, detail: Schema.NullOr(Schema.String) }

export const Failure = Schema.Struct({
  ...Reason,
  cause: Schema.Literals(["rejected", "unavailable", "overdue", "cancelled"]),
  step: Schema.String
})

export const Status = Schema.Literals(["RUNNING", "COMPENSATING", "COMPLETED", "FAILED", "CANCELLED"])
export const Stuck = Schema.Literals(["rejected", "unavailable", "crashes"])

const HeldRow = Schema.Struct({
  id: Schema.String,
  definition: Schema.String,
  definitionVersion: Schema.Int,
  key: Schema.String,
  epoch: Schema.Int,
  traceparent: Schema.NullOr(Schema.String),
  input: Schema.Unknown,
  isCancelRequested: Schema.Boolean,
  isOverdue: Schema.Boolean,
  status: Status,
  step: Schema.NullOr(Schema.String),
  undos: Schema.Array(Schema.String),
  attempts: Schema.Int,
  claims: Schema.Int,
  mayHaveHappened: Schema.Boolean,
  stuck: Schema.NullOr(Stuck),
  failure: Schema.NullOr(Failure),
  results: Schema.Record(Schema.String, Schema.Unknown),
  version: Schema.Int,
  entries: Schema.Int
})

/** What {@link heldRows} reads. */
export const heldColumns = `id, definition, definition_version, key, epoch, traceparent, input,
  cancel_requested AS is_cancel_requested, clock_timestamp() >= deadline_at AS is_overdue,
  status, step, undos, attempts, claims, may_have_happened, stuck, failure, results, version, entries`

export const heldRows = rowsOf(HeldRow)

/** A saga that somebody has. */
export interface Held {
  readonly id: string
  readonly definition: string
  readonly definitionVersion: number
  readonly key: string
  readonly epoch: number
  readonly traceparent: string | null
  readonly input: unknown
  readonly state: Decide.State
  readonly flags: Decide.Flags
}

export const heldOf = (row: typeof HeldRow.Type): Held => {
  const { definition, definitionVersion, epoch, id, input, isCancelRequested, isOverdue, key, traceparent, ...state } =
    row
  const flags = { isCancelRequested, isOverdue }
  return { id, definition, definitionVersion, key, epoch, traceparent, input, state, flags }
}

export const storedOf = ({ input, state: { results } }: Held): Stored => ({ input, results })
