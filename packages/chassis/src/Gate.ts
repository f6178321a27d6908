/**
 * How many requests a process takes on at once. One more is turned away at the door, before its address or its body is
 * looked at: what is turned away must cost far less than what is done, or a flood of it would leave time for nothing else.
 *
 * A place is held from a request's arrival until its answer is sent. What only waits gives its place back meanwhile. A few places
 * more are kept for readers of the feed: others bring to its end what was taken on here, above all when there is much of it.
 */
import { ServerResponse } from "node:http"

import { Overloaded } from "@ecommerce/protocol/GeneralProblems"
import { contentType } from "@ecommerce/protocol/Problem"
import { dropped } from "@ecommerce/telemetry/SpanTracer"
import { NodeHttpServerRequest } from "@effect/platform-node"
import { Context, Effect, Layer, Metric, Schema } from "effect"
import { HttpServerRequest, HttpServerResponse } from "effect/http"

import * as Settings from "./Settings.ts"

export const requestsAtOnce = Settings.count(
  "REQUESTS_AT_ONCE",
  256,
  "How many requests one service process takes on at once; more are answered with 503."
)

type Request = HttpServerRequest.HttpServerRequest
type Response = HttpServerResponse.HttpServerResponse

export class Gate extends Context.Service<
  Gate,
  {
    /** Put around a service's whole answer, its sending included. */
    readonly guard: <A, E, R>(answer: Effect.Effect<A, E, R>) => Effect.Effect<A | Response, E, R | Request>
    /** Gives the request's place back, and takes it again whether there is one or not. */
    readonly stepOut: Effect.Effect<void>
    readonly stepIn: Effect.Effect<void>
    /** Out for as long as this takes. */
    readonly aside: <A, E, R>(waiting: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  }
>()("@ecommerce/chassis/Gate") {
  static readonly layer = Layer.effect(
    Gate,
    Effect.gen(function* () {
      const most = yield* requestsAtOnce.read
      // So that there is a zero to compare with.
      yield* Metric.update(turnedAway, 0)
      let inside = 0
      const stepIn = Effect.sync(() => {
        inside += 1
      })
      const stepOut = Effect.sync(() => {
        inside -= 1
      })
      return Gate.of({
        guard: <A, E, R>(answer: Effect.Effect<A, E, R>) =>
          Effect.flatMap(HttpServerRequest.HttpServerRequest, (request): Effect.Effect<A | Response, E, R> => {
            if (inside >= placesFor(request.url, most)) return turnAway(request)
            return Effect.acquireUseRelease(
              stepIn,
              () => answer,
              () => stepOut
            )
          }),
        stepOut,
        stepIn,
        aside: (waiting) =>
          Effect.acquireUseRelease(
            stepOut,
            () => waiting,
            () => stepIn
          )
      })
    })
  )
}

const placesFor = (url: string, most: number) => {
  // Whoever watches over us has to hear that we are alive.
  if (url.startsWith("/health")) return Number.POSITIVE_INFINITY
  return url.startsWith("/feed?") ? most + keptForReaders : most
}

/** There are a few consumers, each with one request at a time. */
const keptForReaders = 16

const refusal = Schema.encodeSync(Schema.fromJsonString(Schema.toCodecJson(Overloaded)))(new Overloaded())
const headers = { "content-type": contentType, "content-length": Buffer.byteLength(refusal), "retry-after": "1" }

/** Past everything that makes an answer otherwise; it is always the same one. */
const turnAway = (request: Request) =>
  Effect.sync(() => {
    const response = NodeHttpServerRequest.toServerResponse(request)
    if (response instanceof ServerResponse) response.writeHead(503, headers).end(refusal)
    return HttpServerResponse.empty({ status: 503 })
  }).pipe(Effect.tap(Metric.update(turnedAway, 1)), Effect.tap(Effect.annotateCurrentSpan(dropped, true)))

const turnedAway = Metric.counter("http_server_requests_turned_away_total", {
  description: "Requests that were answered with 503 unread, because too many were being worked on.",
  incremental: true
})
