/**
 * The problems that any endpoint of any service can answer with, whatever it is about.
 */
import { Schema } from "effect"

import { Problem } from "./Problem.ts"

/** Where in a request something is wrong: `{ in: "body", field: "items.0.quantity", message: "…" }`. */
export const FieldIssue = Schema.Struct({
  in: Schema.Literals(["path", "query", "header", "body"]),
  field: Schema.String,
  message: Schema.String
})
export type FieldIssue = typeof FieldIssue.Type

export class ValidationFailed extends Problem<ValidationFailed>()(
  "ValidationFailed",
  { code: "validation_failed", status: 400, title: "The request is not as the contract asks." },
  { errors: Schema.Array(FieldIssue) }
) {}

export class NumberOutOfRange extends Problem<NumberOutOfRange>()(
  "NumberOutOfRange",
  { code: "number_out_of_range", status: 422, title: "A number is larger than can be stored." },
  { errors: Schema.Array(FieldIssue) }
) {}

export class MalformedRequest extends Problem<MalformedRequest>()(
  "MalformedRequest",
  { code: "malformed_request", status: 400, title: "The request could not be read." },
  {}
) {}

export class Unauthorized extends Problem<Unauthorized>()(
  "Unauthorized",
  {
    code: "unauthorized",
    status: 401,
    title: "A valid service token is needed: Authorization: Bearer <SERVICE_TOKEN>."
  },
  {}
) {}

export class UnknownRoute extends Problem<UnknownRoute>()(
  "UnknownRoute",
  { code: "unknown_route", status: 404, title: "There is nothing at this address." },
  {}
) {}

export class MethodNotAllowed extends Problem<MethodNotAllowed>()(
  "MethodNotAllowed",
  { code: "method_not_allowed", status: 405, title: "This address does not take this method." },
  { allowed: Schema.Array(Schema.String) }
) {}

export class BodyTooLarge extends Problem<BodyTooLarge>()(
  "BodyTooLarge",
  { code: "body_too_large", status: 413, title: "The request body is too large." },
  { maximumBytes: Schema.Int, errors: Schema.Array(FieldIssue) }
) {}

export class UnsupportedMediaType extends Problem<UnsupportedMediaType>()(
  "UnsupportedMediaType",
  { code: "unsupported_media_type", status: 415, title: "The request body must be JSON." },
  { errors: Schema.Array(FieldIssue) }
) {}

export class InternalError extends Problem<InternalError>()(
  "InternalError",
  { code: "internal_error", status: 500, title: "Something went wrong on our side." },
  {}
) {}

export class Unavailable extends Problem<Unavailable>()(
  "Unavailable",
  { code: "unavailable", status: 503, title: "The service cannot answer right now; try again shortly." },
  {}
) {}

export class Overloaded extends Problem<Overloaded>()(
  "Overloaded",
  { code: "overloaded", status: 503, title: "More is asked of this service than it can take; try again shortly." },
  {}
) {}

/** What is answered where not even a request could be read: the same shape, made by hand. */
export const refusedBeforeRead = (status: 400 | 408 | 431) => ({
  type: "urn:problem:malformed_request",
  status,
  title: refusals[status],
  error: "malformed_request"
})

const refusals = {
  400: "The request could not be read.",
  408: "The request took too long to arrive.",
  431: "The request's headers are too long."
}
