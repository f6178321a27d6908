/**
 * Requests that happen once, however often they are sent: the `Idempotency-Key` header and its problems.
 *
 * The same key with the same request has the first answer again, byte for byte, with `Idempotent-Replayed: true`. The
 * same key with another request is refused. A request is compared by its meaning: key order and white space do not count.
 */
import { createHash } from "node:crypto"

import { Effect, Predicate, Schema } from "effect"
import { HttpServerRespondable, HttpServerResponse } from "effect/http"

import { FieldIssue } from "./GeneralProblems.ts"
import { contentType as problemContentType, Problem } from "./Problem.ts"

export const headerName = "idempotency-key"
export const replayedHeader = "idempotent-replayed"

export const IdempotencyKey = Schema.String.check(
  Schema.isBetweenLength(1, 255),
  Schema.isPattern(/^[\x21-\x7e]*$/u, { expected: "visible ASCII characters" })
)

export class MissingIdempotencyKey extends Problem<MissingIdempotencyKey>()(
  "MissingIdempotencyKey",
  { code: "missing_idempotency_key", status: 400, title: "This request needs an Idempotency-Key header." },
  {
    errors: Schema.Array(FieldIssue)
  }
) {}

export class IdempotencyKeyReused extends Problem<IdempotencyKeyReused>()(
  "IdempotencyKeyReused",
  { code: "idempotency_key_reused", status: 422, title: "This Idempotency-Key belongs to another request." },
  {}
) {}

export class RequestInProgress extends Problem<RequestInProgress>()(
  "RequestInProgress",
  { code: "request_in_progress", status: 409, title: "The first request with this Idempotency-Key is still at work." },
  {}
) {}

/** An answer as it was sent the first time, and whether this is another time. */
export interface Answer {
  readonly status: number
  readonly body: string
  readonly replayed: boolean
}

export const respond = ({ body, replayed, status }: Answer): HttpServerResponse.HttpServerResponse =>
  HttpServerResponse.text(body, {
    status,
    contentType: status < 400 ? "application/json" : problemContentType,
    headers: replayed ? { [replayedHeader]: "true" } : {}
  })

/** Worth another try after so many seconds. */
export const tellToRetryAfter = (seconds: number) => (problem: HttpServerRespondable.Respondable) =>
  Effect.map(HttpServerRespondable.toResponse(problem), HttpServerResponse.setHeader("retry-after", String(seconds)))

/** The first request with the key holds it: worth another try in a moment. */
export const tellToRetry = tellToRetryAfter(1)

/** The same for two values that mean the same. */
export const digestOf = (value: unknown): string => createHash("sha256").update(canonical(value)).digest("hex")

const canonical = (value: unknown): string => {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`
  if (!Predicate.isObject(value)) return JSON.stringify(value) ?? "null"
  const members = Object.entries(value)
    .filter(([, member]) => member !== undefined)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
  return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${canonical(member)}`).join(",")}}`
}
