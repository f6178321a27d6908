import * as Batcher from "@ecommerce/sets/Batcher"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Latch } from "effect"
import { TestClock } from "effect/testing"

/** Batches of one that end when the gate is opened, answered with what was asked. */
const behindAGate = Effect.fn("behindAGate")(function* (bounds: {
  readonly mostWaiting?: number
  readonly patience?: "5 seconds"
}) {
  const gate = yield* Latch.make()
  const ask = yield* Batcher.make<string, { readonly said: string }>({
    name: "test",
    workers: 1,
    linger: "2 millis",
    mostItems: 1,
    mostBytes: 1000,
    bytesOf: (item) => item.length,
    run: (items) =>
      Effect.as(
        gate.await,
        items.map((said) => ({ said }))
      ),
    lost: (_item, why) => ({ said: why }),
    ...bounds
  })
  const call = (item: string) =>
    Effect.forkChild(
      Effect.map(ask(item), ({ said }) => said),
      { startImmediately: true }
    )
  return { gate, call }
})

describe("a caller that waits for its batch", () => {
  it.effect("is told so when it has waited too long, and those who came later are not", () =>
    Effect.gen(function* () {
      const { call, gate } = yield* behindAGate({ patience: "5 seconds" })
      const sent = yield* call("sent")
      yield* TestClock.adjust("1 millis")
      const early = yield* call("early")
      yield* TestClock.adjust("6 seconds")
      const late = yield* call("late")
      yield* gate.open
      assert.deepStrictEqual(yield* Effect.forEach([sent, early, late], Fiber.join), [
        "sent",
        "waited too long",
        "late"
      ])
    })
  )

  it.effect("is turned away at once when too many wait already, and those who wait are served", () =>
    Effect.gen(function* () {
      const { call, gate } = yield* behindAGate({ mostWaiting: 2 })
      const sent = yield* call("sent")
      yield* TestClock.adjust("1 millis")
      const waiting = yield* Effect.forEach(["a", "b"], call)
      assert.strictEqual(yield* Fiber.join(yield* call("c")), "crowded")
      yield* gate.open
      assert.deepStrictEqual(yield* Effect.forEach([sent, ...waiting], Fiber.join), ["sent", "a", "b"])
    })
  )
})
