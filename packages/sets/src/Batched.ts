/**
 * Calls for one, run as sets: those that come at the same time share a transaction, and one alone waits for nothing.
 */
import { Effect, Result } from "effect"
import type { SqlError } from "effect/sql"

import * as Batcher from "./Batcher.ts"

/** A failing batch fails for all of its callers; there is no better answer for any of them. */
export const make = Effect.fnUntraced(function* <Item, Answer>(
  name: string,
  run: (items: ReadonlyArray<Item>) => Effect.Effect<ReadonlyArray<Answer>, SqlError.SqlError>
) {
  const ask = yield* Batcher.make<Item, Result.Result<Answer, SqlError.SqlError | Batcher.Loss>>({
    name,
    workers: 2,
    linger: "2 millis",
    mostItems: 256,
    mostBytes: Number.POSITIVE_INFINITY,
    bytesOf: () => 0,
    run: (items) =>
      Effect.match(run(items), {
        onSuccess: (answers) => answers.map(Result.succeed),
        onFailure: (error) => items.map(() => Result.fail(error))
      }),
    lost: (_item, why) => Result.fail(why)
  })
  return (item: Item): Effect.Effect<Answer, SqlError.SqlError> =>
    Effect.flatMap(ask(item), (answer) =>
      Effect.catchIf(
        Effect.fromResult(answer),
        (error) => typeof error === "string",
        (why) => Effect.die(new Error(`A batch was lost: ${why}`))
      )
    )
})
