/**
 * Log lines: JSON for machines, pretty for people, each with the service's name and the trace that it belongs to.
 */
import * as Otlp from "@ecommerce/telemetry/Otlp"
import { scrub } from "@ecommerce/telemetry/Scrub"
import { Cause, Console, Effect, Formatter, Layer, Logger, LogLevel, References } from "effect"

import * as Settings from "./Settings.ts"

export const layer = (service: string) =>
  Layer.unwrap(
    Effect.gen(function* () {
      const format = yield* Settings.logFormat.read
      const level = yield* Settings.logLevel.read
      const pretty = format === "pretty" || (format === "auto" && process.stdout.isTTY)
      return Layer.mergeAll(
        Logger.layer([pretty ? Logger.consolePretty() : makeJson]),
        Layer.succeed(References.MinimumLogLevel, level),
        Layer.effect(
          References.CurrentLogAnnotations,
          Effect.map(References.CurrentLogAnnotations, (annotations) => ({ ...annotations, service }))
        )
      )
    })
  )

/**
 * One flat object a line. What is everyday waits for a moment and is written together, because each write holds the process up; a
 * warning takes with it at once what waits, and nothing waits when the process ends.
 */
const makeJson = Effect.gen(function* () {
  let waiting: Array<string> = []
  let timer: NodeJS.Timeout | undefined
  let console: Console.Console | undefined
  const flush = () => {
    clearTimeout(timer)
    timer = undefined
    const lines = waiting
    waiting = []
    if (lines.length > 0) console?.log(lines.join("\n"))
  }
  yield* Effect.addFinalizer(() => Effect.sync(flush))
  return Logger.make((line) => {
    waiting.push(textOf(line))
    console = line.fiber.getRef(Console.Console)
    if (LogLevel.isGreaterThanOrEqualTo(line.logLevel, "Warn")) flush()
    else timer ??= setTimeout(flush, 20)
  })
})

const textOf = ({ cause, date, fiber, logLevel, message }: Logger.Options<unknown>) => {
  const { span } = fiber.cache
  return Formatter.formatJson({
    timestamp: date.toISOString(),
    level: logLevel.toUpperCase(),
    message: scrub(Otlp.textOf(message)),
    ...fiber.getRef(References.CurrentLogAnnotations),
    ...(span === undefined ? {} : { trace_id: span.traceId, span_id: span.spanId }),
    ...(cause.reasons.length > 0 ? { cause: scrub(Cause.pretty(cause)) } : {})
  })
}
