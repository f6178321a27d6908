/**
 * Runs sagas: takes those that are due, sends their steps, writes down what came of them.
 *
 * Each saga that it has is a fiber of its own, so that a slow step holds up nobody; what they write at the same time is one
 * transaction. Any number of engines may work on one database. Work is done in rounds, which whoever runs the engine calls
 * again and again: `claimRound`, `beatRound`, `takeoverRound`.
 */
import { randomUUID } from "node:crypto"

import * as Batched from "@ecommerce/sets/Batched"
import { isolated } from "@ecommerce/sets/Isolation"
import { Clock, Context, Duration, Effect, Exit, FiberMap, Latch, Layer, Random, Schedule } from "effect"
import type { SqlError } from "effect/sql"

import * as Catalogue from "./Catalogue.ts"
import * as Decide from "./Decide.ts"
import type { Policy } from "./Policy.ts"
import type { Definition, NewSaga } from "./Saga.ts"
import { callStep } from "./SagaEngine/Call.ts"
import * as Telling from "./SagaEngine/Telling.ts"
import { type Named, SagaStore, type Write } from "./SagaStore.ts"
import type { Held } from "./SagaStore/Rows.ts"

export interface Options<R> {
  /** Of this engine among others, for people. */
  readonly name: string
  /** All that there are sagas of: those of earlier versions too, until none of them is under way. */
  readonly definitions: ReadonlyArray<Definition<R>>
  readonly policy: Policy
  /** How many sagas it has at the same time. */
  readonly mostInFlight: number
  /** How long a step may take; then nobody knows whether it happened. */
  readonly stepTimeout: Duration.Duration
  /** For how long it has its sagas to itself without having said that it lives. */
  readonly lease: Duration.Duration
  /** How long to wait for due sagas when nobody says that there are some. */
  readonly pollEvery: Duration.Duration
  /** At its end, how long steps under way may take to come to theirs. */
  readonly stopWithin: Duration.Duration
}

type Sql<A> = Effect.Effect<A, SqlError.SqlError>

export class SagaEngine extends Context.Service<
  SagaEngine,
  {
    /** In the caller's transaction. A saga that is there already is left as it is. */
    readonly start: (sagas: ReadonlyArray<NewSaga>) => Sql<void>
    /**
     * In the caller's transaction. A saga on its way turns back before its next send; one that has no way back is taken back
     * by another saga when it is completed. Answers which of them there are.
     */
    readonly cancel: (sagas: ReadonlyArray<Named>) => Sql<ReadonlyArray<Named>>
    /** Due sagas are looked for at once: something was committed. */
    readonly wake: Effect.Effect<void>
    /** Waits until it is time, takes what is due, and returns while it is being worked on. */
    readonly claimRound: Sql<void>
    /** Says that this engine lives. */
    readonly beatRound: Sql<void>
    /** Takes their sagas from those that have not said so for too long. */
    readonly takeoverRound: Sql<void>
    readonly inFlight: Effect.Effect<number>
  }
