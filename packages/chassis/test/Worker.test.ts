import { Health } from "@ecommerce/chassis/Health"
import * as Worker from "@ecommerce/chassis/Worker"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Ref, References } from "effect"
import { TestClock } from "effect/testing"

const quiet = Layer.succeed(References.MinimumLogLevel, "None")

const startWorker = Effect.fn("startWorker")(function* <E>(round: (count: number) => Effect.Effect<void, E>) {
  const rounds = yield* Ref.make(0)
  const counted = Effect.flatMap(
    Ref.updateAndGet(rounds, (count) => count + 1),
    round
  )
  yield* Layer.build(Worker.layer("sweeper", counted, { every: "1 second", stalledAfter: "10 seconds" }))
  return rounds
})

describe("a worker", () => {
  it.effect("does its round again and again, with its pause between", () =>
    Effect.gen(function* () {
      const rounds = yield* startWorker(() => Effect.void)
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(yield* Ref.get(rounds), 11)
    }).pipe(Effect.scoped, Effect.provide([Health.layer, quiet]))
  )

  it.effect.each(["a failure", "a defect"] as const)("goes on after %s, and soon works at its old pace again", (kind) =>
    Effect.gen(function* () {
      const trouble = kind === "a defect" ? Effect.die(new Error("broken")) : Effect.fail("no luck")
      const rounds = yield* startWorker((count) => (count > 2 && count < 6 ? trouble : Effect.void))
      yield* TestClock.adjust("2 minutes")
      assert.isAbove(yield* Ref.get(rounds), 100)
      assert.deepInclude(yield* (yield* Health).ready, { "worker sweeper": "ok" })
    }).pipe(Effect.scoped, Effect.provide([Health.layer, quiet]))
  )

  it.effect("goes on after a round that interrupts itself, and after one that never ends", () =>
    Effect.gen(function* () {
      const rounds = yield* startWorker((count) =>
        count === 2 ? Effect.interrupt : count === 4 ? Effect.never : Effect.void
      )
      yield* TestClock.adjust("3 minutes")
      assert.isAbove(yield* Ref.get(rounds), 60)
    }).pipe(Effect.scoped, Effect.provide([Health.layer, quiet]))
  )

  it.effect("that finishes no round any more makes its service unready, until it does again", () =>
    Effect.gen(function* () {
      const isStuck = yield* Ref.make(true)
      yield* startWorker(() =>
        Effect.flatMap(Ref.get(isStuck), (stuck) => (stuck ? Effect.fail("stuck") : Effect.void))
      )
      const { ready } = yield* Health
      yield* TestClock.adjust("9 seconds")
      assert.deepInclude(yield* ready, { "worker sweeper": "ok" })
      yield* TestClock.adjust("10 seconds")
      const unready = yield* Effect.flip(ready)
      assert.deepInclude(unready.checks, { "worker sweeper": "no round finished within 10s" })
      yield* Ref.set(isStuck, false)
      yield* TestClock.adjust("10 seconds")
      assert.deepInclude(yield* ready, { "worker sweeper": "ok" })
    }).pipe(Effect.scoped, Effect.provide([Health.layer, quiet]))
  )
})
