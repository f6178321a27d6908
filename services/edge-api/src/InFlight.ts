/**
 * Requests with one key that come to this process at the same time: the first does the work, the others have its answer.
 * They wait here, where it costs nothing, and not at the database.
 */
import type { Gate } from "@ecommerce/chassis/Gate"
import { RequestInProgress } from "@ecommerce/protocol/Idempotency"
import { Deferred, type Duration, Effect, Exit } from "effect"

interface Running<A, E> {
  readonly digest: string
  readonly done: Deferred.Deferred<A, E>
}

export interface Options<A> {
  /** How long the first one is waited for, and where: a place among the requests is not needed for that. */
  readonly patience: Duration.Duration
  readonly aside: Gate["Service"]["aside"]
  /** The first one's answer, as it is given to another one. */
  readonly replay: (answer: A) => A
}

export const make = <A, E>({ aside, patience, replay }: Options<A>) => {
  const running = new Map<string, Running<A, E>>()

  const work = (key: string, digest: string, effect: Effect.Effect<A, E>) => {
    const done = Deferred.makeUnsafe<A, E>()
    running.set(key, { digest, done })
    const finish = (exit: Exit.Exit<A, E>) =>
      Effect.sync(() => {
        running.delete(key)
        Deferred.doneUnsafe(done, exit)
      })
    return Effect.onExit(effect, finish)
  }

  /** Once for all who ask with this key and digest while it runs. Another digest waits, and is then judged like a late one. */
  const once = (key: string, digest: string, effect: Effect.Effect<A, E>): Effect.Effect<A, E | RequestInProgress> =>
    Effect.suspend(() => {
      const first = running.get(key)
      if (first === undefined) return work(key, digest, effect)
      const answer = Effect.timeoutOrElse(aside(Effect.exit(Deferred.await(first.done))), {
        duration: patience,
        orElse: () => Effect.fail(new RequestInProgress())
      })
      return Effect.flatMap(answer, (exit) =>
        // Whoever came first may have gone before its work had begun.
        first.digest === digest && !Exit.hasInterrupts(exit) ? Effect.map(exit, replay) : once(key, digest, effect)
      )
    })

  return once
}
