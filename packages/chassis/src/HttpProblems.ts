/**
 * Whatever goes wrong between a request and its answer, as a problem with a code: no stack, SQL or internal address
 * leaves the service.
 */
import { isUtf8 } from "node:buffer"
import type { Server, ServerResponse } from "node:http"

import * as Problems from "@ecommerce/protocol/GeneralProblems"
import { contentType as problemContentType } from "@ecommerce/protocol/Problem"
import { Cause, Effect, Predicate, Result, Schema, type Types } from "effect"
import { FindMyWay, HttpServerError, HttpServerRequest, HttpServerRespondable, HttpServerResponse } from "effect/http"
import { HttpApi, type HttpApiGroup } from "effect/http-api"
import { SqlError } from "effect/sql"

import { describe, isTransient } from "./Database.ts"
import type { Gate } from "./Gate.ts"

export const largestBody = 256 * 1024

/** How paths are matched: like the router of Effect, with room for a parameter that its schema will refuse by name. */
export const routerConfig = { maxParamLength: 2048 }

/** The addresses that every service has besides those of its API. */
export const ownPaths = ["/docs", "/openapi.json", "/health", "/health/live", "/health/ready", "/metrics"] as const

type AllowedMethods = (url: string) => ReadonlyArray<string>

/** Put around all routes of an API. */
export const middleware = <Id extends string, Groups extends HttpApiGroup.Constraint>(
  api: HttpApi.HttpApi<Id, Groups>,
  { aside }: Gate["Service"]
) => {
  const allowed = allowedMethods(api)
  return (
    response: Effect.Effect<HttpServerResponse.HttpServerResponse, Types.unhandled>
  ): Effect.Effect<HttpServerResponse.HttpServerResponse, Types.unhandled, HttpServerRequest.HttpServerRequest> =>
    HttpServerRequest.HttpServerRequest.use((request) =>
      (refusalByHeaders(request) ?? Effect.andThen(aside(refuseBrokenText(request)), response)).pipe(
        Effect.flatMap((answer) => asProblem(request, answer)),
        Effect.catchCause((cause) =>
          Cause.hasInterruptsOnly(cause) ? Effect.failCause(cause) : problemOf(request, cause, allowed)
        ),
        Effect.map(withHeaders)
      )
    )
}

/** Before a byte of the body is read, or asked for by a client that waits for `100 Continue`. */
const refusalByHeaders = ({ headers }: HttpServerRequest.HttpServerRequest) => {
  const length = Number(headers["content-length"] ?? 0)
  if (length > largestBody) return HttpServerRespondable.toResponse(bodyTooLarge)
  const hasBody = length > 0 || headers["transfer-encoding"] !== undefined
  // The library would take it for JSON.
  return hasBody && headers["content-type"] === undefined ? notJson("none") : undefined
}

/** The body comes as slowly as its sender likes, so no place is held for it. The library would put a replacement for each byte that is no UTF-8, and store what nobody has sent. */
const refuseBrokenText = (request: HttpServerRequest.HttpServerRequest) =>
  request.headers["content-type"] === undefined
    ? Effect.void
    : // Routes are interruptible, what stands before them is not: a body that never ends must not keep us from stopping.
      Effect.flatMap(Effect.interruptible(Effect.orDie(request.arrayBuffer)), (bytes) =>
        isUtf8(new Uint8Array(bytes)) ? Effect.void : Effect.die(new BrokenText())
      )

class BrokenText extends Schema.TaggedError<BrokenText>()("BrokenText", {}) {}

const notJson = (sent: string) =>
  HttpServerRespondable.toResponse(
    new Problems.UnsupportedMediaType({
      errors: [{ in: "header", field: "content-type", message: `Expected application/json, got ${sent}` }]
    })
  )

/** The few answers that the HTTP library writes itself, without a body that says what is wrong. */
const asProblem = (request: HttpServerRequest.HttpServerRequest, answer: HttpServerResponse.HttpServerResponse) =>
  answer.status === 415 ? notJson(request.headers["content-type"] ?? "none") : Effect.succeed(answer)

