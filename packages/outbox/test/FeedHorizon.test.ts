import * as Database from "@ecommerce/chassis/Database"
import { EmbeddedPostgres } from "@ecommerce/stack/EmbeddedPostgres"
import { TestDatabase } from "@ecommerce/testing/TestDatabase"
import { PgClient } from "@effect/sql-pg"
import { assert, layer } from "@effect/vitest"
import { Console, Duration, Effect, Fiber, Layer } from "effect"
import { Reactivity } from "effect/reactivity"

import {
  append,
  begin,
  commit,
  endOf,
  eventually,
  Producer,
  producerOnItsOwn,
  read,
  readAll,
  readUpTo,
  settled,
  subjectsOf,
  tell
} from "./fixtures/Producer.ts"

/** A client of another database of the same server. */
const batchJob = Effect.gen(function* () {
  const server = yield* EmbeddedPostgres
  const url = server.url("postgres")
  return yield* Database.make({ url, applicationName: "nightly batch", maxConnections: 1 }).pipe(
    Effect.provide(Reactivity.layer)
  )
})

/** A transaction of that client that has written, and goes on until the scope ends. */
const batchJobAtWork = Effect.gen(function* () {
  const sql = yield* batchJob
  const [row] = yield* sql<{ pid: number }>`SELECT pg_backend_pid() AS pid`
  return { pid: row?.pid, ...(yield* begin(sql, sql`SELECT pg_current_xact_id()::text`)) }
})

/** Another producer with these settings, and what it logs. */
const loud = Effect.fn("loud")(function* (settings: Readonly<Record<string, string>>) {
  const lines: Array<string> = []
  const console = yield* Console.Console
  const listening = { ...console, log: (...words: ReadonlyArray<unknown>) => void lines.push(words.join(" ")) }
  yield* Layer.build(Layer.fresh(Producer.layer({ LOG_FORMAT: "json", ...settings }))).pipe(
    Effect.provideService(Console.Console, listening)
  )
  return lines
})

