/**
 * Three engines on one database, two of which are killed, paused and started again, while trips go well, are refused, are not
 * answered and are cancelled. Agencies keep what participants owe: once for a key, refusals and undos remembered.
 */
import { rowsOf } from "@ecommerce/sets/Sets"
import * as Relay from "@ecommerce/testing/Relay"
import { TestDatabase } from "@ecommerce/testing/TestDatabase"
import { PgClient } from "@effect/sql-pg"
import { assert, layer } from "@effect/vitest"
import { Duration, Effect, Exit, Layer, Redacted, References, Schema, Scope } from "effect"

import { Agency } from "./fixtures/Agency.ts"
import { another, database, records, startIn, store, until } from "./fixtures/Engines.ts"
import { policy } from "./fixtures/Trip.ts"

const quiet = Layer.succeed(References.MinimumLogLevel, "None")
const world = store().pipe(Layer.provideMerge(Layer.mergeAll(records, database, quiet)))

const trips = Array.from({ length: 300 }, (_, n) => `trip-${n}`)

/** It dies more often here than five times in a saga's life, which on a slow machine is not the saga's fault. */
const patient = {
  lease: Duration.seconds(1),
  policy: { ...policy, delayMillis: 20, longestDelayMillis: 200, mostClaims: 1000 }
}

const sagaRows = rowsOf(
  Schema.Struct({
    key: Schema.String,
    definition: Schema.String,
    status: Schema.String,
    stuck: Schema.NullOr(Schema.String)
  })
)

/** Begins anew, at the mercy of the network between it and its database. */
const live = Effect.fn("live")(function* (agency: Agency, random: () => number) {
  const { urlOf } = yield* TestDatabase
  const relay = yield* Relay.make(Redacted.value(urlOf("orchestrator")))
  const url = new URL(Redacted.value(urlOf("orchestrator")))
  url.host = new URL(relay.url).host
  for (;;) {
    const scope = yield* Scope.make()
    yield* relay.be("open")
    yield* another({
      answerAll: agency.ask,
      url: Redacted.make(url.href),
      ...patient,
      stopWithin: Duration.millis(20)
    }).pipe(Scope.provide(scope))
    yield* Effect.sleep(`${150 + Math.floor(random() * 500)} millis`)
    // Dead from one moment to the next, or cut off for longer than its lease and back as a zombie.
    yield* relay.be("away")
    if (random() < 0.5) {
      yield* Effect.sleep("1300 millis")
      yield* relay.be("open")
      yield* Effect.sleep("300 millis")
      yield* relay.be("away")
    }
    yield* Effect.exit(Scope.close(scope, Exit.void))
  }
})

layer(world, { excludeTestServices: true })("sagas under fire", (it) => {
  it.effect(
    "all come to their end, with nothing done twice and nothing left half done",
    () =>
      Effect.gen(function* () {
        const { administrator } = yield* TestDatabase
        const sql = yield* PgClient.PgClient
        const agency = new Agency(20_261_125)
        const steady = yield* another({ answerAll: agency.ask, ...patient })
        yield* Effect.forkScoped(live(agency, agency.random))
        yield* Effect.forkScoped(live(agency, agency.random))
        for (const [n, trip] of trips.entries()) {
          yield* startIn(trip)
          if (n % 5 === 0) {
            const asked = [{ definition: "book-trip", key: trips[Math.floor(agency.random() * (n + 1))] ?? trip }]
            yield* sql.withTransaction(steady.cancel(asked))
          }
          if (n % 10 === 0) yield* Effect.sleep("20 millis")
        }
        const sagas = sagaRows(administrator`SELECT key, definition, status, stuck FROM orchestrator.sagas`)
        yield* until(sagas, (rows) => rows.every(({ status }) => status !== "RUNNING" && status !== "COMPENSATING"))
        const rows = yield* sagas
        assert.strictEqual(rows.filter(({ definition }) => definition === "book-trip").length, trips.length)
        for (const trip of trips) {
          const ends = new Set(
            rows.filter(({ key }) => key === trip).map(({ definition, status }) => `${definition} ${status}`)
          )
          agency.check(trip, ends.has("book-trip COMPLETED"), ends.has("cancel-trip COMPLETED"))
        }
        const statuses = new Set(rows.map(({ definition, status }) => `${definition} ${status}`))
        assert.sameMembers(
          [...statuses],
          ["book-trip COMPLETED", "book-trip FAILED", "book-trip CANCELLED", "cancel-trip COMPLETED"]
        )
        const tooMany = yield* administrator`
        SELECT FROM orchestrator.saga_journal WHERE outcome IN ('done', 'resolved')
        GROUP BY saga_id, kind, step HAVING count(*) > 1`
        assert.strictEqual(tooMany.length, 0)
        const takenOver = yield* administrator`SELECT FROM orchestrator.saga_journal WHERE outcome = 'unknown'`
        assert.isAbove(takenOver.length, 0)
      }),
    180_000
  )
})
