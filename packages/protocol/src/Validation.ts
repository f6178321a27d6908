/**
 * How a request that does not match its schema is answered: a problem that names every field at fault.
 */
import { Context, Effect, Schema, SchemaIssue, SchemaTransformation } from "effect"
import { HttpServerRespondable } from "effect/http"
import { HttpApi, HttpApiMiddleware } from "effect/http-api"

import {
  BodyTooLarge,
  type FieldIssue,
  InternalError,
  NumberOutOfRange,
  Overloaded,
  Unavailable,
  UnsupportedMediaType,
  ValidationFailed
} from "./GeneralProblems.ts"
import { headerName, MissingIdempotencyKey } from "./Idempotency.ts"

export const largestInt4 = 2_147_483_647
/** What Effect says of a member that is not there. */
const missing = "Missing key"

const outOfRange = `Expected a value between ${-largestInt4 - 1} and ${largestInt4}`

/** A whole number that a PostgreSQL `integer` can hold. One beyond is refused with 422, never wrapped. */
export const Int4 = Schema.Number.check(
  Schema.isBetween({ minimum: -largestInt4 - 1, maximum: largestInt4 }, { message: outOfRange }).abort(),
  Schema.isInt()
)

/** Text that PostgreSQL can store as it was sent: no NUL, no half of a surrogate pair. */
export const Text = Schema.String.check(
  Schema.makeFilter((text: string) => text.isWellFormed() && !text.includes("\u0000"), {
    expected: "text without NUL characters and lone surrogates"
  })
)

/** A UUID in the one spelling that PostgreSQL answers with, so that ids can be compared as text. */
export const Uuid = Schema.String.check(Schema.isUUID()).pipe(Schema.decode(SchemaTransformation.toLowerCase()))

/**
 * The rules of every API: a request body may hold no unknown fields (a misspelt optional field must not be ignored),
 * and all that is wrong is told at once.
 */
export const strictParsing = Context.make(HttpApi.ParseOptions, { errors: "all" }).pipe(
  Context.add(HttpApi.PayloadParseOptions, { errors: "all", onExcessProperty: "error" })
)

/**
 * Put on every API: turns failures to decode a request into {@link ValidationFailed} or {@link NumberOutOfRange}.
 *
 * It also declares what any endpoint may answer when something fails behind it, so that documents and derived clients
 * know those problems too.
 */
export class Validation extends HttpApiMiddleware.Service<Validation>()("@ecommerce/protocol/Validation", {
  error: [
    ValidationFailed,
    NumberOutOfRange,
    BodyTooLarge,
    UnsupportedMediaType,
    InternalError,
    Unavailable,
    Overloaded
  ]
}) {
  static readonly layer = HttpApiMiddleware.layerSchemaErrorTransform(Validation, (error) => {
    // Our own answer did not match its schema: a bug of ours, not of the caller's.
    if (error.kind === "Body" || error.kind === "ResponseHeaders") return Effect.die(error)
    const errors = toFieldIssues(places[error.kind], error.cause)
    // A code of its own: it is the one mistake that every newcomer makes.
    if (errors.some(isMissingKey)) return HttpServerRespondable.toResponse(new MissingIdempotencyKey({ errors }))
    const told = { errors: errors.slice(0, mostErrors), ...more(errors.length - mostErrors) }
    const isOutOfRange = errors.every((issue) => issue.message === outOfRange)
    return Effect.fail(isOutOfRange ? new NumberOutOfRange(told) : new ValidationFailed(told))
  })
}

const isMissingKey = ({ field, message }: FieldIssue) => field === headerName && message === missing

/** A request of nothing but mistakes must not be answered with a list that is longer than itself. */
const mostErrors = 50

const more = (count: number) => (count > 0 ? { detail: `And ${count} more.` } : {})

const places = { Params: "path", Query: "query", Headers: "header", Payload: "body" } as const

const format = SchemaIssue.makeFormatterStandardSchemaV1()

const toFieldIssues = (place: FieldIssue["in"], error: Schema.SchemaError): ReadonlyArray<FieldIssue> =>
  format(error.issue).issues.map((issue) => ({
    in: place,
    field: (issue.path ?? []).map(toSegment).join(".") || place,
    message: issue.message
  }))

const toSegment = (segment: PropertyKey | { readonly key: PropertyKey }) =>
  String(typeof segment === "object" ? segment.key : segment)
