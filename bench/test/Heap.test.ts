import { claimPort } from "@ecommerce/stack/Port"
import { NodeHttpClient, NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schedule } from "effect"
import { ChildProcess } from "effect/process"
import { Socket } from "effect/socket"

import * as Heap from "../src/Heap.ts"

/** Keeps 45 MiB in its heap and 48 beside it, and throws as much away as it can, a fifth of that at a time. */
const program = `
  globalThis.kept = [Array.from({ length: 1_000_000 }, (_, number) => ({ number })), Buffer.alloc(50_000_000, 1)]
  setInterval(() => Array.from({ length: 500_000 }, (_, number) => ({ number })), 20)
`

describe("what a process holds", () => {
  it.live("It is told without garbage, and with the buffers beside the heap.", () =>
    Effect.gen(function* () {
      const port = yield* claimPort(0, "127.0.0.1")
      yield* ChildProcess.make(process.execPath, [...Heap.inspectedAt(port), "--eval", program])
      const held = Heap.heldAt(port)
      const often = Schedule.spaced("100 millis")
      yield* held.pipe(
        Effect.retry({ schedule: often, times: 300 }),
        Effect.repeat({ schedule: often, times: 300, until: (mebibytes) => mebibytes > 80 })
      )
      // What is thrown away between the collection and the answer is told too.
      const told = yield* Effect.replicateEffect(held, 5)
      assert.isAbove(Math.min(...told), 85)
      assert.isBelow(Math.min(...told), 115)
    }).pipe(
      Effect.scoped,
      Effect.provide([NodeServices.layer, NodeHttpClient.layerUndici, Socket.layerWebSocketConstructorGlobal])
    )
  )

  it.live("Who cannot be asked is named.", () =>
    Effect.gen(function* () {
      const port = yield* claimPort(0, "127.0.0.1")
      const { message } = yield* Effect.flip(Heap.heldAt(port))
      assert.include(message, `at port ${port}: `)
    }).pipe(Effect.provide([NodeHttpClient.layerUndici, Socket.layerWebSocketConstructorGlobal]))
  )
})
