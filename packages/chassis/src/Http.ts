/**
 * A service's HTTP server: its API with problem details everywhere, its OpenAPI document and docs page, its health.
 *
 * Whatever goes wrong, the caller gets a problem with a code, and no stack, SQL or internal address.
 */
import { createServer } from "node:http"

import type { Place } from "@ecommerce/protocol/Place"
import { NodeHttpServer } from "@effect/platform-node"
import { ByteSize, Duration, Effect, Layer, Predicate } from "effect"
import { HttpIncomingMessage, HttpRouter, HttpServer, HttpServerRespondable, HttpServerResponse } from "effect/http"
import { type HttpApi, HttpApiBuilder, type HttpApiGroup, HttpApiScalar } from "effect/http-api"

import { Gate } from "./Gate.ts"
import { Health } from "./Health.ts"
import * as HttpProblems from "./HttpProblems.ts"
import * as HttpTelling from "./HttpTelling.ts"
import * as Settings from "./Settings.ts"
import { StartupError } from "./StartupError.ts"
import { Stopping } from "./Stopping.ts"
import * as TrustedProxies from "./TrustedProxies.ts"

export const idleTimeout = Settings.duration(
  "IDLE_TIMEOUT",
  "60 seconds",
  "After how long without a byte in either direction a connection that waits for an answer is cut."
)

export const requestTimeout = Settings.duration(
  "REQUEST_TIMEOUT",
  "30 seconds",
  "How long a request may take to arrive, headers and body; its headers a third of that."
)

/** The routes of an API: the service's own endpoints, `/docs`, `/openapi.json` and the health endpoints. */
export const routes = <Id extends string, Groups extends HttpApiGroup.Constraint>(api: HttpApi.HttpApi<Id, Groups>) =>
  Layer.mergeAll(
    HttpApiBuilder.layer(api, { openapiPath: "/openapi.json" }),
    HttpApiScalar.layer(api, { path: "/docs", scalar: { withDefaultFonts: false } }),
    healthRoutes,
    HttpTelling.metricsRoute,
    HttpRouter.use((router) =>
      Effect.flatMap(Gate, (gate) =>
        Effect.andThen(
          router.addGlobalMiddleware(HttpTelling.middleware),
          router.addGlobalMiddleware(HttpProblems.middleware(api, gate))
        )
      )
    )
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

/**
 * How many connections may wait until the process comes to them; the kernel gives as many as it has. What is beyond Node's own 511
 * it drops: in a flood at the door of a slow machine hundreds were reset, which could have been told in a moment that it is too much.
 */
const backlog = 4096

/** Serves the routes on the service's port, until the scope closes; then lets what has begun finish, within a bound. */
export const serve = <E, R>(place: Place, routes: Layer.Layer<never, E, R>) =>
  Layer.unwrap(
    Effect.gen(function* () {
      const host = yield* Settings.host.read
      const port = yield* Settings.servicePort(place).read
      const { guard: middleware } = yield* Gate
      const silence = yield* idleTimeout.read
      const arrival = yield* requestTimeout.read
      const gracefulShutdownTimeout = yield* Settings.shutdownTimeout.read
      const server = Effect.gen(function* () {
        const node = createNodeServer(arrival)
        // A reader that takes nothing of a long answer is cut off too: Node sees whether bytes still leave.
        node.timeout = Duration.toMillis(silence)
        const server = yield* NodeHttpServer.make(() => node, { host, port, backlog, gracefulShutdownTimeout })
        // Runs when the time to finish is over: what is still open then would keep the process for ever.
        yield* Effect.addFinalizer(() => Effect.sync(() => node.closeAllConnections()))
        return server
      }).pipe(
        Effect.mapError(
          ({ cause }) => new StartupError({ message: cannotListen(Settings.servicePort(place).key, host, port, cause) })
        )
      )
      return Stopping.layerSignal.pipe(
        Layer.provideMerge(
          HttpRouter.serve(Layer.merge(routes, TrustedProxies.layer), {
            routerConfig: HttpProblems.routerConfig,
            middleware,
            disableLogger: true,
            disableListenLog: true
          })
        ),
        Layer.merge(
          Layer.effectDiscard(
            HttpServer.addressFormattedWith((url) => Effect.logInfo(`${place.name} listens on ${url}`))
          )
        ),
        Layer.provide(Layer.succeed(HttpIncomingMessage.MaxBodySize, ByteSize.bytes(HttpProblems.largestBody))),
        Layer.provideMerge(Layer.effect(HttpServer.HttpServer, server))
      )
    })
  )

/** A client that sends its request too slowly is cut off, so that it cannot hold a connection for ever. */
const createNodeServer = (arrival: Duration.Duration) => {
  const server = HttpProblems.answerRefusals(
    createServer({
      requestTimeout: Duration.toMillis(arrival),
      headersTimeout: Duration.toMillis(arrival) / 3,
      // Node looks every half minute unless told, which would be another half minute for who is too slow.
      connectionsCheckingInterval: 1000,
      keepAliveTimeout: 10_000,
      requireHostHeader: false
    })
  )
  // The first of its listeners; the service's own comes when its routes are built.
  server.on("request", (_request, response) => {
    if (server.listenerCount("request") === 1) HttpProblems.answerUnserved(response)
    // Closing the server closes what is idle then. A connection that a client keeps for its next request would hold it up.
    response.once("close", () => {
      if (!server.listening) setImmediate(() => server.closeIdleConnections())
    })
  })
  return server
}

const cannotListen = (key: string, host: string, port: number, cause: unknown) => {
  const code = Predicate.hasProperty(cause, "code") ? cause.code : undefined
  if (code === "EADDRINUSE")
    return `Port ${port} is taken by another process: stop it, or choose another port with ${key}.`
  return `The server cannot listen on ${host}:${port} (${String(code ?? cause)}): choose another HOST or ${key}.`
}
