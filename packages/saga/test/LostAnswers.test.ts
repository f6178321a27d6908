import { SagaDesk } from "@ecommerce/saga/SagaDesk"
import { SagaStore } from "@ecommerce/saga/SagaStore"
import { TestDatabase } from "@ecommerce/testing/TestDatabase"
import { PgClient } from "@effect/sql-pg"
import { assert, layer } from "@effect/vitest"
import { Duration, Effect, Layer, Metric, References } from "effect"
import { SqlError } from "effect/sql"

import {
  another,
  callsOf,
  database,
  desk,
  endsOf,
  journalOf,
  on,
  records,
  refused,
  startIn,
  statesOf,
  store,
  toldOf,
  unavailable,
  until
} from "./fixtures/Engines.ts"
import { policy } from "./fixtures/Trip.ts"

const world = Layer.merge(store(), desk.pipe(Layer.provide(store()))).pipe(
  Layer.provideMerge(Layer.mergeAll(records, database, Layer.succeed(References.MinimumLogLevel, "None")))
)

const lost = new SqlError.SqlError({
  reason: new SqlError.ConnectionError({ cause: new Error("cut"), message: "cut", operation: "query" })
})

/** A store whose first answer to this is lost: it is done all the same. */
const losing = (what: "claim" | "write") =>
  Effect.map(SagaStore, (whole) => {
    let isLost = false
    const loseOnce = <A, E>(work: Effect.Effect<A, E>) =>
      Effect.flatMap(work, (answer) => {
        if (isLost) return Effect.succeed(answer)
        isLost = true
        return Effect.fail(lost)
      })
    return SagaStore.of(
      what === "claim"
        ? { ...whole, claim: (wanted) => (wanted.suspects ? whole.claim(wanted) : loseOnce(whole.claim(wanted))) }
        : { ...whole, write: (worker, writes) => loseOnce(whole.write(worker, writes)) }
    )
  })

/** A store whose first claim is believed lost, and is committed by PostgreSQL a second later. */
const claimingLate = Effect.fnUntraced(function* (sql: PgClient.PgClient) {
  const whole = yield* SagaStore
  let isLost = false
  const late: (typeof whole)["claim"] = Effect.fnUntraced(function* (wanted) {
    isLost = true
    yield* Effect.forkDetach(sql.withTransaction(Effect.andThen(whole.claim(wanted), Effect.sleep("1 second"))))
    yield* Effect.sleep("100 millis")
    return yield* lost
  })
  return SagaStore.of({ ...whole, claim: (wanted) => (wanted.suspects || isLost ? whole.claim : late)(wanted) })
})

/** A store that does not hear that the last write of a saga has been done. */
const losingLast = Effect.map(SagaStore, (whole) => {
  let isLost = false
  return SagaStore.of({
    ...whole,
    write: (worker, writes) =>
      Effect.flatMap(whole.write(worker, writes), (answer) => {
        if (isLost || !writes.some(({ decision }) => decision.next._tag === "End")) return Effect.succeed(answer)
        isLost = true
        return Effect.fail(lost)
      })
  })
})

/** How often something has been counted in this process. */
const counted = (name: string) =>
  Effect.map(Metric.snapshot, (all) =>
    all
      .filter(({ id }) => id === name)
      .reduce((sum, { state }) => sum + ("count" in state ? Number(state.count) : 0), 0)
  )

/** With pauses that a test would not outlive. */
const slow = { policy: { ...policy, longestDelayMillis: 10 * 60_000 } }

const allDone = ["run book-flight 1 done", "run book-hotel 1 done", "run take-deposit 1 done", "run send-ticket 1 done"]

