import type { LedgerStatus } from "@ecommerce/contracts/Edge/Ledger"
import type { Moment } from "@ecommerce/testing/CrashPoints/Tap"
import { MortalStack } from "@ecommerce/testing/MortalStack"
import { until } from "@ecommerce/testing/ServiceProcess"
import { TestDatabase } from "@ecommerce/testing/TestDatabase"
import { names } from "@ecommerce/testing/WholeStack"
import { NodeHttpClient } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { type Duration, Effect, FiberSet, Layer } from "effect"

import { newProduct, place, statusesOf, type Wish } from "./fixtures/Customers.ts"
import { watchful } from "./fixtures/Operator.ts"
import { everythingFits } from "./fixtures/Shop.ts"

/** What somebody who died has left is taken up soon. */
const world = MortalStack.layer({
  SAGA_LEASE: "1 second",
  CHECKOUT_LEASE: "1 second",
  SWEEP_EVERY: "500 millis",
  RECONCILE_EVERY: "1 second",
  RECONCILE_AFTER: "1 second",
  // How an order ends is up to its customer: nobody loses patience with those who die.
  MAX_RETRY_ATTEMPTS: "1000000",
  SAGA_DEADLINE: "1 hour",
  LOG_LEVEL: "None"
}).pipe(Layer.provideMerge(TestDatabase.layer), Layer.provideMerge(NodeHttpClient.layerUndici))

/** Customers whose orders go every way that there is, and who remember what was accepted, and how it has to end. */
const trade = Effect.gen(function* () {
  const plenty = yield* newProduct("PLENTY", 100_000)
  const gone = yield* newProduct("GONE", 0)
  const accepted = new Map<string, LedgerStatus>()
  let count = 0
  const order = Effect.fnUntraced(function* (wish: Wish, end: LedgerStatus) {
    const orderId = yield* place(`order-${(count += 1)}`, wish)
    if (orderId !== undefined) accepted.set(orderId, end)
  })
  const some = Effect.suspend(() =>
    Effect.all(
      [
        order({ productId: plenty, token: "tok_capture_declined" }, "FAILED"),
        order({ productId: plenty, token: "tok_decline_stolen" }, "AUTHORIZATION_FAILED"),
        order({ productId: gone }, "FAILED"),
        order({ productId: plenty, cancelAt: "COMPLETED" }, "CANCELLED"),
        Effect.flatMap(newProduct(`NEW-${(count += 1)}`, 5), (productId) => order({ productId }, "COMPLETED"))
      ],
      { concurrency: "unbounded", discard: true }
    )
  )
  /** Those that are not where they have to be: each once, with where it is. */
  const astray = Effect.map(
    Effect.suspend(() => statusesOf([...accepted.keys()])),
    (found) =>
      [...accepted]
        .filter(([orderId, end]) => found.get(orderId) !== end)
        .map(([orderId, end]) => `${orderId} is ${found.get(orderId) ?? "lost"}, not ${end}`)
  )
  return {
    accepted,
    some,
    astray,
    /**
     * Not only until each is at some end: a completed order whose customer was told that it will be cancelled has still a way to
     * go. One that never comes there is told of by `astray`.
     */
    allEnded: Effect.catchTag(
      until(Effect.map(astray, (orders) => orders.length === 0)),
      "TimeoutError",
      () => Effect.void
    )
  }
})

/** What each does on each day, and what those do besides who ask others: commands, and feeds, which say what was used. */
const everybody = [/^commits /u, /^answers /u]
const askers = [/^asks .+ POST /u, /^asks .+ GET \/feed/u]

/** What is seen on any of three calm days, by name, and the names of what is seen on each of them. */
const pointsOf = Effect.fn("pointsOf")(function* <E, R>(day: Effect.Effect<void, E, R>) {
  const { takeSeen } = yield* MortalStack
  yield* takeSeen
  const days = yield* Effect.forEach([1, 2, 3], () => Effect.andThen(day, takeSeen))
  const points = new Map(days.flatMap((seen) => [...seen]))
  return { points, daily: new Set([...points.keys()].filter((name) => days.every((seen) => seen.has(name)))) }
})

layer(world, { excludeTestServices: true })(
  "a service that dies before or after what it commits, asks or answers",
  (it) => {
    it.effect(
      "leaves nothing undone: at each of these points an accepted order comes to its end, and everything fits",
      () =>
        Effect.gen(function* () {
          const { dieAt, takeSeen } = yield* MortalStack
          const { accepted, allEnded, astray, some } = yield* trade
          yield* Effect.forkScoped(watchful)
          const { daily, points } = yield* pointsOf(Effect.andThen(some, allEnded))
          for (const service of names) {
            const own = [...points].flatMap(([name, point]) =>
              point.service === service && daily.has(name) ? [point] : []
            )
            assert.isAtLeast(own.length, 6, service)
            for (const act of service === "edge-api" || service === "orchestrator"
              ? [...everybody, ...askers]
              : everybody) {
              for (const when of ["before", "after"] as const) {
                const isThere = own.some((point) => act.test(point.what) && point.when === when)
                assert.isTrue(isThere, `${service} dies ${when} it ${act.source}`)
              }
            }
          }
          const customers = yield* FiberSet.make<void>()
          const trading = Effect.gen(function* () {
            if ((yield* FiberSet.size(customers)) < 10) yield* FiberSet.run(customers, some)
            yield* Effect.sleep("300 millis")
          }).pipe(Effect.forever)
          const strike = (point: Moment, patience: Duration.Input) => Effect.raceFirst(dieAt(point, patience), trading)

          const missed: Array<string> = []
          /** What is done for the dead is seen only now: behind which death. */
          const behind = new Map<string, { readonly point: Moment; readonly death: Moment }>()
          for (const [name, point] of points) {
            // What depends on how work falls into batches need not come again.
            const isDead = yield* strike(point, daily.has(name) ? "60 seconds" : "3 seconds")
            if (!isDead && daily.has(name)) missed.push(name)
            const fresh = [...(yield* takeSeen)].filter(([seen]) => !points.has(seen) && !behind.has(seen))
            for (const [seen, moment] of fresh) behind.set(seen, { point: moment, death: point })
          }
          assert.deepStrictEqual(missed, [])
          let struck = 0
          for (const { death, point } of behind.values()) {
            yield* strike(death, "3 seconds")
            if (yield* strike(point, "3 seconds")) struck += 1
          }
          assert.isAbove(struck, 0)
          yield* Effect.raceFirst(FiberSet.awaitEmpty(customers), FiberSet.join(customers))
          yield* allEnded
          assert.isAbove(accepted.size, points.size / 2)
          assert.deepStrictEqual(yield* astray, [])
          yield* everythingFits
        }),
      1_200_000
    )
  }
)
