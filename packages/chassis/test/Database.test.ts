import * as Database from "@ecommerce/chassis/Database"
import { Health } from "@ecommerce/chassis/Health"
import * as Worker from "@ecommerce/chassis/Worker"
import { EmbeddedPostgres } from "@ecommerce/stack/EmbeddedPostgres"
import { TestDatabase } from "@ecommerce/testing/TestDatabase"
import * as TestService from "@ecommerce/testing/TestService"
import { PgClient } from "@effect/sql-pg"
import { assert, describe, it, layer } from "@effect/vitest"
import { Cause, type Duration, Effect, Exit, Fiber, Latch, Layer, Ref, References, Result, Schedule } from "effect"
import { HttpClient } from "effect/http"
import { SqlError } from "effect/sql"

import { definition } from "./fixtures/Probe.ts"

const quiet = Layer.succeed(References.MinimumLogLevel, "None")

/** The client that a service has, of the test's database. */
const serviceClient = Layer.unwrap(
  Effect.gen(function* () {
    const database = yield* TestDatabase
    return Database.layerFrom({ url: database.urlOf("inventory"), applicationName: "test", maxConnections: 4 })
  })
)

/** How many statements of a service are under way that take long. */
const underWay = Effect.gen(function* () {
  const { administrator } = yield* TestDatabase
  const rows = yield* administrator`
    SELECT 1 FROM pg_stat_activity
    WHERE datname = current_database() AND state = 'active' AND query LIKE '%pg_sleep%' AND pid <> pg_backend_pid()`
  return rows.length
})

const untilUnderWay = underWay.pipe(
  Effect.repeat({ until: (count) => count > 0, schedule: Schedule.spaced("10 millis") }),
  Effect.timeout("60 seconds")
)

const untilNothingIsUnderWay = underWay.pipe(
  Effect.repeat({ until: (count) => count === 0, schedule: Schedule.spaced("10 millis") }),
  // PostgreSQL would end it by itself after five.
  Effect.timeout("4 seconds")
)

const cutInTheMiddle = Effect.gen(function* () {
  yield* untilUnderWay
  assert.isAbove(yield* (yield* TestDatabase).cutConnections, 0)
})

const get = (path: string) => Effect.flatMap(HttpClient.HttpClient, (client) => client.get(path))

const eventuallyOk = (path: string, within: Duration.Input = "100 seconds") =>
  get(path).pipe(
    Effect.map((answer) => answer.status),
    Effect.repeat({ until: (status) => status === 200, schedule: Schedule.spaced("50 millis") }),
    Effect.timeout(within)
  )

layer(serviceClient.pipe(Layer.provideMerge(TestDatabase.layer)), { excludeTestServices: true })(
  "a connection that is lost",
  (it) => {
    it.effect("in the middle of a transaction is a typed error that may be retried, and not a defect", () =>
      Effect.gen(function* () {
        const sql = yield* PgClient.PgClient
        const transaction = yield* Effect.forkChild(sql.withTransaction(sql`SELECT pg_sleep(20)`))
        yield* cutInTheMiddle
        const exit = yield* Fiber.await(transaction)
        assert.isTrue(Exit.isFailure(exit))
        if (Exit.isFailure(exit)) {
          assert.isFalse(Cause.hasDies(exit.cause))
          const error = Cause.squash(exit.cause)
          assert.isTrue(SqlError.isSqlError(error) && error.isRetryable)
        }
        assert.deepStrictEqual(yield* sql.withTransaction(sql`SELECT 1 AS one`), [{ one: 1 }])
      })
    )

    it.effect("is transient also outside a transaction, and a wrong statement is not", () =>
      Effect.gen(function* () {
        const sql = yield* PgClient.PgClient
        const single = yield* Effect.forkChild(Effect.flip(sql`SELECT pg_sleep(20)`))
        yield* cutInTheMiddle
        assert.isTrue(Database.isTransient(yield* Fiber.join(single)))
        assert.isFalse(Database.isTransient(yield* Effect.flip(sql`SELECT nonsense`)))
      })
    )

    it.effect("is not the only transient one: so is a deadlock", () =>
      Effect.gen(function* () {
        const { administrator } = yield* TestDatabase
        yield* administrator`INSERT INTO inventory.products (name, sku, price_cents) VALUES ('a', 'A', 1), ('b', 'B', 1)`
        const sql = yield* PgClient.PgClient
        const touch = (sku: string) => sql`UPDATE products SET version = version + 1 WHERE sku = ${sku}`
        const bothHold = yield* Latch.make(false)
        const holding = yield* Ref.make(0)
        const inOrder = (first: string, second: string) =>
          sql.withTransaction(
            Effect.gen(function* () {
              yield* touch(first)
              if ((yield* Ref.updateAndGet(holding, (count) => count + 1)) === 2) yield* bothHold.open
              yield* bothHold.await
              yield* touch(second)
            })
          )
        const outcomes = yield* Effect.all([Effect.result(inOrder("A", "B")), Effect.result(inOrder("B", "A"))], {
          concurrency: 2
        })
        const errors = outcomes.filter(Result.isFailure).map((outcome) => outcome.failure)
        assert.strictEqual(errors.length, 1)
        assert.isTrue(errors.every((error) => error.reason._tag === "DeadlockError" && Database.isTransient(error)))
      })
    )

    it.effect("does not turn a failure of the transaction's own work into another one", () =>
      Effect.gen(function* () {
        const sql = yield* PgClient.PgClient
        assert.strictEqual(yield* Effect.flip(sql.withTransaction(Effect.fail("no stock"))), "no stock")
      })
    )
  }
)

