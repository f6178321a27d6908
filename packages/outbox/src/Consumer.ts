/**
 * Using the events of another service, each exactly once, in their order.
 *
 * The cursor is this service's own. It is moved by compare-and-swap in the first statement of the transaction that holds what
 * is made of the events: of two replicas with the same batch one commits, and the other throws its work away. What comes
 * again after a crash finds the cursor moved, or nothing done.
 *
 * An event that cannot be used (it cannot be read, PostgreSQL will not store what is made of it, or the code fails on it) is
 * found by halving and put aside with its error. Ten of them in a row pause the consumer: a bad deployment must not empty the
 * feed. Whatever else goes wrong is tried again for ever; what takes too long, in halves.
 */
import * as Trace from "@ecommerce/telemetry/Trace"
import { PgClient } from "@effect/sql-pg"
import { Array as Arr, Cause, Clock, Effect, Option, type Redacted, Ref, Result, Schedule, Schema } from "effect"
import { HttpClient, HttpClientRequest } from "effect/http"
import type { SqlError } from "effect/sql"

import { describe, infrastructureIn } from "./ConsumerFaults.ts"
import { inTheirTraces, tellDeadLetters } from "./ConsumerTelling.ts"
import { isOneHistory } from "./Cursor.ts"
import type { Reading } from "./Event.ts"
import { CloudEvent, completeHeader, cursorHeader, toldIn } from "./FeedEndpoint.ts"
import * as FeedPlace from "./FeedPlace.ts"

/** Where the feed is served. */
export interface Source {
  readonly url: string
  readonly token: Redacted.Redacted<string>
}

export interface Definition<Delivery, Made = void> {
  /** Of this consumer among all: `edge-api.prices`. */
  readonly name: string
  /** What it wants to hear of; events of other types are passed over. */
  readonly events: Reading<Delivery>
  /** What is made of a batch, in the transaction that moves the cursor: a set, in the order of the feed. */
  readonly apply: (events: ReadonlyArray<Delivery>) => Effect.Effect<Made, SqlError.SqlError, PgClient.PgClient>
  /**
   * What is to be done at once when that is committed: whoever waits for it is woken. No more than a hint, because a process
   * may die, or lose its connection, right after the commit. The next batch waits for it; what goes wrong in it is logged.
   */
  readonly committed?: (made: Made) => Effect.Effect<void>
  /**
   * What is done in the transaction in which it begins anew, before anything else: the first time, when an operator has said so,
   * and when the feed is on another server, whose history may be one that was put back. A copy of what events tell forgets
   * all of it: changes may be missing, and versions may count from before.
   */
  readonly forget?: Effect.Effect<void, SqlError.SqlError, PgClient.PgClient>
  /** How many events are asked for at once. 500 unless told. */
  readonly limit?: number
  /** For how many seconds the producer may hold its answer back. 20 unless told. */
  readonly waitSeconds?: number
}

export interface State {
  /** In words, what keeps it from going on; nothing where all is well. */
  readonly trouble: string | undefined
  /** How many events it could not use. */
  readonly deadLetters: number
  /** A moment up to which it has used all that there was, in milliseconds of this process's clock; 0 for never. */
  readonly caughtUpAt: number
}

export interface Consumer {
  readonly name: string
  readonly state: Effect.Effect<State>
  /** Never returns. */
  readonly run: Effect.Effect<never>
}

type Events = Arr.NonEmptyReadonlyArray<CloudEvent>

/** How an attempt to use events went. `elsewhere`: the cursor was moved by another one, or the consumer is paused. */
type Outcome = "used" | "elsewhere"

