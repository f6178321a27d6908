import { fileURLToPath } from "node:url"

import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { FetchHttpClient } from "effect/http"

import { emptyPlace, type Place, start, startAndWait } from "./fixtures/RunningStack.ts"

const program = fileURLToPath(new URL("../src/program.ts", import.meta.url))
const feedsProgram = fileURLToPath(new URL("../src/feeds.ts", import.meta.url))
const platform = Layer.merge(NodeServices.layer, FetchHttpClient.layer)

/** `npm run feeds` beside the running stack: what there is, and what is done about it. */
const operateFeeds = Effect.fn("operateFeeds")(function* (place: Place) {
  const feeds = Effect.fnUntraced(function* (...args: ReadonlyArray<string>) {
    const child = yield* start(place, args, {}, [process.execPath, feedsProgram])
    return { code: yield* child.exitCode, printed: yield* child.printed }
  })
  const listed = yield* feeds()
  assert.strictEqual(listed.code, 0)
  assert.match(listed.printed, /feed of +read by +events behind +behind +moved/u)
  assert.match(listed.printed, /inventory +edge-api\.prices +0 +0\.0 s/u)
  assert.match(listed.printed, /edge-api\.prices +reads +0 /u)

  assert.include((yield* feeds("pause", "edge-api.prices")).printed, "pause: 1")
  assert.match((yield* feeds("list")).printed, /edge-api\.prices +paused/u)
  assert.include((yield* feeds("resume", "edge-api.prices")).printed, "resume: 1")

  const nobody = yield* feeds("pause", "nobody")
  assert.notStrictEqual(nobody.code, 0)
  assert.include(nobody.printed, 'There is nothing to pause for "nobody".')
})

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
      yield* operateFeeds(place)
      yield* stack.signal("SIGTERM")
      yield* stack.exitCode
      assert.deepStrictEqual(yield* reconcile, [0, "The books agree about 0 payments."])
      const unknown = yield* start(place, ["payment", "dance"], {}, [process.execPath, program])
      assert.notStrictEqual(yield* unknown.exitCode, 0)
    }).pipe(Effect.scoped, Effect.provide(platform))
  )
})
