import type { CloudEvent } from "@ecommerce/outbox/FeedEndpoint"
import { PgClient } from "@effect/sql-pg"
import { assert, layer } from "@effect/vitest"
import { Effect, Fiber, Ref } from "effect"
import * as fc from "fast-check"

import {
  compare,
  another,
  append,
  endOf,
  Producer,
  producerOnItsOwn,
  read,
  settled,
  subjectsOf,
  tell
} from "./fixtures/Producer.ts"

const transaction = fc.record({
  idleMillis: fc.integer({ min: 0, max: 15 }),
  takesItsNumberFirst: fc.boolean(),
  /** How many events each time, and how long it works before and after. */
  appends: fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 3 }),
  worksMillis: fc.integer({ min: 0, max: 20 }),
  endsBy: fc.constantFrom("commit", "commit", "commit", "rolling back", "an error of PostgreSQL")
})
type Transaction = typeof transaction extends fc.Arbitrary<infer A> ? A : never

const reader = fc.record({
  limit: fc.oneof(fc.integer({ min: 1, max: 6 }), fc.integer({ min: 1, max: 1000 })),
  pauseMillis: fc.integer({ min: 0, max: 8 }),
  waits: fc.boolean()
})
type Reader = typeof reader extends fc.Arbitrary<infer A> ? A : never

const plan = fc.record({
  writers: fc.array(fc.array(transaction, { minLength: 2, maxLength: 6 }), { minLength: 3, maxLength: 7 }),
  readers: fc.array(reader, { minLength: 3, maxLength: 4 })
})

/** Answers the subjects that were committed, in their order. */
const write = Effect.fn("write")(function* (name: string, sql: PgClient.PgClient, plan: Transaction) {
  const pause = Effect.sleep(plan.worksMillis)
  const batches = plan.appends.map((count, batch) => Array.from({ length: count }, (_, n) => `${name}-${batch}-${n}`))
  yield* Effect.sleep(plan.idleMillis)
  return yield* Effect.gen(function* () {
    if (plan.takesItsNumberFirst) yield* Effect.andThen(sql`SELECT pg_current_xact_id()::text`, pause)
    for (const batch of batches) yield* Effect.andThen(append(batch), pause)
    if (plan.endsBy === "rolling back") return yield* Effect.fail("a change of mind")
    if (plan.endsBy === "an error of PostgreSQL") yield* sql`SELECT 1 / 0`
    return [batches.flat()]
  }).pipe(
    Effect.provideService(PgClient.PgClient, sql),
    sql.withTransaction,
    Effect.catchIf(
      () => plan.endsBy !== "commit",
      () => Effect.succeed([])
    )
  )
})

/** Pages on until all is written and nothing is left. */
const readOn = Effect.fn("readOn")(function* (
  consumer: string,
  after: string,
  { limit, pauseMillis, waits }: Reader,
  isOver: Effect.Effect<boolean>
) {
  const events: Array<CloudEvent> = []
  for (;;) {
    const over = yield* isOver
    const wait = waits && !over ? 1 : 0
    const page = yield* read(consumer, events.at(-1)?.cursor ?? after, { limit, wait })
    events.push(...page)
    if (over && page.length === 0 && events.at(-1)?.subject.endsWith("over") === true) return events
    yield* Effect.sleep(pauseMillis)
  }
})

const placeOf = ({ id }: CloudEvent) => {
  const [generation, xid = "", seq = ""] = id.split(".")
  return { generation: Number(generation), xid, seq }
}

/** Where the transactions' events stand apart, or in another order than they were appended in. */
const tornApart = (transactions: ReadonlyArray<ReadonlyArray<string>>, subjects: ReadonlyArray<string>) =>
  transactions.filter((told) => {
    const at = subjects.indexOf(told[0] ?? "")
    return told.some((subject, place) => subjects[at + place] !== subject)
  })

layer(producerOnItsOwn(), { excludeTestServices: true })("readers beside writers", (it) => {
  const seed = Date.now()

  it.effect.each(fc.sample(plan, { numRuns: 12, seed }).map((plan, round) => [round, plan] as const))(
    `see exactly what is committed, each once and all in one order, whoever commits late or rolls back (plan %s of ${seed})`,
    ([round, { readers, writers }]) =>
      Effect.gen(function* () {
        const here = yield* Producer
        const there = yield* another()
        const after = yield* endOf(`round-${round}`)
        const isOver = yield* Ref.make(false)
        const reading = yield* Effect.forEach(readers, (reader, index) =>
          readOn(`round-${round}-${index}`, after, reader, Ref.get(isOver)).pipe(
            Effect.provideService(Producer, index % 2 === 0 ? here : there),
            Effect.forkChild
          )
        )
        const transactions = yield* Effect.forEach(
          writers,
          (transactions, writer) =>
            Effect.forEach(transactions, (plan, index) =>
              write(`${round}-${writer}-${index}`, writer % 2 === 0 ? here.sql : there.sql, plan)
            ),
          { concurrency: "unbounded" }
        )
        yield* settled
        yield* Ref.set(isOver, true)
        // Those that wait hear that it is over.
        yield* tell(`${round}-over`)
        const committed = [...transactions.flat(2), [`${round}-over`]]
        const [first = [], ...others] = yield* Effect.forEach(reading, Fiber.join)
        assert.deepStrictEqual(subjectsOf(first).toSorted(), committed.flat().toSorted())
        for (const other of others) assert.deepStrictEqual(other, first)
        assert.deepStrictEqual(tornApart(committed, subjectsOf(first)), [])
        const places = first.map(placeOf)
        assert.deepStrictEqual(places, places.toSorted(compare))
      })
  )
})
