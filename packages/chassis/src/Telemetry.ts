/**
 * Traces, logs and metrics of a service, exported over OTLP as the `OTEL_*` variables say. Where they name no place nothing of
 * this is there, and nothing is paid for it.
 */
import { randomUUID } from "node:crypto"
import { hostname } from "node:os"

import * as Exporter from "@ecommerce/telemetry/Exporter"
import * as Otlp from "@ecommerce/telemetry/Otlp"
import * as Sampler from "@ecommerce/telemetry/Sampler"
import * as SpanTracer from "@ecommerce/telemetry/SpanTracer"
import { NodeHttpClient } from "@effect/platform-node"
import { Duration, Effect, Layer, Logger, Metric, Option, Tracer } from "effect"
import { HttpClient, HttpMiddleware } from "effect/http"
import { OtlpExporter, OtlpMetrics, OtlpResource, OtlpSerialization } from "effect/observability"

import * as Settings from "./Telemetry/Settings.ts"

/** What is asked again and again by machines: a trace of each time would tell nothing. */
export const isQuiet = (url: string) => /^\/(?:health|metrics|feed|docs|openapi\.json)(?:[/?]|$)/u.test(url)

const resource = Effect.fnUntraced(function* (service: string) {
  const attributes = {
    "service.namespace": "ecommerce",
    "service.instance.id": randomUUID(),
    "host.name": hostname(),
    "process.pid": process.pid,
    ...(yield* Settings.resourceAttributes.read)
  }
  return { serviceName: (yield* Settings.serviceName.read) ?? service, serviceVersion: "0.1.0", attributes }
})

/** What spans and log lines have in common on their way. */
const exporterOf = Effect.fnUntraced(function* () {
  return {
    mostWaiting: yield* Settings.queueSize.read,
    mostAtOnce: yield* Settings.batchSize.read,
    every: Duration.millis(yield* Settings.scheduleDelay.read),
    timeout: Duration.millis(yield* Settings.timeout.read)
  }
})

const scope = { name: "@ecommerce/telemetry", version: "0.1.0" }

const traces = (service: string) =>
  Layer.unwrap(
    Effect.gen(function* () {
      const target = yield* Settings.target("traces")
      const sampler = Sampler.make(yield* Settings.sampler.read, yield* Settings.samplerRatio.read)
      const mostHeld = yield* Settings.heldSpans.read
      if (Option.isNone(target)) return Layer.empty
      const { traces } = yield* OtlpSerialization.OtlpSerialization
      const from = OtlpResource.make(yield* resource(service))
      const record = yield* Exporter.make<SpanTracer.EndedSpan>({
        ...(yield* exporterOf()),
        ...target.value,
        signal: "traces",
        encode: (spans) =>
          traces({ resourceSpans: [{ resource: from, scopeSpans: [{ scope, spans: spans.map(Otlp.spanOf) }] }] })
      })
      return Layer.succeed(Tracer.Tracer, SpanTracer.make({ sampler, mostHeld, record }))
    })
  )

const logs = (service: string) =>
  Layer.unwrap(
    Effect.gen(function* () {
      const target = yield* Settings.target("logs")
      if (Option.isNone(target)) return Layer.empty
      const { logs } = yield* OtlpSerialization.OtlpSerialization
      const from = OtlpResource.make(yield* resource(service))
      const record = yield* Exporter.make<ReturnType<typeof Otlp.logOf>>({
        ...(yield* exporterOf()),
        ...target.value,
        signal: "logs",
        encode: (lines) => logs({ resourceLogs: [{ resource: from, scopeLogs: [{ scope, logRecords: [...lines] }] }] })
      })
      return Logger.layer([Logger.make((line) => record(Otlp.logOf(line)))], { mergeWithExisting: true })
    })
  )

const metrics = (service: string) =>
  Layer.unwrap(
    Effect.gen(function* () {
      const target = yield* Settings.target("metrics")
      if (Option.isNone(target)) return Layer.empty
      const patience = yield* Settings.timeout.read
      return OtlpMetrics.layer({
        ...target.value,
        resource: yield* resource(service),
        exportInterval: Duration.millis(yield* Settings.metricInterval.read),
        shutdownTimeout: "1 second"
      }).pipe(Layer.provide(layerClientThatGivesUp(patience)), Layer.provide(OtlpExporter.layerFlusher))
    })
  )

/** Effect's exporter of metrics would wait for ever. It has one request on its way at a time. */
const layerClientThatGivesUp = (millis: number) =>
  Layer.effect(
    HttpClient.HttpClient,
    Effect.map(
      HttpClient.HttpClient,
      HttpClient.transformResponse(
        Effect.timeoutOrElse({
          duration: millis,
          orElse: () => Effect.die(new Error("The export of metrics had no answer in time."))
        })
      )
    )
  )

const serialization = Layer.unwrap(
  Effect.map(Settings.protocol.read, (protocol) =>
    protocol === "http/json" ? OtlpSerialization.layerJson : OtlpSerialization.layerProtobuf
  )
)

/** A service's own: two in one process, as in tests, do not count together. */
const registry = Layer.sync(Metric.MetricRegistry, (): Metric.MetricRegistry => new Map())

const quiet = Layer.succeed(HttpMiddleware.TracerDisabledWhen, (request) => isQuiet(request.url))

export const layer = (service: string) =>
  Layer.mergeAll(traces(service), logs(service), metrics(service), quiet).pipe(
    Layer.provide([serialization, NodeHttpClient.layerUndici]),
    Layer.provideMerge(registry)
  )