layer(world, { excludeTestServices: true })("an engine whose database answers and is not heard", (it) => {
  it.effect("works on what it has claimed without knowing of it, as if it had not been claimed before", () =>
    Effect.gen(function* () {
      const trips = Array.from({ length: 20 }, (_, n) => `claimed-${n}`)
      yield* startIn(...trips)
      yield* another({ ...slow, through: losing("claim") })
      assert.deepStrictEqual(new Set(yield* endsOf(...trips)), new Set(["COMPLETED"]))
      assert.deepStrictEqual(yield* journalOf("claimed-0"), allDone)
    })
  )

  it.effect("gives back also what was claimed for it after it had looked whether anything was", () =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      yield* startIn("claimed-late")
      yield* another({ ...slow, lease: Duration.seconds(5), through: claimingLate(sql) })
      assert.deepStrictEqual(yield* endsOf("claimed-late"), ["COMPLETED"])
      assert.deepStrictEqual(yield* journalOf("claimed-late"), allDone)
    })
  )

  it.effect("knows its own last write again: nobody else has fenced it off, and the end is counted", () =>
    Effect.gen(function* () {
      const fenced = yield* counted("saga_fenced_writes_total")
      const ended = yield* counted("sagas_ended_total")
      yield* startIn("last-write")
      yield* another({ ...slow, through: losingLast })
      assert.deepStrictEqual(yield* endsOf("last-write"), ["COMPLETED"])
      yield* until(counted("sagas_ended_total"), (count) => count > ended)
      assert.strictEqual(yield* counted("saga_fenced_writes_total"), fenced)
    })
  )

  it.effect("goes on behind what it has written without knowing of it, and neither writes nor tells it twice", () =>
    Effect.gen(function* () {
      yield* startIn("written")
      yield* another({ ...slow, through: losing("write") })
      assert.deepStrictEqual(yield* endsOf("written"), ["COMPLETED"])
      assert.deepStrictEqual(yield* journalOf("written"), allDone)
      assert.deepStrictEqual(
        (yield* toldOf("written")).map(({ version }) => version),
        [1, 2, 3, 4, 5]
      )
    })
  )

  it.effect("takes over from somebody of whom nothing is known at all", () =>
    Effect.gen(function* () {
      const { administrator } = yield* TestDatabase
      yield* startIn("of-a-stranger")
      yield* administrator`
        UPDATE orchestrator.sagas SET owner = uuidv7(), claims = 1, epoch = 1 WHERE key = 'of-a-stranger'`
      yield* another(slow)
      assert.deepStrictEqual(yield* endsOf("of-a-stranger"), ["COMPLETED"])
    })
  )

  it.effect("turns back at its deadline also what was left to people, where there is a way back", () =>
    Effect.gen(function* () {
      const { administrator } = yield* TestDatabase
      yield* startIn("left-alone")
      yield* administrator`
        UPDATE orchestrator.sagas SET claims = 5, deadline_at = now() + interval '3 seconds' WHERE key = 'left-alone'`
      yield* another(slow)
      assert.deepStrictEqual(yield* endsOf("left-alone"), ["FAILED"])
      assert.deepStrictEqual(
        (yield* toldOf("left-alone")).map(({ type }) => type),
        ["started", "stuck", "compensating", "failed"]
      )
      assert.include(yield* callsOf("left-alone"), "undo book-flight")
    })
  )

  it.effect("has sent nothing that it had to give back because its own lease was over", () =>
    Effect.gen(function* () {
      const sagas = yield* SagaStore
      const { administrator } = yield* TestDatabase
      const worker = "0192e4a0-0000-7000-8000-00000000ada0"
      yield* startIn("given-back")
      yield* sagas.beat(worker, "test", Duration.minutes(1))
      const [mine] = yield* sagas.claim({
        worker,
        definitions: [{ name: "book-trip", version: 1 }],
        most: 1,
        suspects: false
      })
      assert.isDefined(mine)
      if (mine === undefined) return
      yield* sagas.letGo(worker, { ...mine, epoch: mine.epoch - 1 }, Duration.zero, false)
      const claims = administrator`SELECT claims, owner IS NULL AS is_free FROM orchestrator.sagas WHERE key = 'given-back'`
      assert.deepStrictEqual(yield* claims, [{ claims: 1, isFree: false }])
      yield* sagas.letGo(worker, mine, Duration.zero, false)
      assert.deepStrictEqual(yield* claims, [{ claims: 0, isFree: true }])
      yield* on("given-back", "book-flight", Effect.succeed("a seat"))
    })
  )

  it.effect("undoes what was refused where an earlier attempt has no answer, whoever has it by then", () =>
    Effect.gen(function* () {
      yield* on("asked-twice", "book-flight", unavailable, refused)
      yield* startIn("asked-twice")
      yield* another({ policy: { ...policy, delayMillis: 20 } })
      assert.deepStrictEqual(yield* endsOf("asked-twice"), ["FAILED"])
      assert.include(yield* callsOf("asked-twice"), "undo book-flight")
    })
  )

  it.effect("remembers that a step may have happened, also when somebody has it retried at once", () =>
    Effect.gen(function* () {
      const { administrator } = yield* TestDatabase
      const { ofKey, retryNow } = yield* SagaDesk
      yield* on("retried", "book-flight", refused)
      yield* startIn("retried")
      // Sent by somebody who is gone, and given back.
      yield* administrator`
        UPDATE orchestrator.sagas SET claims = 1, epoch = 1, due_at = now() + interval '1 hour' WHERE key = 'retried'`
      yield* retryNow((yield* ofKey("retried"))[0]?.id ?? "")
      yield* another(slow)
      assert.deepStrictEqual(yield* endsOf("retried"), ["FAILED"])
      assert.include(yield* callsOf("retried"), "undo book-flight")
    })
  )

  it.effect("has a saga stuck, and tells of it, whose input it cannot read: it does not try for ever in silence", () =>
    Effect.gen(function* () {
      const { administrator } = yield* TestDatabase
      yield* startIn("illegible")
      yield* administrator`UPDATE orchestrator.sagas SET input = '{"tripId": 7}' WHERE key = 'illegible'`
      yield* another({ policy: { ...policy, delayMillis: 20, longestDelayMillis: 50 } })
      yield* until(toldOf("illegible"), (told) => told.some(({ type }) => type === "stuck"))
      assert.deepStrictEqual(yield* callsOf("illegible"), [])
      assert.include(yield* journalOf("illegible"), "run book-flight 1 unavailable")
    })
  )

  it.effect("takes back by the newest definition what was completed under one that is gone", () =>
    Effect.gen(function* () {
      const { administrator } = yield* TestDatabase
      const sql = yield* PgClient.PgClient
      const { cancel, wake } = yield* another(slow)
      yield* startIn("of-long-ago")
      assert.deepStrictEqual(yield* endsOf("of-long-ago"), ["COMPLETED"])
      yield* administrator`UPDATE orchestrator.sagas SET definition_version = 7 WHERE key = 'of-long-ago'`
      yield* sql.withTransaction(cancel([{ definition: "book-trip", key: "of-long-ago" }]))
      yield* wake
      yield* until(statesOf("of-long-ago"), (sagas) => sagas.length === 2)
      assert.deepStrictEqual(yield* endsOf("of-long-ago"), ["COMPLETED COMPLETED"])
      assert.include(yield* callsOf("of-long-ago"), "refund")
    })
  )
})
