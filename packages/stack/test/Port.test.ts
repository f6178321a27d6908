import { createServer } from "node:net"

import { claimPort } from "@ecommerce/stack/Port"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"

const host = "127.0.0.1"

describe("a port", () => {
  it.effect("that is any free one is none that somebody is given by chance, and may be had", () =>
    Effect.gen(function* () {
      const ports = yield* Effect.forEach(Array.from({ length: 50 }), () => claimPort(0, host))
      assert.isAbove(new Set(ports).size, 40)
      // Linux gives those above to whoever connects, macOS those from 49,152.
      for (const port of ports) assert.isBelow(port, 32_768)
      const [port = 0] = ports
      assert.strictEqual(yield* claimPort(port, host), port)
    })
  )

  it.effect("that somebody listens on is refused", () =>
    Effect.gen(function* () {
      const port = yield* claimPort(0, host)
      yield* Effect.acquireRelease(
        Effect.callback<ReturnType<typeof createServer>>((resume) => {
          const server = createServer()
          server.listen(port, host, () => resume(Effect.succeed(server)))
        }),
        (server) => Effect.sync(() => server.close())
      )
      const refused = yield* Effect.flip(claimPort(port, host))
      assert.isTrue(refused.isTaken)
    })
  )
})