export const make = Effect.fnUntraced(function* <Delivery, Made = void>(
  definition: Definition<Delivery, Made>,
  source: Source
) {
  const { apply, committed = () => Effect.void, events: reading, forget = Effect.void } = definition
  const { limit = 500, name, waitSeconds = 20 } = definition
  const sql = yield* PgClient.PgClient
  const client = yield* HttpClient.HttpClient
  const place = FeedPlace.remembered(yield* (yield* FeedPlace.Places)(name))
  const state = yield* Ref.make<State>({ trouble: undefined, deadLetters: 0, caughtUpAt: 0 })

  const inTransaction = <A, E>(work: Effect.Effect<A, E, PgClient.PgClient>) =>
    Effect.onError(sql.withTransaction(Effect.provideService(work, PgClient.PgClient, sql)), () => place.doubt)

  const fetch = Effect.fnUntraced(
    function* (cursor: string | null, wait: number) {
      const request = HttpClientRequest.get(new URL("/feed", source.url)).pipe(
        HttpClientRequest.bearerToken(source.token),
        HttpClientRequest.setUrlParams({
          consumer: name,
          types: [...reading.types].join(","),
          limit,
          wait,
          ...(cursor === null ? {} : { after: cursor })
        })
      )
      const response = yield* client.execute(request)
      if (response.status === 200) {
        const events = yield* Effect.flatMap(response.json, decodeBatch)
        const { [completeHeader]: complete, [cursorHeader]: behind } = response.headers
        return { events, isComplete: complete === "true", behind }
      }
      // Until its answer is read, a connection serves no other request.
      yield* Effect.ignore(response.arrayBuffer)
      return response.status === 410 ? undefined : yield* Effect.fail(`the feed answers with status ${response.status}`)
    },
    Effect.timeout(`${waitSeconds + 10} seconds`)
  )

  /** Of the events those that are asked for. */
  const wanted = (events: ReadonlyArray<CloudEvent>) => events.filter(({ type }) => reading.types.has(type))
  const read = (events: ReadonlyArray<CloudEvent>) =>
    Result.all(wanted(events).map((event) => reading.deliver(toldIn(event))))

  const applied = (deliveries: ReadonlyArray<Delivery>) =>
    deliveries.length > 0 ? Effect.asSome(apply(deliveries)) : Effect.succeedNone

  /** They are used by now: whatever becomes of this is not the events' fault. */
  const afterwards = (made: Option.Option<Made>) =>
    Option.match(made, { onNone: () => Effect.void, onSome: (some) => Effect.suspend(() => committed(some)) }).pipe(
      Effect.catchCause((cause) =>
        Cause.hasInterrupts(cause)
          ? Effect.failCause(cause)
          : Effect.logError(`${name} has used events, and fails at what is to be done then: ${describe(cause)}`)
      )
    )

  /** False where somebody else has moved it, or has paused the consumer. */
  const move = Effect.fnUntraced(function* (from: string | null, to: string, hasUsedSome: boolean) {
    const isOurs = yield* place.move(from, to, hasUsedSome)
    if (isOurs && !isOneHistory(from, to)) yield* forget
    return isOurs
  })

  const use = Effect.fnUntraced(function* (events: Events, from: string | null) {
    const deliveries = yield* Effect.fromResult(read(events))
    const outcome = yield* inTransaction(
      Effect.gen(function* () {
        const isOurs = yield* move(from, Arr.lastNonEmpty(events).cursor, deliveries.length > 0)
        return isOurs ? { made: yield* applied(deliveries) } : ("elsewhere" as const)
      })
    )
    if (outcome === "elsewhere") return outcome
    yield* afterwards(outcome.made)
    return "used" as const
  })

  const bury = Effect.fnUntraced(function* (event: CloudEvent, from: string | null, cause: Cause.Cause<unknown>) {
    const error = describe(cause)
    const outcome = yield* inTransaction(
      Effect.gen(function* () {
        const isOurs = yield* move(from, event.cursor, false)
        if (!isOurs) return "elsewhere" as const
        yield* place.doubt
        return (yield* place.bury(event, error)) ? ("paused" as const) : ("used" as const)
      })
    )
    if (outcome !== "elsewhere") {
      yield* Effect.logError(`${name} cannot use an event and puts it aside: ${error}`).pipe(
        Effect.annotateLogs({ event: event.id, type: event.type, subject: event.subject })
      )
    }
    if (outcome !== "paused") return outcome
    yield* Effect.logError(`${name} is paused: ${FeedPlace.mostDeadInARow} events in a row cannot be used`)
    return "elsewhere" as const
  })

  /** The halves one after the other, until what cannot be used is alone. */
  const useInHalves = (events: Events, from: string | null): Effect.Effect<Outcome, SqlError.SqlError> =>
    Effect.catchCause(inTheirTraces(name, wanted(events))(use(events, from)), (cause) => {
      const infrastructure = infrastructureIn(cause, events.length)
      if (infrastructure !== undefined) return infrastructure
      const [first] = events
      const [left, right] = Arr.splitAt(events, Math.ceil(events.length / 2))
      if (!Arr.isReadonlyArrayNonEmpty(left) || !Arr.isReadonlyArrayNonEmpty(right)) return bury(first, from, cause)
      return Effect.flatMap(useInHalves(left, from), (outcome) =>
        outcome === "used" ? useInHalves(right, Arr.lastNonEmpty(left).cursor) : Effect.succeed(outcome)
      )
    })

  const redrive = (letters: ReadonlyArray<FeedPlace.DeadLetter>): Effect.Effect<void, SqlError.SqlError> => {
    const attempt = inTransaction(
      Effect.gen(function* () {
        // Another replica may have taken some of them.
        const here = yield* place.takeOut(letters.map(({ id }) => id))
        const mine = letters.filter(({ id }) => here.has(id))
        const deliveries = yield* Effect.fromResult(read(mine.map(({ event }) => event)))
        return yield* applied(deliveries)
      })
    )
    const events = letters.map(({ event }) => event)
    return Effect.catchCause(inTheirTraces(name, events)(Effect.flatMap(attempt, afterwards)), (cause) => {
      const infrastructure = infrastructureIn(cause, letters.length)
      if (infrastructure !== undefined) return Effect.asVoid(infrastructure)
      const [first, ...others] = letters
      if (first === undefined) return Effect.void
      if (others.length === 0) {
        return Effect.andThen(
          place.leave(first.id, describe(cause)),
          Effect.logError(`${name} cannot use an event that it was given again: ${describe(cause)}`).pipe(
            Effect.annotateLogs({ event: first.event.id, type: first.event.type, subject: first.event.subject })
          )
        )
      }
      const [left, right] = Arr.splitAt(letters, Math.ceil(letters.length / 2))
      return Effect.andThen(redrive(left), redrive(right))
    })
  }

  const tell = (trouble: string | undefined) => Ref.update(state, (before) => ({ ...before, trouble }))

  const round = Effect.gen(function* () {
    const here = yield* place.look
    if (here === undefined) return yield* Effect.asVoid(place.enter)
    if (here.hasRedrives) yield* Effect.flatMap(place.redrives, redrive)
    yield* Ref.update(state, (before) => ({ ...before, deadLetters: here.deadLetters }))
    yield* tellDeadLetters(name, here.deadLetters)
    if (here.isPaused) {
      yield* tell("paused")
      return yield* Effect.sleep("1 second")
    }
    const began = yield* Clock.currentTimeMillis
    // Whoever asked for a redrive does not wait for news.
    const batch = yield* fetch(here.cursor, here.hasRedrives ? 0 : waitSeconds)
    if (batch === undefined) {
      // Another replica may have gone on meanwhile.
      if (!(yield* place.pauseAt(here.cursor))) return
      return yield* Effect.logError(
        `${name} has missed events: they were deleted before it had read them. It is paused.`
      )
    }
    const { behind, events, isComplete } = batch
    const outcome = Arr.isReadonlyArrayNonEmpty(events) ? yield* useInHalves(events, here.cursor) : "used"
    yield* tell(undefined)
    if (outcome === "elsewhere") return
    // Where several come, more are about to.
    if (events.length > 1 && events.length < limit) yield* Effect.sleep(breath)
    const end = events.at(-1)?.cursor ?? here.cursor
    // Nothing that has come was wanted here; or another history may have begun in which nothing has happened yet.
    const isPast = behind !== undefined && behind !== end && (events.length === 0 || !isOneHistory(end, behind))
    if (isPast && !(yield* inTransaction(move(end, behind, false)))) return
    if (!isComplete) return
    // What was put aside has not been used.
    if ((yield* place.look)?.deadLetters !== 0) return
    yield* Ref.update(state, (before) => ({ ...before, caughtUpAt: began }))
  })

  const run = Trace.untold(round).pipe(
    Effect.sandbox,
    Effect.tapError((cause) =>
      Effect.andThen(
        tell("does not get on"),
        Effect.logWarning(`${name} does not get on and tries again: ${describe(cause)}`)
      )
    ),
    Effect.retry(backoff),
    // For the types: nobody retries that long.
    Effect.ignore,
    Effect.forever
  )

  return { name, state: Ref.get(state), run } satisfies Consumer
})

/** So long it is waited for more, before they are asked for. */
const breath = "10 millis"

/** What the client of a service has for those who want to hear of it: `consume({ name, events, apply })`. */
export const of = (source: Source) =>
  Effect.map(
    HttpClient.HttpClient,
    (client) =>
      <Delivery, Made = void>(definition: Definition<Delivery, Made>) =>
        Effect.provideService(make(definition, source), HttpClient.HttpClient, client)
  )

const backoff = Schedule.jittered(Schedule.min([Schedule.exponential("100 millis"), Schedule.spaced("5 seconds")]))

const decodeBatch = Schema.decodeUnknownEffect(Schema.toCodecJson(Schema.Array(CloudEvent)))
