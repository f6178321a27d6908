/**
 * Word of what was committed, so that readers need not look again and again.
 *
 * Whoever commits events says so here, with the transaction's id; readers in this process are woken at once. Other processes
 * hear of it by a NOTIFY with the highest id, sent afterwards and by itself: a transaction that notifies takes a lock on the
 * whole database when it commits. Where there is no other process no commit is told of: whoever comes says so, and is answered.
 * A word may be lost; readers look from time to time anyhow.
 */
import { randomUUID } from "node:crypto"

import { PgClient } from "@effect/sql-pg"
import { Clock, Context, Duration, Effect, Latch, Layer, Queue, Schedule } from "effect"

/** Counts the words that were said. */
export type Word = number

const haveCommon = (some: ReadonlySet<string>, others: ReadonlySet<string>) => [...some].some((one) => others.has(one))

interface Reader {
  readonly types: ReadonlySet<string> | undefined
  readonly wake: () => void
}

export class Announcements extends Context.Service<
  Announcements,
  {
    /** A transaction with events of these types was committed in this process. */
    readonly committed: (xid: bigint, types: ReadonlySet<string>) => void
    /** … or in another one; or something may have been missed. */
    readonly heard: Effect.Effect<void>
    /** What was said last. */
    readonly last: Effect.Effect<Word>
    /** Returns when one is said after this that may concern whoever reads these types; any, where none are named. */
    readonly after: (word: Word, types: ReadonlySet<string> | undefined) => Effect.Effect<void>
    /** The newest transaction of this process that has not been passed on; returns when there is one. */
    readonly takeOwn: Effect.Effect<bigint>
  }
>()("@ecommerce/outbox/Announcements") {
  static readonly layer = Layer.sync(Announcements, () => {
    let last: Word = 0
    /** Of each type of event, and of words that may concern all of them. */
    const lastOf = new Map<string, Word>()
    let lastOfAll: Word = 0
    let own = 0n
    const hasOwn = Latch.makeUnsafe(false)
    const readers = new Set<Reader>()

    /** Those whom events of these types concern, or all. */
    const wake = (types?: ReadonlySet<string>) => {
      last += 1
      if (types === undefined) lastOfAll = last
      else for (const type of types) lastOf.set(type, last)
      for (const reader of readers) {
        if (types !== undefined && reader.types !== undefined && !haveCommon(types, reader.types)) continue
        readers.delete(reader)
        reader.wake()
      }
    }
    const committed = (xid: bigint, types: ReadonlySet<string>) => {
      if (xid > own) own = xid
      hasOwn.openUnsafe()
      wake(types)
    }
    const after = (word: Word, types: ReadonlySet<string> | undefined) =>
      Effect.callback<void>((resume) => {
        const reader = { types, wake: () => resume(Effect.void) }
        const said =
          types === undefined ? last : Math.max(lastOfAll, ...Array.from(types, (type) => lastOf.get(type) ?? 0))
        if (said > word) return reader.wake()
        readers.add(reader)
        return Effect.sync(() => void readers.delete(reader))
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
      heard: Effect.sync(() => wake()),
      last: Effect.sync(() => last),
      after,
      takeOwn
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
        const self = randomUUID()
        const remembered = Duration.toMillis(yield* Remembered)
        let othersUntil = 0n

        const say = (what: string) => sql`SELECT pg_notify('outbox_' || current_schema(), ${`${self} ${what}`})`
        const hasOthers = Effect.map(Clock.monotonicTimeNanos, (now) => now < othersUntil)

        const tell = Effect.gen(function* () {
          const xid = yield* announcements.takeOwn
          if (!(yield* hasOthers)) return
          yield* say(String(xid))
          // What is committed meanwhile goes with the next word.
          yield* Effect.sleep("20 millis")
        })

        const hear = Effect.fnUntraced(function* (words: string) {
          // What this process has said itself, its readers know.
          if (words.startsWith(self)) return
          othersUntil = (yield* Clock.monotonicTimeNanos) + BigInt(Math.ceil(remembered)) * 1_000_000n
          yield* announcements.heard
          if (words.endsWith(hello)) yield* say(here)
        })

        const stay = Effect.gen(function* () {
          yield* Effect.sleep(remembered / 3)
          // Who has heard of nobody asks again: both may have been away at the same time.
          yield* say((yield* hasOthers) ? here : hello)
        })

        const listen = Effect.scoped(
          Effect.gen(function* () {
            const [row] = yield* sql<{ channel: string }>`SELECT 'outbox_' || current_schema() AS channel`
            const words = yield* sql.listen(row?.channel ?? "outbox")
            yield* onConnected
            // Whatever was said while nobody listened was missed.
            yield* announcements.heard
            yield* say(hello)
            yield* Effect.forever(Effect.flatMap(Queue.take(words), ({ payload }) => hear(payload)))
          })
        )

        const again = Schedule.jittered(Schedule.spaced("500 millis"))
        yield* Effect.forkScoped(Effect.forever(Effect.retry(Effect.sandbox(tell), again)))
        yield* Effect.forkScoped(Effect.forever(Effect.retry(Effect.sandbox(listen), again)))
        yield* Effect.forkScoped(Effect.forever(Effect.retry(Effect.sandbox(stay), again)))
      })
    )
}

const hello = "comes"
const here = "is here"

/** For so long a process that has said nothing counts as there. */
export const Remembered = Context.Reference<Duration.Duration>("@ecommerce/outbox/Remembered", {
  defaultValue: () => Duration.minutes(1)
})
