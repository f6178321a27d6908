/**
 * Tells what is meant to last (streams, long waits) that the service is about to stop, so that it ends by itself and does
 * not use up the time in which the rest is finished.
 */
import { Context, Effect, Latch, Layer } from "effect"

export class Stopping extends Context.Service<
  Stopping,
  {
    readonly begin: Effect.Effect<void>
    /** Returns when stopping has begun. */
    readonly begun: Effect.Effect<void>
  }
>()("@ecommerce/chassis/Stopping") {
  static readonly layer = Layer.effect(
    Stopping,
    Effect.map(Latch.make(false), (latch) =>
      Stopping.of({ begin: Effect.asVoid(latch.open), begun: Effect.asVoid(latch.await) })
    )
  )

  /** Put around the server, so that it is heard before the server waits for what it has begun. */
  static readonly layerSignal = Layer.effectDiscard(
    Effect.flatMap(Stopping, ({ begin }) => Effect.addFinalizer(() => begin))
  )
}
