/**
 * A service's HTTP server: its API with problem details everywhere, its OpenAPI document and docs page, its health.
 *
 * Whatever goes wrong, the caller gets a problem with a code, and no stack, SQL or internal address.
 */
import { createServer } from "node:http"

import * as Problems from "@ecommerce/protocol/GeneralProblems"
import { contentType as problemContentType } from "@ecommerce/protocol/Problem"
import { NodeHttpServer } from "@effect/platform-node"
import { ByteSize, Cause, Effect, Layer, Predicate, Result, type Types } from "effect"
import {
  HttpIncomingMessage,
  HttpRouter,
  HttpServer,
  HttpServerError,
  HttpServerRequest,
  HttpServerRespondable,
  HttpServerResponse
} from "effect/http"
import { HttpApi, HttpApiBuilder, type HttpApiGroup, HttpApiScalar } from "effect/http-api"
import { SqlError } from "effect/sql"

import { describe, isTransient } from "./Database.ts"
import { Health } from "./Health.ts"
import * as Settings from "./Settings.ts"
import { StartupError } from "./StartupError.ts"

export const largestBody = 256 * 1024

/** The routes of an API: the service's own endpoints, `/docs`, `/openapi.json` and the health endpoints. */
export const routes = <Id extends string, Groups extends HttpApiGroup.Constraint>(api: HttpApi.HttpApi<Id, Groups>) =>
  Layer.mergeAll(
    HttpApiBuilder.layer(api, { openapiPath: "/openapi.json" }),
    HttpApiScalar.layer(api, { path: "/docs", scalar: { withDefaultFonts: false } }),
    healthRoutes,
    HttpRouter.use((router) => router.addGlobalMiddleware(withProblems(allowedMethods(api))))
  )

const healthRoutes = HttpRouter.use(
  Effect.fn(function* (router) {
    const health = yield* Health
    const ready = health.ready.pipe(
      Effect.map((checks) => HttpServerResponse.jsonUnsafe({ status: "ready", checks })),
      Effect.catch(HttpServerRespondable.toResponse)
    )
    yield* router.add("GET", "/health", ready)
    yield* router.add("GET", "/health/ready", ready)
    yield* router.add("GET", "/health/live", HttpServerResponse.jsonUnsafe({ status: "live" }))
  })
)

/** Serves the routes on the service's port, until the scope closes; then lets what has begun finish, within a bound. */
export const serve = <E, R>(place: Settings.Place, routes: Layer.Layer<never, E, R>) =>
  Layer.unwrap(
    Effect.gen(function* () {
      const host = yield* Settings.host.read
      const port = yield* Settings.servicePort(place).read
      const gracefulShutdownTimeout = yield* Settings.shutdownTimeout.read
      const server = Effect.gen(function* () {
        const node = createNodeServer()
        const server = yield* NodeHttpServer.make(() => node, { host, port, gracefulShutdownTimeout })
        // Runs when the time to finish is over: what is still open then would keep the process for ever.
        yield* Effect.addFinalizer(() => Effect.sync(() => node.closeAllConnections()))
        return server
      }).pipe(
        Effect.mapError(
          ({ cause }) => new StartupError({ message: cannotListen(Settings.servicePort(place).key, host, port, cause) })
        )
      )
      return HttpRouter.serve(routes, { disableLogger: true, disableListenLog: true }).pipe(
        Layer.merge(
          Layer.effectDiscard(
            HttpServer.addressFormattedWith((url) => Effect.logInfo(`${place.name} listens on ${url}`))
          )
        ),
        Layer.provide(Layer.succeed(HttpIncomingMessage.MaxBodySize, ByteSize.bytes(largestBody))),
        Layer.provideMerge(Layer.effect(HttpServer.HttpServer, server))
      )
    })
  )

/** A client that sends its request too slowly is cut off, so that it cannot hold a connection for ever. */
const createNodeServer = () =>
  createServer({ requestTimeout: 30_000, headersTimeout: 10_000, keepAliveTimeout: 10_000 })

const cannotListen = (key: string, host: string, port: number, cause: unknown) => {
  const code = Predicate.hasProperty(cause, "code") ? cause.code : undefined
  if (code === "EADDRINUSE")
    return `Port ${port} is taken by another process: stop it, or choose another port with ${key}.`
  return `The server cannot listen on ${host}:${port} (${String(code ?? cause)}): choose another HOST or ${key}.`
}