>()("@ecommerce/saga/SagaEngine") {
  static readonly layer = <R>(options: Options<R>) =>
    Layer.effect(
      SagaEngine,
      Effect.gen(function* () {
        const { definitions, lease, mostInFlight, name, policy, pollEvery, stepTimeout, stopWithin } = options
        const store = yield* SagaStore
        const context = yield* Effect.context<R>()
        const worker = randomUUID()
        const leaseNanos = BigInt(Math.floor(Duration.toMillis(lease))) * 1_000_000n
        const { definitionOf, followUp, openingOf, takeBack, versions } = Catalogue.make(definitions)
        const suspects = new Set<string>()
        /** In which epoch it has each of its sagas. */
        const epochs = new Map<string, number>()
        const unsent = new Set<string>()
        const wanted = yield* Latch.make(false)
        let heldUntil = 0n
        let isStopping = false
        /** Until then there was no suspect a moment ago, in nanoseconds. */
        let noSuspectsUntil = 0n
        /** More may be due than was taken. */
        let mayBeMore = false
        /** A claim has ended without an answer. */
        let mayHaveStrays = false
        let strayLookAt = 0n

        // Given up last, when nothing is under way any more.
        yield* Effect.addFinalizer(() =>
          Effect.ignore(Effect.timeout(store.leave(worker, [...unsent]), "2 seconds"), { log: "Warn" })
        )

        const writeOne = yield* Batched.make(
          "write-sagas",
          isolated<Write, Written, never>({
            run: (writes) =>
              Effect.map(store.write(worker, writes), (flags) =>
                writes.map(({ saga }) => flags.get(saga.id) ?? "lost")
              ),
            keyOf: ({ saga }) => saga.id,
            contentOf: ({ decision, saga }) => `${saga.epoch} ${decision.state.entries}`,
            onBadItem: () => "bad"
          })
        )

        /** Whatever is wrong with the database goes over; until then the saga stays ours. */
        const write = (change: Write) =>
          writeOne(change).pipe(
            Effect.tapError((error) =>
              Effect.logWarning("What came of a step cannot be written and is tried again", error)
            ),
            Effect.retry(patience),
            Effect.orDie
          )

        const inFlight = yield* FiberMap.make<string>()
        yield* Effect.addFinalizer(() =>
          Effect.suspend(() => {
            isStopping = true
            return Effect.ignore(Effect.timeout(FiberMap.awaitEmpty(inFlight), stopWithin))
          })
        )

        const call = (saga: Held, state: Decide.State) =>
          Effect.provideContext(callStep(definitionOf(saga), saga, state, stepTimeout), context)

        /** From one send to the next, until the saga waits, ends, or is somebody else's. */
        const drive = Effect.fnUntraced(function* (saga: Held) {
          const { plan } = definitionOf(saga)
          let decision = Decide.onClaim(plan, policy, saga.state, saga.flags)
          let millis: number | null = null
          for (;;) {
            if (decision.entries.length > 0) {
              const written: Written = yield* write({ saga, decision, millis, ifCancelled: followUp(saga, decision) })
              if (written === "lost") return yield* Telling.reportLost(saga)
              if (written === "bad") return yield* setAside(saga)
              yield* Telling.report(saga, decision)
              if (decision.next._tag !== "Send") return
              millis = null
              decision = Decide.onFlags(plan, decision.state, written)
              if (decision.entries.length > 0) continue
            }
            if (isStopping) return void unsent.add(saga.id)
            if ((yield* Clock.monotonicTimeNanos) >= heldUntil) return yield* letGo(saga, Duration.zero, false)
            const { state } = decision
            const [took, outcome] = yield* call(saga, state)
            millis = Duration.toMillis(took)
            decision = Decide.onOutcome(plan, policy, state, outcome)
            if (decision.next._tag === "Wait") decision = { ...decision, next: yield* jittered(decision.next) }
          }
        })

        /** One that was lost meanwhile is not concerned. */
        const letGo = (saga: Held, pause: Duration.Duration, wasSent: boolean) =>
          Effect.orDie(Effect.retry(store.letGo(worker, saga, pause, wasSent), patience))

        /** PostgreSQL will not store what came of it, or it dies on the way: it comes again, and is stuck after some times. */
        const setAside = (saga: Held) =>
          Effect.andThen(
            Effect.logError(`What came of a step of ${saga.definition} ${saga.key} cannot be stored`),
            letGo(saga, Duration.millis(policy.longestDelayMillis), true)
          )

        /**
         * Whatever ends its fiber, a saga is not left with an owner that does nothing. One that was lost, and is ours again in a
         * later epoch, has another fiber, which ends the first one.
         */
        const take = (saga: Held) => {
          epochs.set(saga.id, saga.epoch)
          return FiberMap.run(
            inFlight,
            saga.id,
            Telling.inSaga(saga)(drive(saga)).pipe(
              Effect.onExit((exit) => {
                if (epochs.get(saga.id) !== saga.epoch) return Effect.void
                epochs.delete(saga.id)
                suspects.delete(saga.id)
                const isCutOff = Exit.isFailure(exit) && !isStopping
                return Effect.andThen(
                  isCutOff
                    ? Effect.andThen(Effect.logError("A saga cannot be worked on", exit.cause), setAside(saga))
                    : Effect.void,
                  mayBeMore ? wanted.open : Effect.void
                )
              })
            )
          )
        }

        const claim = (most: number, suspects: boolean) =>
          store.claim({ worker, definitions: versions, most, suspects }).pipe(
            // It may have been committed all the same: then there are sagas of ours that we have not heard of.
            Effect.onExit((exit) => Effect.sync(() => (mayHaveStrays ||= Exit.isFailure(exit))))
          )

        const claimAll = Effect.gen(function* () {
          const now = yield* Clock.monotonicTimeNanos
          // Now and then anyhow: a commit that was given up may come to its end whenever PostgreSQL's disk lets it.
          if (mayHaveStrays || now >= strayLookAt) {
            yield* store.giveBackAllBut(
              worker,
              Array.from(inFlight, ([id]) => id)
            )
            mayHaveStrays = false
            strayLookAt = now + leaseNanos
          }
          // Not in the hands of one whose own lease is over.
          if (now >= heldUntil) return false
          const free = mostInFlight - (yield* FiberMap.size(inFlight))
          if (suspects.size === 0 && free > 0 && now >= noSuspectsUntil) {
            // Alone among its kind: if it is what ends workers, no other is blamed for it.
            const [suspect] = yield* claim(1, true)
            if (suspect === undefined) noSuspectsUntil = now + suspectsEvery
            else {
              suspects.add(suspect.id)
              yield* take(suspect)
            }
          }
          const most = Math.min(free - suspects.size, mostAtOnce)
          const healthy = yield* claim(most, false)
          for (const saga of healthy) yield* take(saga)
          mayBeMore = healthy.length >= most || suspects.size > 0
          return mayBeMore && healthy.length > 0
        })

        const claimRound = Effect.gen(function* () {
          if (isStopping) return yield* Effect.never
          yield* Effect.timeoutOption(wanted.await, pollEvery)
          yield* wanted.close
          if (yield* claimAll) yield* wanted.open
        })

        const beatRound = Effect.gen(function* () {
          const began = yield* Clock.monotonicTimeNanos
          yield* store.beat(worker, name, lease)
          heldUntil = began + leaseNanos
        })

        const takeAll: Sql<number> = Effect.flatMap(store.takeFromTheDead, (some) =>
          some === 0 ? Effect.succeed(0) : Effect.map(takeAll, (others) => some + others)
        )

        yield* Telling.nothingTakenOver
        const takeoverRound = Effect.gen(function* () {
          const taken = yield* takeAll
          if (taken === 0) return
          yield* Telling.reportTakeover(taken)
          yield* wanted.open
        })

        const start = (sagas: ReadonlyArray<NewSaga>) => Effect.asVoid(store.start(sagas.map(openingOf)))

        const cancel = Effect.fn("SagaEngine.cancel")(function* (sagas: ReadonlyArray<Named>) {
          const asked = yield* store.requestCancel(sagas)
          const late = asked.filter(({ state }) => state.status === "COMPLETED").map(takeBack)
          yield* store.start(late.filter((opening) => opening !== undefined))
          return asked.map(({ definition, key }) => ({ definition, key }))
        })

        return SagaEngine.of({
          start,
          cancel,
          wake: Effect.asVoid(wanted.open),
          claimRound,
          beatRound,
          takeoverRound,
          inFlight: FiberMap.size(inFlight)
        })
      })
    )
}

type Written = Decide.Flags | "lost" | "bad"

/** There is hardly ever one. */
const suspectsEvery = 1_000_000_000n

/** In one statement. */
const mostAtOnce = 500

const patience = Schedule.jittered(Schedule.min([Schedule.exponential("50 millis"), Schedule.spaced("5 seconds")]))

/** So that those who failed together do not come back together. */
const jittered = (wait: Extract<Decide.Next, { readonly _tag: "Wait" }>) =>
  Effect.map(Random.next, (chance) => ({ ...wait, millis: wait.millis * (0.8 + 0.4 * chance) }))
