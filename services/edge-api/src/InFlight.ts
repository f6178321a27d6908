/**
 * Requests with one key that come to this process at the same time: the first does the work, the others have its answer.
 * They wait here, where it costs nothing, and not at the database.
 */
import type { Gate } from "@ecommerce/chassis/Gate"
import { RequestInProgress } from "@ecommerce/protocol/Idempotency"
import { Clock, Deferred, Effect, Exit } from "effect"

interface Running<A, E> {
  readonly digest: string
  readonly done: Deferred.Deferred<A, E>
}

export interface Options<A> {
  /** Where the first one is waited for: a place among the requests is not needed for that. */
  readonly aside: Gate["Service"]["aside"]
  /** The first one's answer, as it is given to another one. */
  readonly replay: (answer: A) => A
}

export interface Request<A, E> {
  readonly key: string
  readonly digest: string
  /** The moment up to which it waits for the first one with its key. */
  readonly until: number
  readonly work: Effect.Effect<A, E>
}

export const make = <A, E>({ aside, replay }: Options<A>) => {
  const running = new Map<string, Running<A, E>>()

  const run = ({ digest, key, work }: Request<A, E>) =>
    Effect.uninterruptibleMask((restore) => {
      const done = Deferred.makeUnsafe<A, E>()
      running.set(key, { digest, done })
      return Effect.onExit(restore(work), (exit) =>
        Effect.sync(() => {
          running.delete(key)
          Deferred.doneUnsafe(done, exit)
        })
      )
    })

  /** Once for all who ask with this key and digest while it runs. Another digest waits, and is then judged like a late one. */
  const once = (request: Request<A, E>): Effect.Effect<A, E | RequestInProgress> =>
    Effect.flatMap(Clock.currentTimeMillis, (now) => {
      const first = running.get(request.key)
      if (first === undefined) return run(request)
      const answer = Effect.timeoutOrElse(aside(Effect.exit(Deferred.await(first.done))), {
        duration: Math.max(0, request.until - now),
        orElse: () => Effect.fail(new RequestInProgress())
      })
      return Effect.flatMap(answer, (exit) =>
        // Whoever came first may have gone before its work had begun.
        first.digest === request.digest && !Exit.hasInterrupts(exit) ? Effect.map(exit, replay) : once(request)
      )
    })

  return once
}
