/**
 * Puts calls that come at the same time together, so that callers write code for one.
 *
 * A few workers (two) each take what is waiting, run it as one batch, hand out the answers, and look again. A call that
 * finds a worker idle leaves at once; calls that come while all are busy wait for the first to return, and go together.
 * Right after a batch of several, whose callers are about to call again, a worker waits for a moment (2 ms) before it
 * takes: idle, nothing is waited for; under load, batches grow by themselves.
 *
 * `RequestResolver` of Effect collects too, and was left: its batches belong to nobody's scope, and its delay is cut off
 * when a batch is full, so that a permit held there can be lost.
 */
import * as Trace from "@ecommerce/telemetry/Trace"
import { Array as Arr, Clock, Duration, Effect, Exit, Latch, Metric, type Tracer } from "effect"

export interface Options<Item, Answer> {
  /** Of what is done in batches: `reserve-stock`. */
  readonly name: string
  /** How many batches are under way at the same time. */
  readonly workers: number
  /** How long to wait for more, right after a batch of several. */
  readonly linger: Duration.Input
  readonly mostItems: number
  readonly mostBytes: number
  readonly bytesOf: (item: Item) => number
  /** One answer an item, in their order. */
  readonly run: (items: Arr.NonEmptyReadonlyArray<Item>) => Effect.Effect<ReadonlyArray<Answer>>
  /** How many callers may wait for their batch to begin, and for how long; without a bound unless told. */
  readonly mostWaiting?: number
  readonly patience?: Duration.Input
  /** For an item that has no answer, and why. */
  readonly lost: (item: Item, why: Loss) => Answer
}

/** `died`: its batch ended without an answer to it. The others have not been sent. */
export type Loss = "closed" | "crowded" | "waited too long" | "died"

interface Entry<Item, Answer> {
  readonly item: Item
  readonly since: number
  /** On whose behalf. */
  readonly span: Tracer.AnySpan | undefined
  readonly answer: (answer: Answer) => void
  /** Its caller has gone: what is not sent yet is dropped, and nobody hears the answer to what was. */
  left: boolean
}

/** Answers a function that takes one item into the next batch. Workers end with the scope, and so do their batches. */
export const make = Effect.fnUntraced(function* <Item, Answer extends object>(options: Options<Item, Answer>) {
  const size = Metric.withAttributes(batchSize, { batch: options.name })
  const linger = Duration.fromInputUnsafe(options.linger)
  const patience = Duration.toMillis(Duration.fromInputUnsafe(options.patience ?? Duration.infinity))
  const mostWaiting = options.mostWaiting ?? Number.POSITIVE_INFINITY
  const someoneWaits = Latch.makeUnsafe(false)
  let waiting: Array<Entry<Item, Answer>> = []
  let lastOfSeveral = Number.NEGATIVE_INFINITY
  let isClosed = false

  /** The oldest that fit into one batch; one always fits. */
  const take = (now: number) => {
    const here = Map.groupBy(
      waiting.filter(({ left }) => !left),
      ({ since }) => now - since <= patience
    )
    const present = here.get(true) ?? []
    hand(here.get(false) ?? [], [], "waited too long")
    let bytes = 0
    const end = present.findIndex(({ item }, place) => {
      bytes += options.bytesOf(item)
      return place === options.mostItems || (place > 0 && bytes > options.mostBytes)
    })
    const size = end === -1 ? present.length : end
    waiting = present.slice(size)
    if (waiting.length === 0) someoneWaits.closeUnsafe()
    return present.slice(0, size)
  }

  const hand = (entries: ReadonlyArray<Entry<Item, Answer>>, answers: ReadonlyArray<Answer>, why: Loss) => {
    for (const [place, { answer, item }] of entries.entries()) answer(answers[place] ?? options.lost(item, why))
  }

  const send = (batch: Arr.NonEmptyReadonlyArray<Entry<Item, Answer>>) =>
    Effect.andThen(
      Metric.update(size, batch.length),
      Effect.suspend(() => options.run(Arr.map(batch, ({ item }) => item)))
    ).pipe(
      Trace.together(
        `${options.name} batch`,
        batch.map(({ span }) => span)
      ),
      Effect.onExit((exit) =>
        Effect.map(Clock.currentTimeMillis, (now) => {
          if (batch.length > 1) lastOfSeveral = now
          hand(batch, Exit.isSuccess(exit) ? exit.value : [], Exit.hasInterrupts(exit) ? "closed" : "died")
        })
      ),
      Effect.exit
    )

  const work = Effect.gen(function* () {
    yield* someoneWaits.await
    const sinceSeveral = (yield* Clock.currentTimeMillis) - lastOfSeveral
    const mayGrow = sinceSeveral >= 0 && sinceSeveral <= Duration.toMillis(linger) * afterglow
    // Without a timer: only what is called in the same turn goes together.
    yield* mayGrow ? Effect.sleep(linger) : Effect.yieldNow
    const batch = take(yield* Clock.currentTimeMillis)
    if (Arr.isReadonlyArrayNonEmpty(batch)) yield* send(batch)
  })

  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      isClosed = true
      hand(waiting, [], "closed")
    })
  )
  yield* Effect.forEach(Arr.range(1, options.workers), () => Effect.forkScoped(Effect.forever(work)), { discard: true })

  const join = (item: Item, since: number) =>
    Effect.flatMap(Trace.here, (span) =>
      Effect.callback<Answer>((resume) => {
        const entry = { item, since, span, answer: (answer: Answer) => resume(Effect.succeed(answer)), left: false }
        waiting.push(entry)
        someoneWaits.openUnsafe()
        return Effect.sync(() => {
          entry.left = true
        })
      })
    )

  return (item: Item): Effect.Effect<Answer> =>
    Effect.flatMap(Clock.currentTimeMillis, (now) => {
      if (isClosed) return Effect.succeed(options.lost(item, "closed"))
      return waiting.length >= mostWaiting ? Effect.succeed(options.lost(item, "crowded")) : join(item, now)
    })
})

const batchSize = Metric.histogram("batch_size", {
  description: "How many calls went together into one batch, by what is batched.",
  boundaries: [1, 2, 4, 8, 16, 32, 64, 128, 256, 512]
})

/** Callers that were answered together call again within a few lingers, or not together. */
const afterglow = 5
