/**
 * One run: orders are placed, brought to their end, counted, and audited. What is not clean, or not whole, does not count.
 */
import * as Audit from "@ecommerce/audit/Audit"
import * as Books from "@ecommerce/audit/Books"
import * as Report from "@ecommerce/audit/Report"
import { auditor } from "@ecommerce/chassis/Names"
import { Long, rowsOf } from "@ecommerce/sets/Sets"
import * as Databases from "@ecommerce/stack/Databases"
import { Clock, Effect, Schedule, Schema } from "effect"

import type { BenchStack } from "./BenchStack.ts"
import * as Costs from "./Costs.ts"
import type { Tally } from "./load/Plan.ts"
import { type BenchDatabase, Server } from "./Server.ts"

export class Discarded extends Schema.TaggedError<Discarded>()("Discarded", { reason: Schema.String }) {}

export interface Load {
  readonly connections: number
  readonly orders: number
  readonly products: ReadonlyArray<string>
}

export interface Measured {
  readonly tally: typeof Tally.Type
  readonly costs: Costs.Costs
  readonly acceptedPerSecond: number
  readonly completedPerSecond: number
  /** From the ledger's first row of an order to its last state. */
  readonly completedMillis: ReadonlyArray<number>
}

const LastId = rowsOf(Schema.Struct({ id: Schema.String }))
const Progress = rowsOf(Schema.Struct({ ended: Long, completed: Long }))
const Ends = rowsOf(Schema.Struct({ at: Schema.Number, millis: Schema.Number }))

/** Ids grow with time: whatever comes now has a greater one. */
export const lastOrder = Effect.fn("Measurement.lastOrder")(function* ({ administrator }: BenchDatabase) {
  const [last] = yield* LastId(
    administrator`SELECT order_id AS id FROM edge_api.order_ledger ORDER BY order_id DESC LIMIT 1`
  )
  return last?.id ?? "00000000-0000-0000-0000-000000000000"
})

/** So long nothing may happen. */
const patienceMillis = 60_000

/** Until so many orders have come to their end behind this one, and all of them to the good one. */
export const untilCompleted = Effect.fn("Measurement.untilCompleted")(function* (
  { administrator }: BenchDatabase,
  after: string,
  orders: number
) {
  let [ended, since] = [0, yield* Clock.currentTimeMillis]
  while (true) {
    const [progress] = yield* Progress(administrator`
      SELECT count(*) AS ended, count(*) FILTER (WHERE status = 'COMPLETED') AS completed
      FROM edge_api.order_ledger WHERE order_id > ${after}
        AND status IN ('COMPLETED', 'FAILED', 'CANCELLED', 'AUTHORIZATION_FAILED')`)
    const now = yield* Clock.currentTimeMillis
    if (progress !== undefined && progress.ended > ended) [ended, since] = [progress.ended, now]
    if (progress !== undefined && progress.ended !== progress.completed) {
      return yield* new Discarded({ reason: `${progress.ended - progress.completed} orders were not completed` })
    }
    if (ended >= orders) return
    if (now - since > patienceMillis) {
      return yield* new Discarded({ reason: `${orders - ended} orders have not come to their end` })
    }
    yield* Effect.sleep("200 millis")
  }
})

/** When the last of them was completed, and how long each has taken, by the database's clock, which is the load's too. */
export const endsOf = ({ administrator }: BenchDatabase, after: string) =>
  Ends(administrator`
    SELECT extract(epoch FROM at)::float8 * 1000 AS at, extract(epoch FROM at - created_at)::float8 * 1000 AS millis
    FROM edge_api.order_ledger JOIN edge_api.order_states USING (order_id)
    WHERE order_id > ${after} AND order_states.status = 'COMPLETED' ORDER BY at`)

/** Of everything that the database holds. Waits for readers of feeds that are behind still. */
export const audit = Effect.fn("Measurement.audit")(function* (database: BenchDatabase) {
  const { credentials } = yield* Server
  const books = yield* Books.open(() => Databases.urlOf(database.url, auditor, credentials.passwordOf(auditor)))
  const report = yield* Audit.run(books).pipe(
    Effect.repeat({
      until: ({ moving }) => moving.length === 0,
      schedule: Schedule.spaced("1 second"),
      times: 60
    })
  )
  if (!Report.isClean(report) || report.moving.length > 0) {
    return yield* new Discarded({ reason: `the audit is not clean:\n${Report.render(report)}` })
  }
}, Effect.scoped)

/** Counts only if {@link refuseUnclean} has nothing against it afterwards. */
export const place = Effect.fn("Measurement.place")(function* (database: BenchDatabase, stack: BenchStack, load: Load) {
  const after = yield* lastOrder(database)
  const before = yield* Costs.read(database, stack)
  const tally = yield* stack.place({ ...load, waits: false, pauseMillis: 0 })
  yield* refuseRefusals(tally)
  yield* untilCompleted(database, after, load.orders)
  const costs = Costs.between(before, yield* Costs.read(database, stack), load.orders)
  const ends = yield* endsOf(database, after)
  const measured: Measured = {
    tally,
    costs,
    acceptedPerSecond: (load.orders * 1000) / (tally.endedAt - tally.startedAt),
    completedPerSecond: (load.orders * 1000) / ((ends.at(-1)?.at ?? Number.NaN) - tally.startedAt),
    completedMillis: ends.map(({ millis }) => millis)
  }
  return measured
})

export const refuseUnclean = (database: BenchDatabase, stack: BenchStack) =>
  Effect.andThen(audit(database), refuseCasualties(stack))

export const run = Effect.fn("Measurement.run")(function* (database: BenchDatabase, stack: BenchStack, load: Load) {
  const measured = yield* place(database, stack, load)
  yield* refuseUnclean(database, stack)
  return measured
})

export const refuseRefusals = ({ refusals }: typeof Tally.Type) =>
  refusals.length === 0
    ? Effect.void
    : new Discarded({ reason: `${refusals.length} orders were not taken, such as: ${refusals[0]}` })

export const refuseCasualties = Effect.fnUntraced(function* (stack: BenchStack) {
  const casualties = yield* stack.casualties
  if (casualties.length > 0) return yield* new Discarded({ reason: `${casualties.join(", ")} died meanwhile` })
})
