/**
 * The standard `OTEL_*` variables, as far as they concern a service, and what this house has besides.
 */
import * as Sampler from "@ecommerce/telemetry/Sampler"
import { Config, Effect, Option, Schema } from "effect"

import * as Settings from "../Settings.ts"
import { StartupError } from "../StartupError.ts"

export const isDisabled = Settings.setting({
  key: "OTEL_SDK_DISABLED",
  about: "Exports nothing, whatever else is set.",
  expected: "true or false",
  fallback: "false",
  config: (key) => Config.Boolean(key)
})

const endpointAbout = "Where traces, logs and metrics go over OTLP/HTTP; nothing is exported where it is not set."

const optional = (key: string, about: string, expected: string, check: Schema.Codec<string, string>) => {
  const one = Settings.setting({ key, about, expected, config: (name) => Config.schema(check, name) })
  return { ...one, read: Settings.whereSet(one, Effect.undefined) }
}

const HttpUrl = Schema.String.check(
  Schema.makeFilter((text: string) => /^https?:$/u.test(URL.parse(text)?.protocol ?? ""))
)

const url = (key: string, about: string) => optional(key, about, "an address such as http://localhost:4318", HttpUrl)

export const endpoint = url("OTEL_EXPORTER_OTLP_ENDPOINT", endpointAbout)

/** `name=value` pairs, separated by commas, each part percent-encoded where it has to be. */
const pairs = (key: string, about: string) => {
  const one = optional(key, about, "pairs such as name=value,other=value", Schema.String)
  const read = Effect.flatMap(one.read, (text = "") =>
    Effect.mapError(
      decodePairs(text),
      () => new StartupError({ message: `The setting ${key} is wrong: expected ${one.expected}.` })
    )
  )
  return { ...one, read }
}

const decodePairs = (text: string) =>
  Effect.try(() =>
    Object.fromEntries(
      text
        .split(",")
        .filter((pair) => pair.trim() !== "")
        .map((pair): readonly [string, string] => {
          const place = pair.indexOf("=")
          if (place < 1) throw new Error(pair)
          return [decodeURIComponent(pair.slice(0, place).trim()), decodeURIComponent(pair.slice(place + 1).trim())]
        })
    )
  )

export const headers = pairs(
  "OTEL_EXPORTER_OTLP_HEADERS",
  "Headers of every export, such as a key of whoever takes it."
)

export const resourceAttributes = pairs(
  "OTEL_RESOURCE_ATTRIBUTES",
  "What to say of this deployment with every span, line and metric: deployment.environment.name=production."
)

export const serviceName = optional(
  "OTEL_SERVICE_NAME",
  "Another name for the service than its own.",
  "a name",
  Schema.String
)

export const protocol = Settings.setting({
  key: "OTEL_EXPORTER_OTLP_PROTOCOL",
  about: "How exports are written. JSON costs a service a third of what protobuf does.",
  expected: "http/json or http/protobuf",
  fallback: "http/json",
  config: (key) => Config.Literals(["http/json", "http/protobuf"], key)
})

const millis = (key: string, fallback: number, about: string) =>
  Settings.setting({
    key,
    about: `${about}, in milliseconds.`,
    expected: "a whole number above 0",
    fallback: String(fallback),
    config: (name) => Config.schema(Schema.NumberFromString.check(Schema.isInt(), Schema.isGreaterThan(0)), name)
  })

export const timeout = millis("OTEL_EXPORTER_OTLP_TIMEOUT", 10_000, "How long an export may take")
export const scheduleDelay = millis("OTEL_BSP_SCHEDULE_DELAY", 1000, "How long spans and log lines wait for more")
export const metricInterval = millis("OTEL_METRIC_EXPORT_INTERVAL", 10_000, "How often metrics are exported")

export const queueSize = Settings.count(
  "OTEL_BSP_MAX_QUEUE_SIZE",
  8192,
  "How many spans, and how many log lines, wait for their export at most; more are dropped and counted."
)
export const batchSize = Settings.count("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 512, "How many of them go into one export.")

export const sampler = Settings.setting({
  key: "OTEL_TRACES_SAMPLER",
  about: "Which traces are recorded.",
  expected: `one of ${Sampler.names.join(", ")}`,
  fallback: "parentbased_always_on",
  config: (key) => Config.Literals(Sampler.names, key)
})

export const samplerRatio = Settings.setting({
  key: "OTEL_TRACES_SAMPLER_ARG",
  about: "The ratio of the samplers that have one.",
  expected: "a number from 0 to 1",
  fallback: "1",
  config: (key) => Config.schema(Schema.NumberFromString.check(Schema.isBetween({ minimum: 0, maximum: 1 })), key)
})

export const heldSpans = Settings.setting({
  key: "TRACE_HOLD_SPANS",
  about:
    "How many spans of traces that the sampler left out are held for a while, so that an order that fails is told whole all the same; 0 for none.",
  expected: "a whole number",
  fallback: "20000",
  config: (key) => Config.schema(Schema.NumberFromString.check(Schema.isInt(), Schema.isGreaterThanOrEqualTo(0)), key)
})

export type Signal = "traces" | "logs" | "metrics"

const exporterOf = (signal: Signal) =>
  Settings.setting({
    key: `OTEL_${signal.toUpperCase()}_EXPORTER`,
    about: `Whether ${signal} are exported.`,
    expected: "otlp or none",
    fallback: "otlp",
    config: (key) => Config.Literals(["otlp", "none"], key)
  })

/** Nobody has said that it goes nowhere. */
export const isExported = (signal: Signal) =>
  Effect.map(
    Effect.all([exporterOf(signal).read, isDisabled.read]),
    ([exporter, disabled]) => exporter === "otlp" && !disabled
  )

/** Where and how one of the signals goes; none where it goes nowhere, or nobody has said where. */
export const target = Effect.fnUntraced(function* (signal: Signal) {
  const name = signal.toUpperCase()
  const own = yield* url(`OTEL_EXPORTER_OTLP_${name}_ENDPOINT`, `Where ${signal} go, where that is another place.`).read
  const common = yield* endpoint.read
  const address = own ?? (common === undefined ? undefined : `${common.replace(/\/$/u, "")}/v1/${signal}`)
  if (address === undefined || !(yield* isExported(signal))) return Option.none()
  const ownHeaders = yield* pairs(`OTEL_EXPORTER_OTLP_${name}_HEADERS`, `Headers of the exports of ${signal}.`).read
  return Option.some({ url: address, headers: { ...(yield* headers.read), ...ownHeaders } })
})
