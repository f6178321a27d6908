/**
 * Following an order to its end: as a stream of its states, or by waiting for it.
 *
 * A stream is pulled by its reader: what the reader does not take is neither read from the database nor kept. How many
 * follow at the same time has a bound, and all of them let go when the service is about to stop.
 */
import { Gate } from "@ecommerce/chassis/Gate"
import { idleTimeout } from "@ecommerce/chassis/Http"
import * as Settings from "@ecommerce/chassis/Settings"
import { Stopping } from "@ecommerce/chassis/Stopping"
import {
  isFinal,
  isTerminal,
  type LedgerOrder,
  type LedgerOrderNotFound,
  type LedgerStatus,
  type OrderEvent,
  type OrderState,
  TooManyWatchers
} from "@ecommerce/contracts/Edge/Ledger"
import type { OrderId } from "@ecommerce/contracts/Ids"
import { one } from "@ecommerce/sets/Sets"
import { Array as Arr, Cause, Context, DateTime, Duration, Effect, Layer, Option, Ref, Stream } from "effect"

import { type At, Ledger } from "./Ledger.ts"
import { Watch } from "./Watch.ts"

export class Following extends Context.Service<
  Following,
  {
    /**
     * The states after this version, and those that come, until the order's end; heartbeats between them. None where that
     * end has been seen: browsers come back for ever to a stream that only ends.
     */
    readonly follow: (
      after: At
    ) => Effect.Effect<Stream.Stream<OrderEvent> | undefined, LedgerOrderNotFound | TooManyWatchers>
    /** The order once it has come to its end, unless that takes longer. */
    readonly untilEnd: (
      orderId: OrderId,
      patience: Duration.Duration
    ) => Effect.Effect<Option.Option<LedgerOrder>, TooManyWatchers>
  }
