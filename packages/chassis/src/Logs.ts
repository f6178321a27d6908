/**
 * Log lines: JSON for machines, pretty for people, each with the service's name.
 */
import { Effect, Layer, Logger, References } from "effect"

import * as Settings from "./Settings.ts"

export const layer = (service: string) =>
  Layer.unwrap(
    Effect.gen(function* () {
      const format = yield* Settings.logFormat.read
      const level = yield* Settings.logLevel.read
      const pretty = format === "pretty" || (format === "auto" && process.stdout.isTTY)
      return Layer.mergeAll(
        Logger.layer([pretty ? Logger.consolePretty() : Logger.consoleJson]),
        Layer.succeed(References.MinimumLogLevel, level),
        Layer.effect(
          References.CurrentLogAnnotations,
          Effect.map(References.CurrentLogAnnotations, (annotations) => ({ ...annotations, service }))
        )
      )
    })
  )