layer(serviceClient.pipe(Layer.provideMerge(TestDatabase.layer)), { excludeTestServices: true })(
  "a statement that takes long",
  (it) => {
    it.effect("keeps no other one waiting, and no transaction, while the pool has connections left", () =>
      Effect.gen(function* () {
        const sql = yield* PgClient.PgClient
        const long = yield* Effect.forkChild(sql`SELECT pg_sleep(20)`)
        yield* untilUnderWay
        yield* sql`SELECT 1`
        yield* sql.withTransaction(sql`SELECT 1`)
        assert.isUndefined(long.pollUnsafe())
        yield* cutInTheMiddle
        assert.isTrue(Exit.isFailure(yield* Fiber.await(long)))
      })
    )

    it.effect("keeps nobody waiting either when whoever has asked is gone, and ends with them", () =>
      Effect.gen(function* () {
        const sql = yield* PgClient.PgClient
        const long = yield* Effect.forkChild(sql`SELECT pg_sleep(20)`)
        yield* untilUnderWay
        yield* Effect.forkChild(Fiber.interrupt(long), { startImmediately: true })
        yield* Effect.timeout(Effect.andThen(sql`SELECT 1`, sql.withTransaction(sql`SELECT 1`)), "4 seconds")
        yield* untilNothingIsUnderWay
      })
    )
  }
)

layer(TestService.layer(definition, { LOG_LEVEL: "None" }).pipe(Layer.provideMerge(TestDatabase.layer)), {
  excludeTestServices: true
})("a request whose connection is cut", (it) => {
  it.effect("is answered with 503 and when to come again, and soon another one works", () =>
    Effect.gen(function* () {
      const cut = yield* Effect.forkChild(get("/transaction?millis=4900"))
      yield* cutInTheMiddle
      const answer = yield* Fiber.join(cut)
      assert.strictEqual(answer.status, 503)
      assert.strictEqual(answer.headers["retry-after"], "1")
      assert.containSubset(yield* answer.json, { error: "unavailable" })
      // Every connection of the pool was cut, and of each that has to be noticed.
      yield* eventuallyOk("/transaction?millis=1", "20 seconds")
    }).pipe(Effect.provide(quiet))
  )
})

describe("when PostgreSQL restarts", () => {
  it.live.each(["fast", "immediate"] as const)("%s, every loop and every request path goes on", (mode) =>
    Effect.gen(function* () {
      const rounds = yield* Ref.make(0)
      const countingWorker = Layer.unwrap(
        Effect.gen(function* () {
          const sql = yield* PgClient.PgClient
          const round = Effect.andThen(
            sql.withTransaction(sql`SELECT count(*) FROM products`),
            Ref.update(rounds, (count) => count + 1)
          )
          return Worker.layer("counter", round, { every: "10 millis" })
        })
      ).pipe(Layer.provide(serviceClient), Layer.provideMerge(Health.layer))
      yield* Layer.build(countingWorker)

      const moreRounds = Effect.gen(function* () {
        const before = yield* Ref.get(rounds)
        yield* Ref.get(rounds).pipe(
          Effect.repeat({ until: (now) => now >= before + 5, schedule: Schedule.spaced("20 millis") }),
          Effect.timeout("90 seconds")
        )
      })

      yield* moreRounds
      yield* eventuallyOk("/transaction?millis=1")
      const cut = yield* Effect.forkChild(get("/transaction?millis=4900"))
      yield* untilUnderWay
      yield* (yield* EmbeddedPostgres).restart(mode)
      assert.strictEqual((yield* Fiber.join(cut)).status, 503)
      yield* moreRounds
      yield* eventuallyOk("/transaction?millis=1")
      yield* eventuallyOk("/health/ready")
    }).pipe(
      Effect.scoped,
      Effect.provide(
        TestService.layer(definition, { LOG_LEVEL: "None" }).pipe(Layer.provideMerge(TestDatabase.layerOwnServer))
      ),
      Effect.provide(quiet)
    )
  )
})
