/**
 * Operations that take a set: its columns on their way into PostgreSQL, the rows that come back, one outcome an item.
 *
 * In: `unnest(${uuids(ids)}, ${texts(names)})` makes rows of a set's columns. Out: every row is decoded by a schema,
 * never believed.
 */
import { PgTypes } from "@effect/sql-pg"
import { DateTime, Effect, Result, Schema, SchemaGetter } from "effect"

/** Fails only for an element type that the driver does not know, which no input can bring about. */
const column = (elementType: number) => (values: ReadonlyArray<unknown>) =>
  Result.getOrThrow(PgTypes.array(values, elementType))

export const uuids: (values: ReadonlyArray<string | null>) => PgTypes.Parameter = column(PgTypes.OID.uuid)
export const texts: (values: ReadonlyArray<string | null>) => PgTypes.Parameter = column(PgTypes.OID.text)
export const integers: (values: ReadonlyArray<number | null>) => PgTypes.Parameter = column(PgTypes.OID.int4)
export const doubles: (values: ReadonlyArray<number | null>) => PgTypes.Parameter = column(PgTypes.OID.float8)
export const booleans: (values: ReadonlyArray<boolean | null>) => PgTypes.Parameter = column(PgTypes.OID.bool)

const timestamps = column(PgTypes.OID.timestamptz)
export const times = (values: ReadonlyArray<DateTime.Utc | null>): PgTypes.Parameter =>
  timestamps(values.map((value) => (value === null ? null : DateTime.toDateUtc(value))))

const bigints = column(PgTypes.OID.int8)
export const longs = (values: ReadonlyArray<number>): PgTypes.Parameter =>
  bigints(values.map((value) => (Number.isInteger(value) ? BigInt(value) : value)))
export const jsons: (values: ReadonlyArray<unknown>) => PgTypes.Parameter = column(PgTypes.OID.jsonb)

/** A bigint column as a number: the driver answers bigints, and every count of ours is exact as a number. */
export const Long = Schema.BigInt.pipe(
  Schema.decodeTo(Schema.Int, {
    decode: SchemaGetter.transform((value: bigint) => Number(value)),
    encode: SchemaGetter.transform((value: number) => BigInt(value))
  })
)

/**
 * A column with a time, or none. Nothing comes first: `NullOr` would try it as a time, and that it is none takes longer to find
 * out than all the rest of a row.
 */
export const TimeOrNull = Schema.Union([Schema.Null, Schema.DateTimeUtcFromDate])

/** Runs a statement and decodes its rows: `rowsOf(ProductRow)(sql\`SELECT …\`)`. A row of another shape is a defect. */
export const rowsOf = <Row extends Schema.ConstraintDecoder<unknown, never>>(row: Row) => {
  const decode = Schema.decodeUnknownEffect(Schema.Array(row))
  return <E, R>(statement: Effect.Effect<unknown, E, R>) =>
    Effect.flatMap(statement, (rows) => Effect.orDie(decode(rows)))
}

/** One outcome an item, in the order of the items: that one of them is refused does not spoil the others. */
export type Outcomes<A, E> = ReadonlyArray<Result.Result<A, E>>

/** The outcome of a set of one, for callers that have only one item. */
export const one = <A, E, E2, R>(outcomes: Effect.Effect<Outcomes<A, E>, E2, R>): Effect.Effect<A, E | E2, R> =>
  Effect.flatMap(outcomes, ([outcome]) =>
    outcome === undefined ? Effect.die(new Error("A set of one has one outcome")) : Effect.fromResult(outcome)
  )

/** Of several outcomes those that succeeded. */
export const successes = <A, E>(outcomes: Outcomes<A, E>): ReadonlyArray<A> =>
  outcomes.flatMap((outcome) => (Result.isSuccess(outcome) ? [outcome.success] : []))
