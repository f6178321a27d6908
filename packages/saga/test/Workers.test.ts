import { SagaStore } from "@ecommerce/saga/SagaStore"
import { rowsOf } from "@ecommerce/sets/Sets"
import { TestDatabase } from "@ecommerce/testing/TestDatabase"
import { assert, layer } from "@effect/vitest"
import { Duration, Effect, Exit, Latch, Layer, Logger, References, Schema, Scope } from "effect"

import {
  another,
  callsOf,
  database,
  endsOf,
  journalOf,
  on,
  records,
  startIn,
  statesOf,
  store,
  toldOf,
  until,
  untilAsked
} from "./fixtures/Engines.ts"

const quiet = Layer.succeed(References.MinimumLogLevel, "None")
const nobody = store().pipe(Layer.provideMerge(Layer.mergeAll(records, database, quiet)))
const definitions = [
  { name: "book-trip", version: 1 },
  { name: "cancel-trip", version: 1 }
]
const [ada, bob] = ["0192e4a0-0000-7000-8000-00000000ada0", "0192e4a0-0000-7000-8000-00000000b0b0"]

const countRows = rowsOf(Schema.Struct({ claims: Schema.Int, epoch: Schema.Int, isOwned: Schema.Boolean }))
const claimsOf = (tripId: string) =>
  Effect.flatMap(TestDatabase, ({ administrator }) =>
    Effect.map(
      countRows(administrator`
        SELECT claims, epoch, owner IS NOT NULL AS is_owned FROM orchestrator.sagas WHERE key = ${tripId}`),
      ([row]) => row
    )
  )

/** A worker that has taken what is due and is never heard of again. */
const takeAndDie = Effect.fn("takeAndDie")(function* (worker: string, most = 100, suspects = false) {
  const sagas = yield* SagaStore
  const { administrator } = yield* TestDatabase
  yield* sagas.beat(worker, "dies", Duration.minutes(1))
  const taken = yield* sagas.claim({ worker, definitions, most, suspects })
  yield* administrator`UPDATE orchestrator.saga_workers SET lease_until = now() - interval '1 second' WHERE id = ${worker}`
  return taken
})

const giveBack = Effect.flatMap(SagaStore, ({ takeFromTheDead }) => takeFromTheDead)

layer(nobody, { excludeTestServices: true })("workers", (it) => {
  it.effect("never have the same saga, however many of them ask at once", () =>
    Effect.gen(function* () {
      const sagas = yield* SagaStore
      yield* startIn(...Array.from({ length: 200 }, (_, n) => `shared-${n}`))
      yield* Effect.forEach([ada, bob], (worker) => sagas.beat(worker, "test", Duration.minutes(1)))
      const claims = yield* Effect.forEach(
        Array.from({ length: 20 }, (_, n) => (n % 2 === 0 ? ada : bob)),
        (worker) => sagas.claim({ worker, definitions, most: 15, suspects: false }),
        { concurrency: "unbounded" }
      )
      const ids = claims.flat().map(({ id }) => id)
      assert.strictEqual(ids.length, 200)
      assert.strictEqual(new Set(ids).size, 200)
      yield* sagas.leave(ada, ids)
      yield* sagas.leave(bob, ids)
    })
  )

  it.effect("get nothing when their own lease has run out", () =>
    Effect.gen(function* () {
      const sagas = yield* SagaStore
      yield* startIn("no-lease")
      yield* sagas.beat(ada, "test", Duration.seconds(-1))
      assert.deepStrictEqual(yield* sagas.claim({ worker: ada, definitions, most: 10, suspects: false }), [])
    })
  )

  it.effect("that have lost a saga change nothing of it, and hear of it", () =>
    Effect.gen(function* () {
      const sagas = yield* SagaStore
      yield* startIn("lost")
      const mine = (yield* takeAndDie(ada, 1000)).find(({ key }) => key === "lost")
      assert.isDefined(mine)
      if (mine === undefined) return
      yield* giveBack
      const decision = { state: { ...mine.state, version: 99 }, next: { _tag: "Send" }, entries: [], news: [] } as const
      const write = { saga: mine, decision, millis: 1, ifCancelled: undefined }
      // Given back, and taken by nobody yet.
      assert.strictEqual((yield* sagas.write(ada, [write])).size, 0)
      yield* sagas.beat(bob, "test", Duration.minutes(1))
      yield* sagas.claim({ worker: bob, definitions, most: 1000, suspects: false })
      assert.strictEqual((yield* sagas.write(ada, [write])).size, 0)
      // Under its own name, and in an earlier epoch.
      assert.strictEqual((yield* sagas.write(bob, [write])).size, 0)
      yield* sagas.leave(bob, [])
    })
  )

  it.effect("that are gone are forgotten when nothing is left of theirs", () =>
    Effect.gen(function* () {
      const { administrator } = yield* TestDatabase
      yield* startIn("gone")
      yield* takeAndDie(ada, 1000)
      yield* administrator`UPDATE orchestrator.saga_workers SET lease_until = now() - interval '2 minutes'`
      yield* Effect.repeat(giveBack, { while: (count) => count > 0 })
      assert.strictEqual((yield* administrator`SELECT FROM orchestrator.saga_workers WHERE id = ${ada}`).length, 0)
      assert.isFalse((yield* claimsOf("gone"))?.isOwned)
    })
  )
})

