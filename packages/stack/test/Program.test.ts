import { fileURLToPath } from "node:url"

import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { FetchHttpClient } from "effect/http"

import { emptyPlace, start, startAndWait } from "./fixtures/RunningStack.ts"

const program = fileURLToPath(new URL("../src/program.ts", import.meta.url))
const platform = Layer.merge(NodeServices.layer, FetchHttpClient.layer)

describe("a program of one service", () => {
  it.live("runs with the settings of the running stack, or on its database alone, and has its own exit code", () =>
    Effect.gen(function* () {
      const place = yield* emptyPlace
      const reconcile = Effect.gen(function* () {
        const child = yield* start(place, ["payment", "reconcile"], {}, [process.execPath, program])
        return [yield* child.exitCode, (yield* child.printed).trim()] as const
      })
      const stack = yield* startAndWait(place)
      assert.deepStrictEqual(yield* reconcile, [0, "The books agree about 0 payments."])
      yield* stack.signal("SIGTERM")
      yield* stack.exitCode
      assert.deepStrictEqual(yield* reconcile, [0, "The books agree about 0 payments."])
      const unknown = yield* start(place, ["payment", "dance"], {}, [process.execPath, program])
      assert.notStrictEqual(yield* unknown.exitCode, 0)
    }).pipe(Effect.scoped, Effect.provide(platform))
  )
})
