/**
 * Tells whoever follows an order that it has changed.
 *
 * What this process changes it tells at once. What others change is looked for now and then, for all orders that are
 * followed together, so that a thousand who wait cost one statement.
 */
import * as Worker from "@ecommerce/chassis/Worker"
import type { OrderId } from "@ecommerce/contracts/Ids"
import { Context, Effect, Layer } from "effect"

import { type At, Ledger } from "./Ledger.ts"

export class Watch extends Context.Service<
  Watch,
  {
    /** Returns when the order is past this version. */
    readonly past: (at: At) => Effect.Effect<void>
    readonly tell: (at: At) => void
    readonly followed: Effect.Effect<ReadonlyArray<OrderId>>
  }
>()("@ecommerce/edge-api/Watch") {
  static readonly layer = Layer.sync(Watch, () => {
    const waiting = new Map<OrderId, Set<Follower>>()

    const leave = (orderId: OrderId, follower: Follower) => {
      const others = waiting.get(orderId)
      others?.delete(follower)
      if (others?.size === 0) waiting.delete(orderId)
    }

    const past = ({ orderId, version }: At) =>
      Effect.callback<void>((resume) => {
        const follower = { version, resume: () => resume(Effect.void) }
        waiting.set(orderId, (waiting.get(orderId) ?? new Set()).add(follower))
        return Effect.sync(() => leave(orderId, follower))
      })

    const tell = ({ orderId, version }: At) => {
      const followers = [...(waiting.get(orderId) ?? [])].filter((follower) => follower.version < version)
      for (const follower of followers) {
        leave(orderId, follower)
        follower.resume()
      }
    }

    return Watch.of({ past, tell, followed: Effect.sync(() => [...waiting.keys()]) })
  })

  /** Looks for what others have changed, for as long as the service runs. */
  static readonly layerLookout = Layer.unwrap(
    Effect.gen(function* () {
      const watch = yield* Watch
      const ledger = yield* Ledger
      const look = Effect.gen(function* () {
        const followed = yield* watch.followed
        if (followed.length === 0) return
        for (const at of yield* ledger.versions(followed)) watch.tell(at)
      })
      return Worker.layer("watch", look, { every: "200 millis" })
    })
  )
}

interface Follower {
  readonly version: number
  readonly resume: () => void
}
