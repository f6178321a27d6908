import * as Settings from "@ecommerce/chassis/Settings"
import type { StartupError } from "@ecommerce/chassis/StartupError"
import * as TelemetrySettings from "@ecommerce/chassis/Telemetry/Settings"
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Option } from "effect"

const given = (record: Readonly<Record<string, string>>) =>
  Effect.provide(ConfigProvider.layer(Effect.succeed(Settings.providerOf(record))))

const endpoint = { OTEL_EXPORTER_OTLP_ENDPOINT: "http://collector:4318/" }

const urlOf = (signal: TelemetrySettings.Signal, record: Readonly<Record<string, string>>) =>
  TelemetrySettings.target(signal).pipe(
    Effect.map((target) => Option.getOrUndefined(target)?.url),
    given(record)
  )

describe("where a signal goes", () => {
  it.effect("is nowhere unless somebody says where", () =>
    Effect.gen(function* () {
      assert.isUndefined(yield* urlOf("traces", {}))
    })
  )

  it.effect("is below the common address, or at its own, as it is written", () =>
    Effect.gen(function* () {
      const own = { ...endpoint, OTEL_EXPORTER_OTLP_LOGS_ENDPOINT: "http://other/logs" }
      assert.strictEqual(yield* urlOf("traces", own), "http://collector:4318/v1/traces")
      assert.strictEqual(yield* urlOf("metrics", own), "http://collector:4318/v1/metrics")
      assert.strictEqual(yield* urlOf("logs", own), "http://other/logs")
    })
  )

  it.effect("is nowhere where it is switched off, alone or with all", () =>
    Effect.gen(function* () {
      assert.isUndefined(yield* urlOf("traces", { ...endpoint, OTEL_TRACES_EXPORTER: "none" }))
      assert.isString(yield* urlOf("logs", { ...endpoint, OTEL_TRACES_EXPORTER: "none" }))
      assert.isUndefined(yield* urlOf("logs", { ...endpoint, OTEL_SDK_DISABLED: "true" }))
    })
  )

  it.effect("comes with the headers of all signals and its own, decoded", () =>
    Effect.gen(function* () {
      const target = yield* TelemetrySettings.target("traces")
      assert.deepStrictEqual(Option.getOrUndefined(target)?.headers, { "x-key": "a=b c", "x-own": "1" })
    }).pipe(
      given({
        ...endpoint,
        OTEL_EXPORTER_OTLP_HEADERS: "x-key=a%3Db%20c,x-own=0",
        OTEL_EXPORTER_OTLP_TRACES_HEADERS: "x-own=1"
      })
    )
  )
})

const wrong: ReadonlyArray<readonly [string, string, { readonly read: Effect.Effect<unknown, StartupError> }]> = [
  ["OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318", TelemetrySettings.endpoint],
  ["OTEL_EXPORTER_OTLP_HEADERS", "no pair", TelemetrySettings.headers],
  ["OTEL_RESOURCE_ATTRIBUTES", "a=%zz", TelemetrySettings.resourceAttributes],
  ["OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", TelemetrySettings.protocol],
  ["OTEL_EXPORTER_OTLP_TIMEOUT", "10 s", TelemetrySettings.timeout],
  ["OTEL_TRACES_SAMPLER", "sometimes", TelemetrySettings.sampler],
  ["OTEL_TRACES_SAMPLER_ARG", "1.5", TelemetrySettings.samplerRatio],
  ["OTEL_SDK_DISABLED", "perhaps", TelemetrySettings.isDisabled],
  ["TRACE_HOLD_SPANS", "-1", TelemetrySettings.heldSpans]
]

describe("a wrong setting of telemetry", () => {
  it.effect.each(wrong)("ends the start with a sentence that names it: %s", ([key, value, { read }]) =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(read)
      assert.include(error.message, `The setting ${key} is wrong: expected `)
    }).pipe(given({ [key]: value }))
  )
})
