/**
 * Spans and log lines in the words of OTLP. No secret may be among them: of errors there is their kind, and of texts that
 * others wrote what `Scrub.ts` leaves.
 */
import { Array as Arr, Cause, Formatter, type Logger, Option, Predicate, References, type Tracer } from "effect"
import { OtlpResource, type OtlpLogger, type OtlpTracer } from "effect/observability"

import { scrub } from "./Scrub.ts"
import { type EndedSpan, isFailure } from "./SpanTracer.ts"

type OtlpSpan = OtlpTracer.TraceData["resourceSpans"][number]["scopeSpans"][number]["spans"][number]
type LogRecord = NonNullable<OtlpLogger.LogsData["resourceLogs"][number]["scopeLogs"][number]["logRecords"]>[number]

const kinds: Readonly<Record<Tracer.SpanKind, number>> = { internal: 1, server: 2, client: 3, producer: 4, consumer: 5 }

export const spanOf = (span: EndedSpan): OtlpSpan => {
  const { status } = span
  const attributes = OtlpResource.entriesToAttributes(attributesOf(span))
  const end = status._tag === "Ended" ? status.endTime : status.startTime
  const failure = status._tag === "Ended" && isFailure(status.exit) ? errorIn(status.exit.cause) : undefined
  if (status._tag === "Ended" && status.exit._tag === "Failure" && failure === undefined) {
    attributes.push({ key: "effect.interrupted", value: { boolValue: true } })
  }
  if (failure !== undefined && !span.attributes.has("error.type")) {
    attributes.push({ key: "error.type", value: { stringValue: failure.type } })
  }
  return {
    traceId: span.traceId,
    spanId: span.spanId,
    parentSpanId: Option.getOrUndefined(span.parent)?.spanId,
    name: nameOf(span),
    kind: kinds[span.kind],
    startTimeUnixNano: String(status.startTime),
    endTimeUnixNano: String(end),
    attributes,
    droppedAttributesCount: 0,
    events: [
      ...span.events.map(([name, at, of]) => ({
        name,
        timeUnixNano: String(at),
        attributes: OtlpResource.entriesToAttributes(Object.entries(of)),
        droppedAttributesCount: 0
      })),
      ...(failure?.exception === undefined ? [] : [exceptionEvent(failure.exception, end)])
    ],
    droppedEventsCount: 0,
    status: failure === undefined ? { code: 0 } : { code: 2, message: failure.message },
    links: span.links.map(({ attributes: of, span: { spanId, traceId } }) => ({
      traceId,
      spanId,
      attributes: OtlpResource.entriesToAttributes(Object.entries(of)),
      droppedAttributesCount: 0
    })),
    droppedLinksCount: 0
  }
}

/** A request is known by what was asked, not by for whom; a statement by what it does to which table. */
const nameOf = ({ attributes, kind, name }: EndedSpan) => {
  const route = attributes.get("http.route")
  if (kind === "server" && route !== undefined) return `${name} ${String(route)}`
  const statement = attributes.get("db.query.text")
  return Predicate.isString(statement) ? summaryOf(statement) : name
}

/** Statements hold no values: these are sent beside them. */
const attributesOf = ({ attributes }: EndedSpan): Iterable<[string, unknown]> => {
  const statement = attributes.get("db.query.text")
  if (!Predicate.isString(statement)) return attributes
  return [
    ...[...attributes].filter(([key]) => key !== "effect.sql.method"),
    ["db.query.summary", summaryOf(statement)],
    ["db.query.text", statement.replaceAll(/\s+/gu, " ").trim()]
  ]
}

const summaryOf = (statement: string) => {
  const [, change, changed] = /\b(INSERT INTO|UPDATE|DELETE FROM)\s+(?!SKIP|OF\b)([a-z_.]+)/u.exec(statement) ?? []
  if (change !== undefined) return `${change.split(" ")[0]} ${changed}`
  const [, read] = /\bFROM\s+([a-z_.]+)/u.exec(statement) ?? []
  return read === undefined ? (/^\s*(\w+)/u.exec(statement)?.[1] ?? "SQL") : `SELECT ${read}`
}

interface Failure {
  readonly type: string
  readonly message: string
  /** Only of what nobody foresaw: whoever mends it needs the place. */
  readonly exception: Error | undefined
}

const errorIn = (cause: Cause.Cause<unknown>): Failure => {
  const error = Cause.squash(cause)
  if (Predicate.hasProperty(error, "_tag") && Predicate.isString(error._tag)) {
    return { type: error._tag, message: codeOf(error) ?? error._tag, exception: undefined }
  }
  if (!(error instanceof Error)) return { type: "unknown", message: "It failed.", exception: undefined }
  return { type: error.name, message: scrub(error.message), exception: error }
}

/** What a refusal says in one word; never its whole message, which may name what was asked for. */
const codeOf = (error: object) => {
  const code = [
    Predicate.hasProperty(error, "error") ? error.error : undefined,
    Predicate.hasProperty(error, "reason") ? error.reason : undefined,
    Predicate.hasProperty(error, "reason") && Predicate.hasProperty(error.reason, "code")
      ? error.reason.code
      : undefined
  ].find(Predicate.isString)
  return code === undefined ? undefined : scrub(code)
}

const exceptionEvent = (error: Error, at: bigint) => ({
  name: "exception",
  timeUnixNano: String(at),
  droppedAttributesCount: 0,
  attributes: OtlpResource.entriesToAttributes([
    ["exception.type", error.name],
    ["exception.message", scrub(error.message)],
    ["exception.stacktrace", framesOf(error)]
  ])
})

/** Without the message, which comes first in it. */
const framesOf = ({ stack = "" }: Error) =>
  stack
    .split("\n")
    .filter((line) => line.trimStart().startsWith("at "))
    .join("\n")

const severities: Readonly<Record<string, NonNullable<LogRecord["severityNumber"]>>> = {
  Trace: 1,
  Debug: 5,
  Info: 9,
  Warn: 13,
  Error: 17,
  Fatal: 21
}

export const logOf = ({ cause, date, fiber, logLevel, message }: Logger.Options<unknown>): LogRecord => {
  const at = `${date.getTime()}000000`
  const annotations = fiber.getRef(References.CurrentLogAnnotations)
  const span = fiber.cache.span
  const failed = cause.reasons.length > 0
  return {
    timeUnixNano: at,
    observedTimeUnixNano: at,
    severityNumber: severities[logLevel] ?? 0,
    severityText: logLevel,
    body: { stringValue: scrub(textOf(message)) },
    attributes: OtlpResource.entriesToAttributes(
      [
        ...Object.entries(annotations),
        ...(failed ? ([["exception.stacktrace", scrub(Cause.pretty(cause))]] as const) : [])
      ].map(([key, value]) => [key, value])
    ),
    droppedAttributesCount: 0,
    ...(span === undefined ? {} : { traceId: span.traceId, spanId: span.spanId, flags: span.sampled ? 1 : 0 })
  }
}

export const textOf = (message: unknown): string =>
  Arr.ensure(message)
    .map((part) =>
      Predicate.isString(part) ? part : part instanceof Error ? part.message : Formatter.formatJson(part)
    )
    .join(" ")