layer(producerOnItsOwn(), { excludeTestServices: true })("the horizon of a feed", (it) => {
  it.effect("stands before a transaction that is under way: nothing of a later one is given before it ends", () =>
    Effect.gen(function* () {
      const { sql } = yield* Producer
      const after = yield* endOf("late")
      yield* tell("before")
      const late = yield* begin(sql, append(["late-1", "late-2"]))
      yield* commit("after-1")
      yield* commit("after-2", "after-3")
      assert.deepStrictEqual(subjectsOf(yield* readAll("late", after)), ["before"])
      yield* late.end("commit")
      yield* settled
      const all = yield* readAll("late", after)
      assert.deepStrictEqual(subjectsOf(all), ["before", "late-1", "late-2", "after-1", "after-2", "after-3"])
      assert.deepStrictEqual(subjectsOf(yield* readAll("late", all[0]?.cursor)), subjectsOf(all).slice(1))
    })
  )

  it.effect("goes past one that is rolled back, and nothing of that one is ever given", () =>
    Effect.gen(function* () {
      const { sql } = yield* Producer
      const after = yield* endOf("undone")
      const undone = yield* begin(sql, append(["undone"]))
      yield* commit("kept")
      assert.deepStrictEqual(yield* readAll("undone", after), [])
      yield* undone.end("roll back")
      yield* settled
      assert.deepStrictEqual(subjectsOf(yield* readAll("undone", after)), ["kept"])
    })
  )

  it.effect("stands before one that took its number early and appends late", () =>
    Effect.gen(function* () {
      const { sql } = yield* Producer
      const after = yield* endOf("numbered")
      const early = yield* begin(sql, sql`SELECT pg_current_xact_id()::text`, append(["early-number"]))
      yield* commit("later-number")
      assert.deepStrictEqual(yield* readAll("numbered", after), [])
      yield* early.end("commit")
      yield* settled
      assert.deepStrictEqual(subjectsOf(yield* readAll("numbered", after)), ["early-number", "later-number"])
    })
  )

  it.effect("is not held by a transaction that only reads", () =>
    Effect.gen(function* () {
      const { sql } = yield* Producer
      const after = yield* endOf("reading")
      const reader = yield* begin(sql, sql`SELECT count(*) FROM outbox`)
      yield* commit("not-held")
      assert.deepStrictEqual(subjectsOf(yield* readAll("reading", after)), ["not-held"])
      yield* reader.end("commit")
    })
  )

  it.effect("goes past a rolled back savepoint with what its transaction keeps", () =>
    Effect.gen(function* () {
      const { sql } = yield* Producer
      const after = yield* endOf("savepoint")
      const inner = sql.withTransaction(Effect.andThen(append(["inner"]), Effect.fail("no")))
      yield* Effect.all([append(["outer-1"]), Effect.ignore(inner), append(["outer-2"])]).pipe(
        Effect.provideService(PgClient.PgClient, sql),
        sql.withTransaction
      )
      yield* settled
      assert.deepStrictEqual(subjectsOf(yield* readAll("savepoint", after)), ["outer-1", "outer-2"])
    })
  )

  it.effect("is that of the whole server: a writer in another database holds it, and is named", () =>
    Effect.gen(function* () {
      const { feed } = yield* Producer
      const after = yield* endOf("elsewhere")
      const before = Date.now()
      const job = yield* batchJobAtWork
      yield* commit("held")
      assert.deepStrictEqual(yield* readAll("elsewhere", after), [])
      const holder = yield* feed.holder
      assert.strictEqual(holder?.pid, job.pid)
      assert.strictEqual(holder?.who, "postgres of nightly batch in postgres")
      assert.isAtMost(Math.abs((holder?.since?.epochMilliseconds ?? 0) - before), 5000)
      yield* job.end("roll back")
      yield* settled
      assert.deepStrictEqual(subjectsOf(yield* readAll("elsewhere", after)), ["held"])
      yield* eventually(Effect.map(feed.holder, (holder) => holder === undefined))
    })
  )

  it.effect("is told of also where nobody may see since when, and then the service is well all the same", () =>
    Effect.gen(function* () {
      const { administrator } = yield* TestDatabase
      const { feed } = yield* Producer
      yield* administrator`CREATE ROLE migrator`.unprepared
      yield* administrator`GRANT ALL ON SCHEMA inventory TO migrator`.unprepared
      yield* administrator`ALTER FUNCTION inventory.outbox_holder() OWNER TO migrator`.unprepared
      const after = yield* endOf("hidden")
      const job = yield* batchJobAtWork
      yield* commit("held")
      assert.containSubset(yield* feed.holder, { pid: job.pid, since: null })
      yield* Effect.sleep("1100 millis")
      const lines = yield* loud({ FEED_ALARM_AFTER: "1 second" })
      yield* eventually(Effect.sync(() => lines.some((line) => line.includes("hidden is"))))
      assert.match(lines.join("\n"), /The oldest transaction that writes is [^,]+ \(process \d+\)\./u)
      yield* job.end("commit")
      assert.isString(after)
      yield* administrator`ALTER FUNCTION inventory.outbox_holder() OWNER TO postgres`.unprepared
      yield* settled
      yield* readUpTo("hidden", "held")
    })
  )

  it.effect("is held by a prepared transaction, which is named", () =>
    Effect.gen(function* () {
      const { administrator, name } = yield* TestDatabase
      const server = yield* EmbeddedPostgres
      const { feed } = yield* Producer
      yield* administrator`ALTER SYSTEM SET max_prepared_transactions = 5`.unprepared
      yield* server.restart("fast")
      yield* eventually(Effect.isSuccess(tell("there again")))
      const after = yield* endOf("prepared")
      yield* Effect.scoped(
        Effect.gen(function* () {
          const url = server.url(name)
          const sql = yield* Database.make({ url, applicationName: "two phases", maxConnections: 1 })
          yield* sql`BEGIN`.unprepared
          yield* sql`CREATE TABLE public.prepared ()`.unprepared
          yield* sql`PREPARE TRANSACTION 'left behind'`.unprepared
        })
      ).pipe(Effect.provide(Reactivity.layer))
      yield* commit("held")
      assert.deepStrictEqual(yield* readAll("prepared", after), [])
      const holder = yield* feed.holder
      assert.isNull(holder?.pid)
      assert.strictEqual(holder?.who, `the prepared transaction left behind of postgres in ${name}`)
      yield* administrator`ROLLBACK PREPARED 'left behind'`.unprepared
      yield* settled
      assert.deepStrictEqual(subjectsOf(yield* readAll("prepared", after)), ["held"])
    })
  )

  it.effect("is looked at again soon: what waited before it was asked for is given when the transaction is over", () =>
    Effect.gen(function* () {
      const job = yield* batchJob
      const waits = yield* Effect.forEach([1, 2, 3, 4, 5], () =>
        Effect.gen(function* () {
          const after = yield* endOf("soon")
          const holding = yield* begin(job, job`SELECT pg_current_xact_id()::text`)
          yield* commit("waits")
          const reading = yield* Effect.forkChild(read("soon", after, { wait: 20 }))
          yield* Effect.sleep("150 millis")
          yield* holding.end("commit")
          const [taken, events] = yield* Effect.timed(Fiber.join(reading))
          assert.deepStrictEqual(subjectsOf(events), ["waits"])
          return Duration.toMillis(taken)
        })
      )
      // Nobody says when the other one is over; without a look of one's own it would be a second.
      assert.isBelow(waits.toSorted((a, b) => a - b)[2] ?? 0, 900)
    })
  )

  it.effect("is told of as the work of the one that it stands before, not of one that began earlier", () =>
    Effect.gen(function* () {
      const { feed, sql } = yield* Producer
      const job = yield* batchJob
      yield* endOf("holder")
      // The batch began first, and takes its number last.
      const batch = yield* begin(job, job`SELECT 1`)
      const holding = yield* begin(sql, append(["holding"]))
      yield* batch.also(job`SELECT pg_current_xact_id()::text`)
      const holder = yield* feed.holder
      assert.include(holder?.who, " of inventory in ")
      yield* holding.end("commit")
      assert.include((yield* feed.holder)?.who, " of nightly batch in ")
      yield* batch.end("commit")
    })
  )

  it.effect("is in the log with its holder when a consumer is too far behind", () =>
    Effect.gen(function* () {
      yield* endOf("alarm")
      const job = yield* batchJobAtWork
      yield* commit("held")
      yield* Effect.sleep("1100 millis")
      const lines = yield* loud({ FEED_ALARM_AFTER: "1 second" })
      yield* eventually(Effect.sync(() => lines.some((line) => line.includes("behind"))))
      const line = lines.find((one) => one.includes("behind")) ?? ""
      assert.match(line, /"level":"WARN"/u)
      assert.match(line, /alarm is \d+ s behind/u)
      assert.include(line, `postgres of nightly batch in postgres (process ${job.pid}), since 20`)
      yield* job.end("commit")
    })
  )

  it.effect("is not blamed where nothing holds it, and nobody is told of who is not late", () =>
    Effect.gen(function* () {
      yield* tell("unread")
      yield* Effect.sleep("1100 millis")
      // A short transaction of the service's own may be there by chance.
      const isBlameless = Effect.gen(function* () {
        const late = yield* loud({ FEED_ALARM_AFTER: "1 second" })
        yield* eventually(Effect.sync(() => late.some((line) => line.includes("behind"))))
        return /No transaction holds the feed up. \w+ has asked \d+ s ago/u.test(late.join("\n"))
      })
      yield* eventually(Effect.scoped(isBlameless))
      const early = yield* loud({ FEED_ALARM_AFTER: "1 hour" })
      yield* Effect.sleep("300 millis")
      assert.notInclude(early.join("\n"), "behind")
    })
  )
})
