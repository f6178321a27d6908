/**
 * Word of what was committed, so that readers need not look again and again.
 *
 * Whoever commits events says so here, with the transaction's id; readers in this process are woken at once. Other processes
 * hear of it by a NOTIFY with the highest id, sent afterwards and by itself: a transaction that notifies takes a lock on the
 * whole database when it commits. A word may be lost; readers look from time to time anyhow.
 */
import { PgClient } from "@effect/sql-pg"
import { Context, Effect, Latch, Layer, Queue, Schedule } from "effect"

export interface Word {
  /** Counts the words that were said. */
  readonly number: number
  /** The transaction that was spoken of; 0 for none in particular. */
  readonly xid: bigint
}

export class Announcements extends Context.Service<
  Announcements,
  {
    /** A transaction with events was committed in this process. */
    readonly committed: (xid: bigint) => void
    /** … or in another one. */
    readonly heard: (xid: bigint) => void
    /** What was said last. */
    readonly last: Effect.Effect<Word>
    /** The next word after this one. */
    readonly after: (word: Word) => Effect.Effect<Word>
    /** The newest transaction of this process that has not been passed on; returns when there is one. */
    readonly takeOwn: Effect.Effect<bigint>
    /** Wakes everybody: something may have been missed. */
    readonly rouse: Effect.Effect<void>
  }
>()("@ecommerce/outbox/Announcements") {
  static readonly layer = Layer.sync(Announcements, () => {
    let last: Word = { number: 0, xid: 0n }
    let own = 0n
    const hasOwn = Latch.makeUnsafe(false)
    const readers = new Set<() => void>()

    // Not the highest of all: ids begin anew where the database is another one.
    const heard = (xid: bigint) => {
      last = { number: last.number + 1, xid }
      const waiting = [...readers]
      readers.clear()
      for (const wake of waiting) wake()
    }
    const committed = (xid: bigint) => {
      if (xid > own) own = xid
      hasOwn.openUnsafe()
      heard(xid)
    }
    const after = ({ number }: Word) =>
      Effect.callback<Word>((resume) => {
        const wake = () => resume(Effect.sync(() => last))
        if (last.number > number) return wake()
        readers.add(wake)
        return Effect.sync(() => void readers.delete(wake))
      })
    const takeOwn = Effect.andThen(
      hasOwn.await,
      Effect.sync(() => {
        const xid = own
        own = 0n
        hasOwn.closeUnsafe()
        return xid
      })
    )
    return Announcements.of({
      committed,
      heard,
      last: Effect.sync(() => last),
      after,
      takeOwn,
      rouse: Effect.sync(() => heard(0n))
    })
  })

  /**
   * Passes word on to the other processes of the service, and hears theirs, for as long as the scope is open. Does this each
   * time that the database is there again: it may be another one.
   */
  static readonly layerAcrossProcesses = <E>(onConnected: Effect.Effect<void, E>) =>
    Layer.effectDiscard(
      Effect.gen(function* () {
        const sql = yield* PgClient.PgClient
        const announcements = yield* Announcements

        const tell = Effect.gen(function* () {
          const xid = yield* announcements.takeOwn
          yield* sql`SELECT pg_notify('outbox_' || current_schema(), ${String(xid)})`
          // What is committed meanwhile goes with the next word.
          yield* Effect.sleep("10 millis")
        })

        const listen = Effect.scoped(
          Effect.gen(function* () {
            const [row] = yield* sql<{ channel: string }>`SELECT 'outbox_' || current_schema() AS channel`
            const words = yield* sql.listen(row?.channel ?? "outbox")
            yield* onConnected
            // Whatever was said while nobody listened was missed.
            yield* announcements.rouse
            yield* Effect.forever(
              Effect.map(Queue.take(words), ({ payload }) => {
                if (/^[0-9]{1,20}$/u.test(payload)) announcements.heard(BigInt.asUintN(64, BigInt(payload)))
              })
            )
          })
        )

        const again = Schedule.jittered(Schedule.spaced("500 millis"))
        yield* Effect.forkScoped(Effect.forever(Effect.retry(Effect.sandbox(tell), again)))
        yield* Effect.forkScoped(Effect.forever(Effect.retry(Effect.sandbox(listen), again)))
      })
    )
}
