/**
 * Errors on the wire: RFC 9457 problem details with one addition, the `error` member.
 *
 * `error` is a short code that programs compare and people search for. A problem is declared once, beside the
 * endpoint that answers it, so that the server, the OpenAPI document and the derived client agree on its status,
 * its code and its further members.
 */
import { Schema } from "effect"
import { HttpApiError } from "effect/http-api"

export const contentType = "application/problem+json"

/** Put into it on its way out, so that whoever shows it to somebody shows where to look. */
const TraceId = Schema.optionalKey(Schema.String.annotate({ description: "The trace in which this was decided." }))

/** A problem as text, told in which trace it was decided; one that is kept and given again keeps the first. */
export const inTrace = (problem: string, traceId: string | undefined) =>
  traceId === undefined || problem.includes('"trace_id"') ? problem : `${problem.slice(0, -1)},"trace_id":"${traceId}"}`

/** Declares a problem: `class DuplicateSku extends Problem<DuplicateSku>()("DuplicateSku", {…}, {…}) {}`. */
export const Problem =
  <Self = never>() =>
  <
    const Tag extends string,
    const Code extends string,
    const Status extends number,
    const Fields extends HttpApiError.ProblemExtensionFields
  >(
    tag: Tag,
    declaration: { readonly code: Code; readonly status: Status; readonly title: string },
    fields: Fields
  ) =>
    HttpApiError.Problem<Self>()(
      tag,
      { type: `urn:problem:${declaration.code}`, status: declaration.status, title: declaration.title },
      { error: Schema.tag(declaration.code), ...fields, trace_id: TraceId }
    )