const problemOf = (
  request: HttpServerRequest.HttpServerRequest,
  cause: Cause.Cause<unknown>,
  allowed: AllowedMethods
) => {
  const error = Cause.squash(cause)
  if (HttpServerError.isHttpServerError(error)) {
    const { reason } = error
    if (reason._tag === "RouteNotFound") return noRoute(request, allowed(request.url))
    if (reason._tag === "RequestParseError") {
      const isTooLarge = reason.reason === "BodyTooLarge"
      return HttpServerRespondable.toResponse(isTooLarge ? bodyTooLarge : new Problems.MalformedRequest())
    }
  }
  if (Predicate.isTagged(error, "BrokenText")) return HttpServerRespondable.toResponse(new Problems.MalformedRequest())
  if (SqlError.isSqlError(error) && isTransient(error)) {
    return Effect.andThen(
      Effect.logWarning(`The database did not answer: ${describe(error)}`),
      HttpServerRespondable.toResponse(new Problems.Unavailable())
    )
  }
  return Effect.andThen(
    Effect.logError(`${request.method} ${request.url} failed`, cause),
    HttpServerRespondable.toResponse(new Problems.InternalError())
  )
}

const noRoute = (request: HttpServerRequest.HttpServerRequest, allowed: ReadonlyArray<string>) => {
  const isReadable = Result.isSuccess(Result.try(() => decodeURI(request.url)))
  if (!isReadable) return HttpServerRespondable.toResponse(new Problems.MalformedRequest())
  if (allowed.length === 0) return HttpServerRespondable.toResponse(new Problems.UnknownRoute())
  return Effect.map(
    HttpServerRespondable.toResponse(new Problems.MethodNotAllowed({ allowed })),
    HttpServerResponse.setHeader("allow", allowed.join(", "))
  )
}

const bodyTooLarge = new Problems.BodyTooLarge({
  maximumBytes: largestBody,
  errors: [{ in: "body", field: "body", message: `Expected at most ${largestBody} bytes` }]
})

/** Headers that belong to a status, whoever answered with it; unless that one has said it more exactly. */
const withHeaders = (answer: HttpServerResponse.HttpServerResponse) => {
  const headers = headersOfStatus[answer.status]
  return headers === undefined || answer.headers["content-type"] !== problemContentType
    ? answer
    : HttpServerResponse.setHeaders(answer, { ...headers, ...answer.headers })
}

const headersOfStatus: Readonly<Record<number, Readonly<Record<string, string>>>> = {
  401: { "www-authenticate": "Bearer" },
  413: { connection: "close" },
  503: { "retry-after": "1" }
}

/** What an address takes, asked of a router that knows the same routes. */
const allowedMethods = <Id extends string, Groups extends HttpApiGroup.Constraint>(
  api: HttpApi.HttpApi<Id, Groups>
): AllowedMethods => {
  const router = FindMyWay.make<true>(routerConfig)
  const methods = new Set<string>(["GET"])
  for (const path of ownPaths) router.on("GET", path, true)
  HttpApi.reflect(api, {
    onGroup: () => {},
    onEndpoint: ({ endpoint: { method, path } }) => {
      methods.add(method)
      if (isPath(path)) router.on(method, path, true)
    }
  })
  // oxlint-disable-next-line unicorn/prefer-array-some -- a router's find, not a list's
  return (url) => [...methods].filter((method) => router.find(method, url) !== undefined)
}

const isPath = (path: string): path is `/${string}` => path.startsWith("/")

/** For how long what a refused client still sends is thrown away. */
const lingerMillis = 1000

/**
 * What Node refuses before there is a request to speak of: garbage, headers that are too long, a client that is too
 * slow. It would answer with a bare status line.
 */
export const answerRefusals = (server: Server) => {
  server.on("clientError", (error, socket) => {
    if (!socket.writable) return
    const status = statusOfRefusal(error)
    const body = JSON.stringify(Problems.refusedBeforeRead(status))
    socket.end(
      `HTTP/1.1 ${status} Refused\r\ncontent-type: ${problemContentType}\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`
    )
    // Whoever goes on sending would keep the connection. Not at once: closed on unread bytes, it would take the answer with it.
    const cutting = setTimeout(() => socket.destroy(), lingerMillis)
    socket.once("close", () => clearTimeout(cutting))
  })
  return server
}

/** Before the service has its own listener, and when it has it no longer. */
export const answerUnserved = (response: ServerResponse) => {
  response.writeHead(503, { "content-type": problemContentType, "retry-after": "1", connection: "close" })
  response.end(notServing)
}

const notServing = Schema.encodeSync(Schema.fromJsonString(Schema.toCodecJson(Problems.Unavailable)))(
  new Problems.Unavailable()
)

const statusOfRefusal = (error: Error) => {
  const code = Predicate.hasProperty(error, "code") ? error.code : undefined
  if (code === "HPE_HEADER_OVERFLOW") return 431
  return code === "ERR_HTTP_REQUEST_TIMEOUT" ? 408 : 400
}
