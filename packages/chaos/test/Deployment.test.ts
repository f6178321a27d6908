import { freePorts } from "@ecommerce/chaos/Deployment"
import { claimPort } from "@ecommerce/stack/Port"
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"

it.effect("a member's port is one that nobody is given by chance while it is dead", () =>
  Effect.gen(function* () {
    const ports = yield* freePorts(9)
    assert.strictEqual(new Set(ports).size, 9)
    // Linux gives those above to whoever connects, macOS those from 49,152.
    for (const port of ports) assert.isBelow(port, 32_768)
    for (const port of ports) assert.strictEqual(yield* claimPort(port, "127.0.0.1"), port)
  })
)
