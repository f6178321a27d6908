/** What went wrong while events were used: whether it goes over by itself, and how it is told. */
import { isDataError, sqlStateOf } from "@ecommerce/sets/Isolation"
import { Cause, Effect, type Schema } from "effect"
import { SqlError } from "effect/sql"

/** By `statement_timeout`. */
const outOfTime = "57014"

/**
 * What is nobody's fault and goes over, as an effect that fails with it; undefined where an event cannot be used. For several
 * events the time may have been too short, and is enough for fewer: one alone is tried again.
 */
export const infrastructureIn = (cause: Cause.Cause<SqlError.SqlError | Schema.SchemaError>, count: number) => {
  if (Cause.hasInterrupts(cause)) return Effect.interrupt
  const error = Cause.squash(cause)
  if (!SqlError.isSqlError(error) || isDataError(error)) return undefined
  return count > 1 && sqlStateOf(error) === outOfTime ? undefined : Effect.fail(error)
}

/** Without the values that PostgreSQL would tell, and such that PostgreSQL can store it. */
export const describe = (cause: Cause.Cause<unknown>): string => {
  const error = Cause.squash(cause)
  if (SqlError.isSqlError(error)) return `PostgreSQL refuses it (${sqlStateOf(error)})`
  const text = error instanceof Error ? error.message : String(error)
  return text.toWellFormed().replaceAll("\u0000", "\uFFFD").slice(0, 2000)
}