layer(nobody, { excludeTestServices: true })("an engine beside others", (it) => {
  it.effect("takes over from one that died, as if what that one had sent may have happened", () =>
    Effect.gen(function* () {
      yield* startIn("orphan")
      yield* takeAndDie(ada)
      yield* another()
      assert.deepStrictEqual(yield* endsOf("orphan"), ["COMPLETED"])
      assert.deepStrictEqual((yield* journalOf("orphan")).slice(0, 2), [
        "run book-flight 1 unknown",
        "run book-flight 1 done"
      ])
    })
  )

  it.effect("goes on with what it has taken over at once, and not when it looks the next time", () =>
    Effect.gen(function* () {
      yield* startIn("taken-over")
      yield* takeAndDie(ada)
      yield* another({ pollEvery: Duration.hours(1) })
      assert.deepStrictEqual(yield* endsOf("taken-over"), ["COMPLETED"])
    })
  )

  it.effect("sends nothing more of what it has lost while it was away, and writes nothing of it", () =>
    Effect.gen(function* () {
      const latch = yield* Latch.make(false)
      // What the first one has sent is answered when the second one has brought the trip to its end.
      yield* on("zombie", "book-flight", Effect.as(latch.await, "the zombie's seat"))
      const first = yield* Scope.make()
      const zombie = yield* another({ lease: Duration.seconds(3), beatEvery: Duration.minutes(10) }).pipe(
        Scope.provide(first)
      )
      yield* startIn("zombie")
      yield* untilAsked("zombie", "book-flight")
      yield* Effect.sleep("3200 millis")
      yield* another()
      assert.deepStrictEqual(yield* endsOf("zombie"), ["COMPLETED"])
      const before = [yield* callsOf("zombie"), yield* journalOf("zombie"), yield* toldOf("zombie")]
      yield* latch.open
      yield* until(zombie.inFlight, (count) => count === 0)
      assert.deepStrictEqual([yield* callsOf("zombie"), yield* journalOf("zombie"), yield* toldOf("zombie")], before)
      assert.deepStrictEqual(yield* callsOf("zombie"), [
        "book-flight",
        "book-flight",
        "book-hotel",
        "take-deposit",
        "send-ticket"
      ])
      yield* Scope.close(first, Exit.void)
    })
  )

  it.effect("asks again where it has lost a saga and got it back, and has nothing to complain of", () =>
    Effect.gen(function* () {
      const { administrator } = yield* TestDatabase
      yield* on("lost-and-found", "book-flight", Effect.never)
      const errors: Array<unknown> = []
      const logger = Logger.make<unknown, void>(({ message }) => void errors.push(message))
      const { beatRound } = yield* another({ beatEvery: Duration.minutes(10) }).pipe(
        Effect.provide(Logger.layer([logger])),
        Effect.provideService(References.MinimumLogLevel, "Error")
      )
      yield* startIn("lost-and-found")
      yield* untilAsked("lost-and-found", "book-flight")
      yield* administrator`UPDATE orchestrator.saga_workers SET lease_until = now() - interval '1 second'`
      yield* until(claimsOf("lost-and-found"), (found) => found?.isOwned === false)
      yield* beatRound
      assert.deepStrictEqual(yield* endsOf("lost-and-found"), ["COMPLETED"])
      assert.deepStrictEqual((yield* journalOf("lost-and-found")).slice(0, 2), [
        "run book-flight 1 unknown",
        "run book-flight 1 done"
      ])
      assert.deepStrictEqual(errors, [])
    })
  )

  it.effect("gives back what it has not sent when it ends, and waits a moment for what it has", () =>
    Effect.gen(function* () {
      const latch = yield* Latch.make(false)
      yield* on("sent", "book-flight", Effect.delay(Effect.succeed("a seat"), "100 millis"))
      yield* on("hangs", "book-flight", Effect.as(latch.await, "a seat"))
      const first = yield* Scope.make()
      yield* another({ stopWithin: Duration.seconds(3) }).pipe(Scope.provide(first))
      yield* startIn("sent", "hangs")
      yield* untilAsked("sent", "book-flight")
      yield* untilAsked("hangs", "book-flight")
      yield* Scope.close(first, Exit.void)
      // The one is behind its step, and nothing was sent of the next one; of the other nobody knows.
      assert.deepStrictEqual(yield* claimsOf("sent"), { claims: 0, epoch: 1, isOwned: false })
      assert.deepStrictEqual(yield* claimsOf("hangs"), { claims: 1, epoch: 1, isOwned: false })
      yield* another()
      assert.deepStrictEqual(yield* endsOf("sent", "hangs"), ["COMPLETED", "COMPLETED"])
      assert.deepStrictEqual(yield* callsOf("sent"), ["book-flight", "book-hotel", "take-deposit", "send-ticket"])
    })
  )

  it.effect("takes sagas that have ended their workers twice one at a time", () =>
    Effect.gen(function* () {
      const names = ["suspect-a", "suspect-b", "suspect-c"]
      yield* startIn(...names)
      for (const _ of [1, 2]) {
        assert.strictEqual((yield* takeAndDie(ada)).length, 3)
        yield* giveBack
      }
      assert.deepStrictEqual(yield* takeAndDie(ada), [])
      const atOnce = { now: 0, most: 0 }
      const step = Effect.gen(function* () {
        atOnce.most = Math.max(atOnce.most, (atOnce.now += 1))
        yield* Effect.sleep("30 millis")
        atOnce.now -= 1
        return "a seat"
      })
      for (const name of names) yield* on(name, "book-flight", step)
      yield* startIn("beside-suspects")
      yield* another()
      assert.deepStrictEqual(new Set(yield* endsOf("beside-suspects", ...names)), new Set(["COMPLETED"]))
      assert.strictEqual(atOnce.most, 1)
    })
  )

  it.effect("leaves a saga that has ended its worker five times to people", () =>
    Effect.gen(function* () {
      yield* startIn("deadly")
      for (const times of [1, 2, 3, 4, 5]) {
        yield* takeAndDie(ada, 100, times > 2)
        yield* giveBack
      }
      yield* another()
      yield* until(statesOf("deadly"), ([saga]) => saga?.stuck === "crashes")
      assert.deepStrictEqual(yield* callsOf("deadly"), [])
      assert.deepStrictEqual(
        (yield* toldOf("deadly")).map(({ type }) => type),
        ["started", "stuck"]
      )
    })
  )

  it.effect("leaves alone what it has no definition of", () =>
    Effect.gen(function* () {
      const { administrator } = yield* TestDatabase
      yield* startIn("of-tomorrow", "of-today")
      yield* administrator`UPDATE orchestrator.sagas SET definition_version = 2 WHERE key = 'of-tomorrow'`
      yield* another()
      assert.deepStrictEqual(yield* endsOf("of-today"), ["COMPLETED"])
      assert.deepStrictEqual(yield* claimsOf("of-tomorrow"), { claims: 0, epoch: 0, isOwned: false })
      yield* administrator`UPDATE orchestrator.sagas SET definition_version = 1 WHERE key = 'of-tomorrow'`
      assert.deepStrictEqual(yield* endsOf("of-tomorrow"), ["COMPLETED"])
    })
  )
})
