/**
 * Takes what services export, as a collector would, and reads it for tests.
 */
import { createServer } from "node:http"

import * as Received from "@ecommerce/telemetry/Received"
import { NodeHttpServer } from "@effect/platform-node"
import { Context, Effect, Layer, Schedule, Schema } from "effect"
import { HttpRouter, HttpServer, HttpServerRequest, HttpServerResponse } from "effect/http"

export class OtlpReceiver extends Context.Service<
  OtlpReceiver,
  {
    readonly url: string
    readonly spans: Effect.Effect<ReadonlyArray<Received.Span>>
    readonly lines: Effect.Effect<ReadonlyArray<Received.Line>>
    /** All that came, as it came. */
    readonly bodies: Effect.Effect<ReadonlyArray<string>>
    /** From now on it answers with this status; 200 at first. */
    readonly answer: (status: number) => Effect.Effect<void>
    readonly requests: Effect.Effect<number>
  }
>()("@ecommerce/testing/OtlpReceiver") {
  static readonly layer = Layer.effect(
    OtlpReceiver,
    Effect.gen(function* () {
      const spans: Array<Received.Span> = []
      const lines: Array<Received.Line> = []
      const bodies: Array<string> = []
      let status = 200
      let requests = 0

      const take = <A>(schema: Schema.Codec<A, unknown>, keep: (read: A) => void) => {
        const decode = Schema.decodeUnknownEffect(Schema.fromJsonString(schema))
        return Effect.gen(function* () {
          requests += 1
          const text = yield* HttpServerRequest.HttpServerRequest.use((request) => request.text)
          if (status === 200) {
            bodies.push(text)
            keep(yield* decode(text))
          }
          return HttpServerResponse.jsonUnsafe({}, { status })
        }).pipe(Effect.orDie)
      }

      const routes = HttpRouter.use((router) =>
        Effect.all([
          router.add(
            "POST",
            "/v1/traces",
            take(Received.Traces, (read) => spans.push(...Received.spansIn(read)))
          ),
          router.add(
            "POST",
            "/v1/logs",
            take(Received.Logs, (read) => lines.push(...Received.linesIn(read)))
          ),
          router.add(
            "POST",
            "/v1/metrics",
            take(Schema.Unknown, () => {})
          )
        ])
      )
      const context = yield* Layer.build(
        HttpRouter.serve(routes, { disableLogger: true, disableListenLog: true }).pipe(
          Layer.provideMerge(NodeHttpServer.layer(() => createServer(), { port: 0, host: "127.0.0.1" }))
        )
      )
      const url = yield* Effect.provide(HttpServer.addressFormattedWith(Effect.succeed), context)
      return OtlpReceiver.of({
        url,
        spans: Effect.sync(() => [...spans]),
        lines: Effect.sync(() => [...lines]),
        bodies: Effect.sync(() => [...bodies]),
        requests: Effect.sync(() => requests),
        answer: (next) =>
          Effect.sync(() => {
            status = next
          })
      })
    })
  )
}

/** Where services export to it, and quickly. */
export const settings = Effect.map(OtlpReceiver, ({ url }) => ({
  OTEL_EXPORTER_OTLP_ENDPOINT: url,
  OTEL_BSP_SCHEDULE_DELAY: "50",
  OTEL_METRIC_EXPORT_INTERVAL: "200"
}))

/** All spans of a trace, when none has come for a while: the last ones end after whoever asked has its answer. */
export const settled = (traceId: string) =>
  Effect.gen(function* () {
    const { spans } = yield* OtlpReceiver
    const count = Effect.map(spans, (all) => all.filter((span) => span.traceId === traceId).length)
    yield* count.pipe(
      Effect.flatMap((before) =>
        Effect.map(Effect.delay(count, "700 millis"), (after) => after > 0 && after === before)
      ),
      Effect.repeat({ until: (isQuiet) => isQuiet, schedule: Schedule.spaced("50 millis") }),
      Effect.timeout("100 seconds")
    )
    return (yield* spans).filter((span) => span.traceId === traceId)
  }).pipe(Effect.orDie)
