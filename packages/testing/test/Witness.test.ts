import { assert, layer } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Scope } from "effect"

import { until } from "../src/ServiceProcess.ts"
import { TestDatabase } from "../src/TestDatabase.ts"
import * as Witness from "../src/Witness.ts"

const somebodyWaits = Effect.gen(function* () {
  const { administrator: sql } = yield* TestDatabase
  const waiting = yield* sql`
    SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`
  return waiting.length > 0
})

/** Reads one table and, in the same transaction, another one a while later. */
const reader = Effect.fn("reader")(function* (first: string, second: string, meanwhile: Deferred.Deferred<void>) {
  const { administrator: sql } = yield* TestDatabase
  const read = (table: string) => sql`SELECT FROM ${sql(table)}`.unprepared
  const hasBegun = yield* Deferred.make<void>()
  const reading = read(first).pipe(
    Effect.andThen(Deferred.succeed(hasBegun, undefined)),
    Effect.andThen(Deferred.await(meanwhile)),
    Effect.andThen(read(second)),
    sql.withTransaction,
    Effect.forkScoped
  )
  return yield* Effect.tap(reading, Deferred.await(hasBegun))
})

layer(TestDatabase.layer, { excludeTestServices: true })("an ambush", (it) => {
  const orders: ReadonlyArray<readonly [string, string]> = [
    ["payment.outbox", "payment.payments"],
    ["payment.payments", "payment.outbox"]
  ]
  it.effect.each(orders)("is taken away beside a transaction that reads %s and then %s", ([first, second]) =>
    Effect.gen(function* () {
      const { poison } = yield* Witness.make("payment")
      const scope = yield* Scope.make()
      yield* Scope.provide(poison("anything"), scope)
      const goOn = yield* Deferred.make<void>()
      const reading = yield* reader(first, second, goOn)
      const clearing = yield* Effect.forkScoped(Scope.close(scope, Exit.void))
      yield* until(somebodyWaits)
      yield* Deferred.succeed(goOn, undefined)
      assert.deepStrictEqual(yield* Fiber.join(reading), [])
      yield* Fiber.join(clearing)
    })
  )
})
