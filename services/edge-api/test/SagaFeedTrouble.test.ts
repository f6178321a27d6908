/**
 * Edge is killed with -9 in the middle of a batch of what sagas tell, or is away while they tell it.
 */
import { Health } from "@ecommerce/chassis/Health"
import { OrderId } from "@ecommerce/contracts/Ids"
import { OrchestratorClient } from "@ecommerce/contracts/Orchestrator"
import { Neighbours } from "@ecommerce/testing/Neighbours"
import { TestDatabase } from "@ecommerce/testing/TestDatabase"
import * as TestService from "@ecommerce/testing/TestService"
import * as Witness from "@ecommerce/testing/Witness"
import { NodeHttpClient } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Context, Effect, Layer, Redacted } from "effect"

import { Ledger } from "../src/Ledger.ts"
import * as SagaFeed from "../src/SagaFeed.ts"
import { Watch } from "../src/Watch.ts"
import { anna, replica } from "./fixtures/Counter.ts"
import { killAfter, killAt, layer as neighbours, type Statement, start } from "./fixtures/EdgeProcess.ts"
import { authorizedOrders, goingWell, historyOf, takingBack, tell, untilUsed } from "./fixtures/Sagas.ts"

const points: ReadonlyArray<readonly [string, Statement]> = [
  ["before the ledger is changed", { before: "UPDATE", table: "order_ledger", when: "NEW.version > 2" }],
  ["before the states are written", { before: "INSERT", table: "order_states", when: "NEW.version = 8" }],
  ["before it commits", { before: "COMMIT", table: "order_states", when: "NEW.version = 8" }]
]

const everything = (ids: ReadonlyArray<OrderId>) => ids.flatMap((id) => [...goingWell(id), ...takingBack(id)])

const assertOnce = Effect.fn("assertOnce")(function* (ids: ReadonlyArray<OrderId>) {
  const histories = Map.groupBy(yield* historyOf(...ids), ({ orderId }) => orderId)
  assert.deepStrictEqual(
    [...histories.values()].map((states) => states.map(({ version }) => version).join(" ")),
    ids.map(() => "1 2 3 4 5 6 7 8")
  )
})

/** One order of a batch is held up, and so is the batch. */
const single = Effect.map(authorizedOrders(1), (ids) => ({
  ids,
  told: Effect.andThen(tell(...everything(ids)), Effect.never)
}))

layer(neighbours, { excludeTestServices: true })("an edge that dies while it brings orders on", (it) => {
  for (const [where, point] of points) {
    it.effect(`${where}, has done nothing of it, and whoever comes after it does all of it once`, () =>
      Effect.gen(function* () {
        const edge = yield* start()
        const { ids, told } = yield* single
        yield* killAt(edge, point, anna, [told])
        assert.lengthOf(yield* historyOf(...ids), 2)
        yield* replica()
        yield* untilUsed
        yield* assertOnce(ids)
      }).pipe(Effect.scoped)
    )
  }

  it.effect("before it hears that its commit went well, has done it, and nobody does it again", () =>
    Effect.gen(function* () {
      const edge = yield* start()
      const { ids, told } = yield* single
      yield* killAfter(edge, { before: "COMMIT", table: "order_states", when: "NEW.version = 8" }, anna, [told])
      yield* assertOnce(ids)
      const before = yield* historyOf(...ids)
      yield* replica()
      yield* untilUsed
      assert.deepStrictEqual(yield* historyOf(...ids), before)
    }).pipe(Effect.scoped)
  )

  it.effect("catches up with all that sagas told while it was away", () =>
    Effect.gen(function* () {
      const ids = yield* authorizedOrders(20)
      const witness = yield* Witness.make("edge-api")
      const before = yield* witness.snapshot
      yield* tell(...everything(ids))
      assert.deepStrictEqual(yield* witness.snapshot, before)
      yield* replica()
      yield* untilUsed
      yield* assertOnce(ids)
    }).pipe(Effect.scoped)
  )
})

/** The feed alone, and nobody who looks now and then for what others have changed. */
const withoutLookout = Effect.gen(function* () {
  const { orchestrator } = yield* Neighbours
  const { serviceToken } = yield* TestDatabase
  const server = { url: orchestrator.url, token: Redacted.make(serviceToken) }
  const parts = SagaFeed.layer.pipe(
    Layer.provideMerge(Layer.mergeAll(Ledger.layer, Watch.layer, Health.layer)),
    Layer.provide(OrchestratorClient.layer(server).pipe(Layer.provide(NodeHttpClient.layerUndici))),
    Layer.provide(TestService.database("edge-api"))
  )
  return Context.get(yield* Layer.build(parts), Watch)
})

layer(neighbours, { excludeTestServices: true })("whoever follows an order", (it) => {
  it.effect("is woken by the commit of what its saga told, and by no look", () =>
    Effect.gen(function* () {
      const [orderId = OrderId.make("")] = yield* authorizedOrders(1)
      const watch = yield* withoutLookout
      yield* Effect.all([watch.past({ orderId, version: 5 }), tell(...everything([orderId]))], {
        concurrency: "unbounded"
      }).pipe(Effect.timeout("100 seconds"))
      yield* assertOnce([orderId])
    })
  )
})
