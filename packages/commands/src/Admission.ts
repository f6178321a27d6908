/**
 * How many batches of commands a service takes on at once. More are turned away before they are read: a queue without a
 * bound helps nobody, and least of all those who wait in it.
 */
import { Overloaded } from "@ecommerce/protocol/GeneralProblems"
import { Effect, Layer, Option, Semaphore } from "effect"
import { HttpApiMiddleware } from "effect/http-api"

/** Stands between the token and the batch: a stranger takes no place, and a batch that has none is not decoded. */
export class Admission extends HttpApiMiddleware.Service<Admission>()("@ecommerce/commands/Admission", {
  error: Overloaded
}) {
  static readonly layer = (mostBatches: number) =>
    Layer.effect(
      Admission,
      Effect.map(Semaphore.make(mostBatches), (places) =>
        Admission.of((batch) =>
          Effect.flatMap(
            places.withPermitsIfAvailable(1)(batch),
            Option.match({ onNone: () => Effect.fail(new Overloaded()), onSome: Effect.succeed })
          )
        )
      )
    )
}