type AllowedMethods = (request: HttpServerRequest.HttpServerRequest) => ReadonlyArray<string>

const withProblems =
  (allowed: AllowedMethods) =>
  (
    response: Effect.Effect<HttpServerResponse.HttpServerResponse, Types.unhandled>
  ): Effect.Effect<HttpServerResponse.HttpServerResponse, Types.unhandled, HttpServerRequest.HttpServerRequest> =>
    HttpServerRequest.HttpServerRequest.use((request) =>
      response.pipe(
        Effect.flatMap((answer) => asProblem(request, answer)),
        Effect.catchCause((cause) =>
          Cause.hasInterruptsOnly(cause) ? Effect.failCause(cause) : problemOf(request, cause, allowed)
        ),
        Effect.map(withHeaders)
      )
    )

/** The few answers that the HTTP library writes itself, without a body that says what is wrong. */
const asProblem = (request: HttpServerRequest.HttpServerRequest, answer: HttpServerResponse.HttpServerResponse) => {
  if (answer.status === 415) {
    const sent = request.headers["content-type"] ?? "none"
    const errors = [{ in: "header" as const, field: "content-type", message: `Expected application/json, got ${sent}` }]
    return HttpServerRespondable.toResponse(new Problems.UnsupportedMediaType({ errors }))
  }
  return Effect.succeed(answer)
}

const problemOf = (
  request: HttpServerRequest.HttpServerRequest,
  cause: Cause.Cause<unknown>,
  allowed: AllowedMethods
) => {
  const error = Cause.squash(cause)
  if (HttpServerError.isHttpServerError(error)) {
    const { reason } = error
    if (reason._tag === "RouteNotFound") {
      if (!isDecodable(request.url)) return HttpServerRespondable.toResponse(new Problems.MalformedRequest())
      const methods = allowed(request)
      if (methods.length === 0) return HttpServerRespondable.toResponse(new Problems.UnknownRoute())
      return Effect.map(
        HttpServerRespondable.toResponse(new Problems.MethodNotAllowed({ allowed: methods })),
        HttpServerResponse.setHeader("allow", methods.join(", "))
      )
    }
    if (reason._tag === "RequestParseError") {
      return HttpServerRespondable.toResponse(
        reason.reason === "BodyTooLarge" ? bodyTooLarge : new Problems.MalformedRequest()
      )
    }
  }
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

const bodyTooLarge = new Problems.BodyTooLarge({
  maximumBytes: largestBody,
  errors: [{ in: "body", field: "body", message: `Expected at most ${largestBody} bytes` }]
})

/** Headers that belong to a status, whoever answered with it. */
const withHeaders = (answer: HttpServerResponse.HttpServerResponse) => {
  const headers = headersOfStatus[answer.status]
  return headers === undefined || answer.headers["content-type"] !== problemContentType
    ? answer
    : HttpServerResponse.setHeaders(answer, headers)
}

const headersOfStatus: Readonly<Record<number, Readonly<Record<string, string>>>> = {
  401: { "www-authenticate": "Bearer" },
  503: { "retry-after": "1" }
}

const isDecodable = (url: string) => Result.isSuccess(Result.try(() => decodeURI(url)))

/** What the API takes at an address that it knows, for a request with another method. */
const allowedMethods = <Id extends string, Groups extends HttpApiGroup.Constraint>(
  api: HttpApi.HttpApi<Id, Groups>
): AllowedMethods => {
  const known: Array<{ readonly method: string; readonly segments: ReadonlyArray<string> }> = []
  const learn = (method: string, path: string) => known.push({ method, segments: segmentsOf(path) })
  HttpApi.reflect(api, { onGroup: () => {}, onEndpoint: ({ endpoint }) => learn(endpoint.method, endpoint.path) })
  for (const path of ["/docs", "/openapi.json", "/health", "/health/live", "/health/ready"]) learn("GET", path)
  return (request) => {
    const asked = segmentsOf(request.url.split("?")[0] ?? "/")
    return known.filter(({ segments }) => matches(segments, asked)).map(({ method }) => method)
  }
}

const segmentsOf = (path: string) => path.split("/").filter((segment) => segment !== "")

const matches = (route: ReadonlyArray<string>, asked: ReadonlyArray<string>) =>
  route.length === asked.length && route.every((segment, place) => segment.startsWith(":") || segment === asked[place])