>()("@ecommerce/edge-api/Following") {
  static readonly layer = Layer.effect(
    Following,
    Effect.gen(function* () {
      const ledger = yield* Ledger
      const watch = yield* Watch
      const stopping = yield* Stopping
      const gate = yield* Gate
      const following = yield* Ref.make(0)
      const most = yield* followersAtOnce.read
      const beat = yield* heartbeatEvery.read
      const life = yield* streamLasts.read
      if (Duration.isGreaterThanOrEqualTo(beat, yield* idleTimeout.read)) {
        yield* Effect.logWarning(
          `${idleTimeout.key} should be longer than ${heartbeatEvery.key}: quiet streams are cut`
        )
      }

      const isCrowded = Effect.map(Ref.get(following), (count) => count >= most)
      /** Out of the places for requests, into those for followers. */
      const enter = Effect.andThen(
        Ref.update(following, (count) => count + 1),
        gate.stepOut
      )
      const leave = Effect.andThen(
        Ref.update(following, (count) => count - 1),
        gate.stepIn
      )

      /** What happens first: the order changes, nothing does for so long, or the service stops. */
      const next = (at: At, quietAfter: Duration.Duration) =>
        Effect.raceAllFirst([
          Effect.as(watch.past(at), "changed" as const),
          Effect.as(Effect.sleep(quietAfter), "quiet" as const),
          Effect.as(stopping.begun, "stopping" as const)
        ])

      const step = Effect.fnUntraced(function* ({ at, status }: Place) {
        if (isFinal(status)) return theEnd
        const states = yield* ledger.statesAfter(at)
        if (Arr.isReadonlyArrayNonEmpty(states)) {
          const last = Arr.lastNonEmpty(states)
          return goOn(states.map(stateEvent), { at: { ...at, version: last.version }, status: last.status })
        }
        const isCompleted = status === "COMPLETED"
        const happened = yield* next(at, isCompleted ? afterCompletion : beat)
        if (happened === "stopping" || (happened === "quiet" && isCompleted)) return theEnd
        return goOn(happened === "quiet" ? [heartbeat(yield* DateTime.now)] : [], { at, status })
      })

      /** What is wrong here is none of the reader's business: it hears that we live, and the rest when it can be told. */
      const stepOrWait = (place: Place) =>
        Effect.catchCause(step(place), (cause) =>
          Cause.hasInterrupts(cause)
            ? Effect.failCause(cause)
            : Effect.gen(function* () {
                yield* Effect.logWarning("An order cannot be followed at the moment", cause)
                const happened = yield* next(place.at, pauseInTrouble)
                return happened === "stopping" ? theEnd : goOn([heartbeat(yield* DateTime.now)], place)
              })
        )

      const follow = Effect.fn("Following.follow")(function* (after: At) {
        const { states } = yield* one(ledger.find([after.orderId]))
        const last = states.at(-1)
        if (last !== undefined && last.version <= after.version && isOver(last, yield* DateTime.now)) return undefined
        if (yield* isCrowded) return yield* new TooManyWatchers()
        const seen = states.findLast(({ version }) => version <= after.version)
        // Whoever has seen more than there is hears what comes all the same.
        const start: Place = {
          at: { ...after, version: seen?.version ?? 0 },
          status: seen?.status ?? "AWAITING_AUTHORIZATION"
        }
        // Until there is something to send, not even the answer's head goes out.
        const tells = states.some(({ version }) => version > start.at.version)
        const first = tells ? Stream.empty : Stream.make(heartbeat(yield* DateTime.now))
        const events = Stream.concat(first, Stream.paginate(start, stepOrWait)).pipe(
          Stream.interruptWhen(Effect.sleep(life))
        )
        // Entered when it is read for the first time: a reader that has gone by then would never leave.
        return Stream.unwrap(
          Effect.as(
            Effect.acquireRelease(enter, () => leave),
            events
          )
        )
      })

      const look = (orderId: OrderId) =>
        Effect.catchCause(Effect.asSome(one(ledger.find([orderId]))), (cause) =>
          Cause.hasInterrupts(cause)
            ? Effect.interrupt
            : Effect.as(
                Effect.logWarning("An order cannot be followed at the moment", cause),
                Option.none<LedgerOrder>()
              )
        )

      const wait = Effect.fnUntraced(function* (orderId: OrderId): Effect.fn.Return<Option.Option<LedgerOrder>> {
        const order = yield* look(orderId)
        if (Option.exists(order, ({ status }) => isTerminal(status))) return order
        const version = Option.match(order, { onNone: () => 0, onSome: ({ states }) => states.at(-1)?.version ?? 0 })
        const happened = yield* next({ orderId, version }, Option.isNone(order) ? pauseInTrouble : beat)
        return happened === "stopping" ? Option.none() : yield* wait(orderId)
      })

      const untilEnd = Effect.fn("Following.untilEnd")(function* (orderId: OrderId, patience: Duration.Duration) {
        if (yield* isCrowded) return yield* new TooManyWatchers()
        const waited = Effect.acquireUseRelease(
          enter,
          () => wait(orderId),
          () => leave
        )
        return Option.flatten(yield* Effect.timeoutOption(waited, patience))
      })

      return Following.of({ follow, untilEnd })
    })
  )
}

const followersAtOnce = Settings.count(
  "FOLLOWERS_AT_ONCE",
  2000,
  "How many may follow orders in one process at the same time, by a stream or by waiting."
)

const heartbeatEvery = Settings.duration(
  "HEARTBEAT_EVERY",
  "15 seconds",
  "How often a stream without news sends a heartbeat. Shorter than what proxies on the way take for silence."
)

const streamLasts = Settings.duration(
  "STREAM_LASTS",
  "10 minutes",
  "How long a stream lasts at the longest; a reader that still reads comes back with Last-Event-ID."
)

const pauseInTrouble = Duration.seconds(1)

/** A completed order may be cancelled right afterwards, and whoever still listens should hear of it. */
const afterCompletion = Duration.seconds(5)

/** Nothing comes after this state, as far as a stream would wait for it. */
const isOver = ({ at, status }: OrderState, now: DateTime.Utc) =>
  isFinal(status) || (status === "COMPLETED" && DateTime.isLessThan(DateTime.addDuration(at, afterCompletion), now))

/** How far a reader is. */
interface Place {
  readonly at: At
  readonly status: LedgerStatus
}

type Step = readonly [ReadonlyArray<OrderEvent>, Option.Option<Place>]

const theEnd: Step = [[], Option.none()]
const goOn = (events: ReadonlyArray<OrderEvent>, place: Place): Step => [events, Option.some(place)]

const stateEvent = ({ at, reason, status, version }: OrderState): OrderEvent => ({
  id: String(version),
  event: "state",
  data: { version, status, reason, at }
})

const heartbeat = (at: DateTime.Utc): OrderEvent => ({ event: "heartbeat", data: { at } })
