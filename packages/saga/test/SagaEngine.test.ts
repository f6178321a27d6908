import { assert, layer } from "@effect/vitest"
import { Effect, Layer } from "effect"

import {
  callsOf,
  database,
  engine,
  journalOf,
  records,
  start,
  statesOf,
  toldOf,
  untilEnded
} from "./fixtures/Engines.ts"

const working = engine().pipe(Layer.provideMerge(records), Layer.provideMerge(database))

layer(working, { excludeTestServices: true })("an engine", (it) => {
  it.effect("brings a saga to its end, step by step", () =>
    Effect.gen(function* () {
      yield* start("trip-1")
      yield* untilEnded(1)
      assert.deepStrictEqual(yield* callsOf("trip-1"), ["book-flight", "book-hotel", "take-deposit", "send-ticket"])
      assert.deepStrictEqual(yield* journalOf("trip-1"), [
        "run book-flight 1 done",
        "run book-hotel 1 done",
        "run take-deposit 1 done",
        "run send-ticket 1 done"
      ])
      assert.deepStrictEqual(yield* statesOf("trip-1"), [
        { definition: "book-trip", status: "COMPLETED", step: null, stuck: null }
      ])
      assert.deepStrictEqual(
        (yield* toldOf("trip-1")).map(({ step, type, version }) => [version, type, step]),
        [
          [1, "started", null],
          [2, "advanced", "book-flight"],
          [3, "advanced", "book-hotel"],
          [4, "advanced", "take-deposit"],
          [5, "completed", "send-ticket"]
        ]
      )
    })
  )
})
