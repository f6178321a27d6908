/**
 * What is told of every request: its duration as a metric, and the trace in which it was worked on, in a header and in problems.
 * And `/metrics`, where Prometheus may read all that a service counts.
 */
import { Unauthorized } from "@ecommerce/protocol/GeneralProblems"
import { contentType as problemContentType, inTrace } from "@ecommerce/protocol/Problem"
import { traceIdHeader } from "@ecommerce/protocol/Traceparent"
import * as Trace from "@ecommerce/telemetry/Trace"
import { Context, Duration, Effect, Metric, Option, Redacted, Tracer, type Types } from "effect"
import { HttpBody, HttpRouter, HttpServerRequest, HttpServerRespondable, HttpServerResponse } from "effect/http"
import { PrometheusMetrics } from "effect/observability"

import * as ServiceTokens from "./ServiceTokens.ts"
import { isQuiet } from "./Telemetry.ts"

type Response = HttpServerResponse.HttpServerResponse

/** In seconds, as OpenTelemetry has them. */
const boundaries = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10]

const duration = Metric.histogram("http_server_request_duration_seconds", {
  description: "How long requests took, by method, route and status.",
  boundaries,
  attributes: { unit: "s" }
})

const methods = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])

export const middleware = (
  answer: Effect.Effect<Response, Types.unhandled>
): Effect.Effect<Response, Types.unhandled, HttpServerRequest.HttpServerRequest> =>
  HttpServerRequest.HttpServerRequest.use((request) =>
    isQuiet(request.url)
      ? Trace.untold(answer)
      : Effect.withFiber((fiber) => {
          const span = Context.getOrUndefined(fiber.context, Tracer.ParentSpan)
          return Effect.flatMap(Effect.timed(answer), ([took, response]) =>
            Effect.withFiber((after) => {
              // The router leaves behind which route it was.
              const route = Context.getOption(after.context, HttpRouter.RouteContext)
              const attributes = {
                http_request_method: methods.has(request.method) ? request.method : "_OTHER",
                http_route: Option.match(route, { onNone: () => "none", onSome: ({ route: { path } }) => path }),
                http_response_status_code: String(response.status)
              }
              // The library says this only of spans that are recorded; one that is held may be, later.
              if (span?._tag === "Span" && !span.sampled && Option.isSome(route)) {
                span.attribute("http.route", attributes.http_route)
                span.attribute("http.request.method", request.method)
                span.attribute("http.response.status_code", response.status)
              }
              Metric.withAttributes(duration, attributes).updateUnsafe(Duration.toSeconds(took), after.context)
              return Effect.succeed(span === undefined ? response : withTrace(response, span.traceId))
            })
          )
        })
  )

const withTrace = (response: Response, traceId: string) => {
  const { body, headers } = response
  const told = HttpServerResponse.setHeader(response, traceIdHeader, traceId)
  if (headers["content-type"] !== problemContentType || body._tag !== "Uint8Array") return told
  const problem = inTrace(Buffer.from(body.body).toString(), traceId)
  return HttpServerResponse.setBody(told, HttpBody.text(problem, problemContentType))
}

/** For whoever has a service token: what a shop sells is not everybody's business. */
export const metricsRoute = HttpRouter.use(
  Effect.fnUntraced(function* (router) {
    const isValid = yield* Effect.orDie(ServiceTokens.lock)
    const answer = HttpServerRequest.HttpServerRequest.use(({ headers }) => {
      const shown = /^Bearer (.+)$/iu.exec(headers["authorization"] ?? "")?.[1] ?? ""
      return isValid(Redacted.make(shown)) ? page : HttpServerRespondable.toResponse(new Unauthorized())
    })
    yield* router.add("GET", "/metrics", answer)
  })
)

const page = Effect.map(PrometheusMetrics.format(), (text) =>
  HttpServerResponse.text(text, { contentType: "text/plain; version=0.0.4; charset=utf-8" })
)
