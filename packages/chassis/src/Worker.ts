/**
 * Work that a service does by itself, again and again, for as long as the process lives.
 *
 * A round may fail or die in any way: the loop logs it, waits a little longer each time, and goes on. A worker that
 * has finished no round for too long makes its service unready, because "up" would be a lie.
 */
import * as Trace from "@ecommerce/telemetry/Trace"
import { Clock, Duration, Effect, Exit, Fiber, Layer, Ref, Schedule } from "effect"

import { Health } from "./Health.ts"

export interface Options {
  /** The pause after a round that went well. */
  readonly every: Duration.Input
  /** Without a finished round for this long the service is not ready. Three pauses, and 30 seconds at the least, unless told. */
  readonly stalledAfter?: Duration.Input
  /** A round that takes longer is ended and counts as failed. One minute unless told. */
  readonly roundTimeout?: Duration.Input
}

export const layer = <E, R>(name: string, round: Effect.Effect<void, E, R>, options: Options) =>
  Layer.effectDiscard(
    Effect.gen(function* () {
      const health = yield* Health
      const pause = Duration.fromInputUnsafe(options.every)
      const stalledAfter = Duration.fromInputUnsafe(
        options.stalledAfter ?? Duration.max(Duration.times(pause, 3), Duration.seconds(30))
      )
      const roundTimeout = Duration.fromInputUnsafe(options.roundTimeout ?? "1 minute")
      const lastRound = yield* Ref.make(yield* Clock.currentTimeMillis)

      yield* health.register({
        name: `worker ${name}`,
        run: Effect.gen(function* () {
          const age = (yield* Clock.currentTimeMillis) - (yield* Ref.get(lastRound))
          if (age > Duration.toMillis(stalledAfter)) {
            return yield* Effect.fail(`no round finished within ${Duration.format(stalledAfter)}`)
          }
        })
      })

      // A fiber of its own for each round: whatever ends it, even an interruption from within, the loop goes on.
      const finishRound = Effect.gen(function* () {
        const exit = yield* Effect.flatMap(
          Effect.forkChild(Effect.timeout(Trace.untold(round), roundTimeout)),
          Fiber.await
        )
        if (Exit.isFailure(exit)) return yield* Effect.fail(exit.cause)
        yield* Ref.set(lastRound, yield* Clock.currentTimeMillis)
      })

      yield* finishRound.pipe(
        Effect.tapError((cause) => Effect.logWarning(`The worker ${name} failed and goes on`, cause)),
        Effect.retry(backoff),
        Effect.andThen(Effect.sleep(pause)),
        Effect.forever,
        Effect.forkScoped
      )
    })
  )

const backoff = Schedule.min([Schedule.exponential("100 millis"), Schedule.spaced("5 seconds")]).pipe(Schedule.jittered)
