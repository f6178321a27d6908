/**
 * Where things are in the checkout.
 */
import { Effect, Path } from "effect"

export const root = Effect.gen(function* () {
  const path = yield* Path.Path
  return path.resolve(path.dirname(yield* path.fromFileUrl(new URL(import.meta.url))), "../../..")
}).pipe(Effect.orDie)
