/**
 * Log lines: JSON for machines, pretty for people, each with the service's name and the trace that it belongs to.
 */
import * as Otlp from "@ecommerce/telemetry/Otlp"
import { Cause, Effect, Formatter, Layer, Logger, References } from "effect"

import * as Settings from "./Settings.ts"

export const layer = (service: string) =>
  Layer.unwrap(
    Effect.gen(function* () {
      const format = yield* Settings.logFormat.read
      const level = yield* Settings.logLevel.read
      const pretty = format === "pretty" || (format === "auto" && process.stdout.isTTY)
      return Layer.mergeAll(
        Logger.layer([pretty ? Logger.consolePretty() : json]),
        Layer.succeed(References.MinimumLogLevel, level),
        Layer.effect(
          References.CurrentLogAnnotations,
          Effect.map(References.CurrentLogAnnotations, (annotations) => ({ ...annotations, service }))
        )
      )
    })
  )

/** One flat object a line. */
const json = Logger.withConsoleLog(
  Logger.make(({ cause, date, fiber, logLevel, message }) => {
    const { span } = fiber.cache
    return Formatter.formatJson({
      timestamp: date.toISOString(),
      level: logLevel.toUpperCase(),
      message: Otlp.textOf(message),
      ...fiber.getRef(References.CurrentLogAnnotations),
      ...(span === undefined ? {} : { trace_id: span.traceId, span_id: span.spanId }),
      ...(cause.reasons.length > 0 ? { cause: Cause.pretty(cause) } : {})
    })
  })
)
