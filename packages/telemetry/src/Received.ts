/**
 * Exports as whoever takes them reads them: OTLP/JSON, of which each span and each log line becomes one flat record.
 */
import { Option, Predicate, Schema } from "effect"

const Value = Schema.Struct({
  stringValue: Schema.optionalKey(Schema.String),
  boolValue: Schema.optionalKey(Schema.Boolean),
  intValue: Schema.optionalKey(Schema.Union([Schema.Number, Schema.String])),
  doubleValue: Schema.optionalKey(Schema.Number),
  arrayValue: Schema.optionalKey(Schema.Unknown)
})
const KeyValues = Schema.Array(Schema.Struct({ key: Schema.String, value: Value }))
type Attributes = typeof KeyValues.Type
const Attributes = Schema.optionalKey(KeyValues)
const Resource = Schema.optionalKey(Schema.Struct({ attributes: Attributes }))

const OtlpSpan = Schema.Struct({
  traceId: Schema.String,
  spanId: Schema.String,
  parentSpanId: Schema.optionalKey(Schema.String),
  name: Schema.String,
  kind: Schema.Number,
  startTimeUnixNano: Schema.String,
  endTimeUnixNano: Schema.String,
  attributes: Attributes,
  events: Schema.optionalKey(Schema.Array(Schema.Struct({ name: Schema.String, attributes: Attributes }))),
  status: Schema.optionalKey(
    Schema.Struct({ code: Schema.optionalKey(Schema.Number), message: Schema.optionalKey(Schema.String) })
  ),
  links: Schema.optionalKey(Schema.Array(Schema.Struct({ traceId: Schema.String, spanId: Schema.String })))
})

export const Traces = Schema.Struct({
  resourceSpans: Schema.Array(
    Schema.Struct({ resource: Resource, scopeSpans: Schema.Array(Schema.Struct({ spans: Schema.Array(OtlpSpan) })) })
  )
})

const LogRecord = Schema.Struct({
  severityText: Schema.optionalKey(Schema.String),
  body: Schema.optionalKey(Value),
  attributes: Attributes,
  traceId: Schema.optionalKey(Schema.String),
  spanId: Schema.optionalKey(Schema.String)
})

export const Logs = Schema.Struct({
  resourceLogs: Schema.Array(
    Schema.Struct({
      resource: Resource,
      scopeLogs: Schema.Array(Schema.Struct({ logRecords: Schema.Array(LogRecord) }))
    })
  )
})

type Told = Readonly<Record<string, string | number | boolean>>

export interface Span {
  readonly service: string
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId: string | undefined
  readonly name: string
  readonly kind: "internal" | "server" | "client" | "producer" | "consumer"
  readonly startNanos: bigint
  readonly endNanos: bigint
  readonly attributes: Told
  /** What it failed with; undefined where it went well. */
  readonly error: string | undefined
  readonly links: ReadonlyArray<{ readonly traceId: string; readonly spanId: string }>
}

export interface Line {
  readonly service: string
  readonly level: string
  readonly text: string
  readonly attributes: Told
  readonly traceId: string | undefined
}

const kinds = ["internal", "internal", "server", "client", "producer", "consumer"] as const

export const spansIn = ({ resourceSpans }: typeof Traces.Type): ReadonlyArray<Span> =>
  resourceSpans.flatMap(({ resource, scopeSpans }) => {
    const service = serviceOf(resource?.attributes)
    return scopeSpans.flatMap(({ spans }) =>
      spans.map((span) => ({
        service,
        traceId: span.traceId,
        spanId: span.spanId,
        parentSpanId: span.parentSpanId === "" ? undefined : span.parentSpanId,
        name: span.name,
        kind: kinds[span.kind] ?? "internal",
        startNanos: BigInt(span.startTimeUnixNano),
        endNanos: BigInt(span.endTimeUnixNano),
        attributes: toldIn(span.attributes),
        error: span.status?.code === 2 ? (span.status.message ?? "failed") : undefined,
        links: span.links ?? []
      }))
    )
  })

export const linesIn = ({ resourceLogs }: typeof Logs.Type): ReadonlyArray<Line> =>
  resourceLogs.flatMap(({ resource, scopeLogs }) => {
    const service = serviceOf(resource?.attributes)
    return scopeLogs.flatMap(({ logRecords }) =>
      logRecords.map(({ attributes, body, severityText = "", traceId }) => ({
        service,
        level: severityText,
        text: body?.stringValue ?? "",
        attributes: toldIn(attributes),
        traceId
      }))
    )
  })

const toldIn = (attributes: Attributes = []): Told =>
  Object.fromEntries(
    attributes.map(({ key, value }) => [
      key,
      value.stringValue ?? value.boolValue ?? value.doubleValue ?? Number(value.intValue ?? Number.NaN)
    ])
  )

const serviceOf = (attributes: Attributes | undefined) => {
  const name = toldIn(attributes)["service.name"]
  return Option.getOrElse(Option.liftPredicate(name, Predicate.isString), () => "unknown")
}
