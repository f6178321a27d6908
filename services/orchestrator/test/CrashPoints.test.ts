import { MortalStack, names } from "@ecommerce/testing/MortalStack"
import { until } from "@ecommerce/testing/ServiceProcess"
import { TestDatabase } from "@ecommerce/testing/TestDatabase"
import { NodeHttpClient } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Effect, FiberSet, Layer } from "effect"

import { isEnd, newProduct, place, statusesOf, type Wish } from "./fixtures/Customers.ts"
import { everythingFits } from "./fixtures/Shop.ts"

/** What somebody who died has left is taken up soon. */
const world = MortalStack.layer({
  SAGA_LEASE: "1 second",
  CHECKOUT_LEASE: "1 second",
  SWEEP_EVERY: "500 millis",
  RECONCILE_EVERY: "1 second",
  RECONCILE_AFTER: "1 second",
  LOG_LEVEL: "None"
}).pipe(Layer.provideMerge(TestDatabase.layer), Layer.provideMerge(NodeHttpClient.layerUndici))

/** Customers whose orders go every way that there is, and who remember what was accepted. */
const trade = Effect.gen(function* () {
  const plenty = yield* newProduct("PLENTY", 100_000)
  const gone = yield* newProduct("GONE", 0)
  const accepted: Array<string> = []
  let count = 0
  const order = Effect.fnUntraced(function* (wish: Wish) {
    const orderId = yield* place(`order-${(count += 1)}`, wish)
    if (orderId !== undefined) accepted.push(orderId)
  })
  const some = Effect.suspend(() =>
    Effect.all(
      [
        order({ productId: plenty, token: "tok_capture_declined" }),
        order({ productId: plenty, token: "tok_decline_stolen" }),
        order({ productId: gone }),
        order({ productId: plenty, cancelAt: "COMPLETED" }),
        Effect.flatMap(newProduct(`NEW-${(count += 1)}`, 5), (productId) => order({ productId }))
      ],
      { concurrency: "unbounded", discard: true }
    )
  )
  const allEnded = until(
    Effect.suspend(() => Effect.map(statusesOf(accepted), (statuses) => statuses.every((status) => isEnd.has(status))))
  )
  return { accepted, some, allEnded }
})

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
          const { dieAt } = yield* MortalStack
          const { accepted, allEnded, some } = yield* trade
          const { daily, points } = yield* pointsOf(Effect.andThen(some, allEnded))
          for (const service of names) {
            const own = [...points].filter(([name, point]) => point.service === service && daily.has(name))
            assert.isAbove(own.length, 8, service)
          }
          const customers = yield* FiberSet.make<void>()
          const trading = Effect.gen(function* () {
            if ((yield* FiberSet.size(customers)) < 10) yield* FiberSet.run(customers, some)
            yield* Effect.sleep("300 millis")
          }).pipe(Effect.forever)
          const missed: Array<string> = []
          for (const [name, point] of points) {
            // What depends on how work falls into batches need not come again.
            const patience = daily.has(name) ? "60 seconds" : "3 seconds"
            const isDead = yield* Effect.raceFirst(dieAt(point, patience), trading)
            if (!isDead && daily.has(name)) missed.push(name)
          }
          assert.deepStrictEqual(missed, [])
          yield* Effect.raceFirst(FiberSet.awaitEmpty(customers), FiberSet.join(customers))
          yield* allEnded
          assert.isAbove(accepted.length, points.size / 2)
          yield* everythingFits
        }),
      600_000
    )
  }
)
