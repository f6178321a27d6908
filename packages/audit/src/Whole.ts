/**
 * What has to be so of each service by itself: nothing done twice, nothing put aside, nothing unread.
 */
import { Long, rowsOf } from "@ecommerce/sets/Sets"
import type { PgClient } from "@effect/sql-pg"
import { Effect, Schema } from "effect"

import type { Books } from "./Books.ts"
import type { Finding } from "./Report.ts"

const stepRows = rowsOf(Schema.Struct({ violation: Schema.String }))
const countRows = rowsOf(Schema.Struct({ looked: Long }))

const noStepTwice = Effect.fn("Whole.noStepTwice")(function* ({ orchestrator: sql }: Books) {
  const violations = yield* stepRows(sql`
    SELECT concat_ws(' ', saga_id, kind, step, 'is done', count(*), 'times') AS violation FROM orchestrator.saga_journal
    WHERE outcome IN ('done', 'resolved') GROUP BY saga_id, kind, step HAVING count(*) > 1 LIMIT 100`)
  const [count] = yield* countRows(sql`SELECT count(*) AS looked FROM orchestrator.saga_journal`)
  const finding: Finding = {
    invariant: "no step of a saga is done twice",
    looked: count?.looked ?? 0,
    violations: violations.map(({ violation }) => violation)
  }
  return finding
})

const ConsumerRow = Schema.Struct({ consumer: Schema.String, isPaused: Schema.Boolean, deadLetters: Long })
const consumerRows = rowsOf(ConsumerRow)

const nothingPutAside = Effect.fn("Whole.nothingPutAside")(function* ({ edge, orchestrator }: Books) {
  const consumers = [
    ...(yield* consumerRows(edge`
      SELECT consumer, paused_at IS NOT NULL AS is_paused,
        (SELECT count(*) FROM edge_api.dead_letters WHERE dead_letters.consumer = feed_cursors.consumer) AS dead_letters
      FROM edge_api.feed_cursors`)),
    ...(yield* consumerRows(orchestrator`
      SELECT consumer, paused_at IS NOT NULL AS is_paused,
        (SELECT count(*) FROM orchestrator.dead_letters WHERE dead_letters.consumer = feed_cursors.consumer) AS dead_letters
      FROM orchestrator.feed_cursors`))
  ]
  const finding: Finding = {
    invariant: "no consumer is paused, or has put an event aside",
    looked: consumers.length,
    violations: consumers.flatMap(({ consumer, deadLetters, isPaused }) => [
      ...(isPaused ? [`${consumer} is paused`] : []),
      ...(deadLetters > 0 ? [`${consumer} has ${deadLetters} dead letters`] : [])
    ])
  }
  return finding
})

const UnreadRow = Schema.Struct({ consumer: Schema.String, unread: Long, seconds: Schema.Number })
const unreadRows = rowsOf(UnreadRow)

/** Events that somebody known has not read, and for how long; counted up to a thousand. */
const unreadIn = (sql: PgClient.PgClient, schema: string) =>
  unreadRows(
    sql.unsafe(`
      SELECT name AS consumer, behind.unread, behind.seconds FROM ${schema}.outbox_consumers AS known
      CROSS JOIN LATERAL (
        SELECT count(*) AS unread,
          coalesce(extract(epoch FROM clock_timestamp() - min(created_at)), 0)::float8 AS seconds
        FROM (
          SELECT created_at FROM ${schema}.outbox
          WHERE (outbox.generation, outbox.xid, outbox.seq) > (known.generation, known.xid, known.seq) LIMIT 1000
        ) AS unread_events
      ) AS behind`)
  )

/** How far a consumer has come is told once a second; what is older than this is not on its way. */
const grace = 30

export const feeds = Effect.fn("Whole.feeds")(function* (books: Books) {
  const consumers = (yield* Effect.all([
    unreadIn(books.edge, "edge_api"),
    unreadIn(books.orchestrator, "orchestrator"),
    unreadIn(books.orders, "orders"),
    unreadIn(books.inventory, "inventory"),
    unreadIn(books.payment, "payment")
  ])).flat()
  const behind = consumers.filter(({ unread }) => unread > 0)
  const finding: Finding = {
    invariant: "every consumer has read its feed to the end",
    looked: consumers.length,
    violations: behind
      .filter(({ seconds }) => seconds > grace)
      .map(({ consumer, seconds, unread }) => `${consumer} has ${unread} events unread, for ${Math.round(seconds)} s`)
  }
  const moving = behind.filter(({ seconds }) => seconds <= grace).map(({ consumer }) => `${consumer} reads`)
  return { finding, moving }
})

const checkoutRows = rowsOf(Schema.Struct({ looked: Long, late: Long }))

const noRequestLeft = Effect.fn("Whole.noRequestLeft")(function* ({ edge: sql }: Books) {
  const [row] = yield* checkoutRows(sql`
    SELECT count(*) AS looked,
      count(*) FILTER (WHERE status IS NULL AND lease_until < clock_timestamp() - interval '20 minutes') AS late
    FROM edge_api.checkouts`)
  const finding: Finding = {
    invariant: "every request for an order has its answer",
    looked: row?.looked ?? 0,
    violations: row !== undefined && row.late > 0 ? [`${row.late} have none for more than 20 minutes`] : []
  }
  return finding
})

const noMoneyOfNobody = Effect.fn("Whole.noMoneyOfNobody")(function* ({ payment: sql }: Books) {
  const violations = yield* stepRows(sql`
    SELECT concat_ws(' ', reference, 'is', state, 'and of no payment') AS violation FROM payment.processor_payments
    WHERE state IN ('AUTHORIZED', 'CAPTURED', 'REFUNDED')
      AND NOT EXISTS (SELECT FROM payment.payments WHERE authorization_id = reference) LIMIT 100`)
  const [count] = yield* countRows(sql`SELECT count(*) AS looked FROM payment.processor_payments`)
  const finding: Finding = {
    invariant: "the processor has nobody's money",
    looked: count?.looked ?? 0,
    violations: violations.map(({ violation }) => violation)
  }
  return finding
})

export const judge = (books: Books) =>
  Effect.all([noStepTwice(books), noMoneyOfNobody(books), nothingPutAside(books), noRequestLeft(books)])
