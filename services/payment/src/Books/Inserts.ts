/**
 * Postings into the books, each kind with one statement for all of a set.
 */
import { longs, texts, uuids } from "@ecommerce/sets/Sets"
import type { PgClient } from "@effect/sql-pg"
import { Effect } from "effect"
import type { SqlError } from "effect/sql"

import type { Posting } from "../Books.ts"

type Insert = (postings: ReadonlyArray<Posting>) => Effect.Effect<unknown, SqlError.SqlError>

/** Does nothing where there is nothing of this kind. */
const forSome =
  <A>(pick: (posting: Posting) => ReadonlyArray<A>, insert: (items: ReadonlyArray<A>) => ReturnType<Insert>): Insert =>
  (postings) => {
    const items = postings.flatMap(pick)
    return items.length === 0 ? Effect.void : insert(items)
  }

export const insertsOf = (sql: PgClient.PgClient) => ({
  authorizations: forSome(
    ({ entry, payment }) =>
      entry.entry === "authorized" || entry.entry === "declined"
        ? [{ ...payment, declineCode: entry.entry === "declined" ? entry.declineCode : null }]
        : [],
    (decisions) => sql`
      INSERT INTO authorizations (authorization_id, amount_cents, decline_code)
      SELECT * FROM unnest(
        ${texts(decisions.map(({ authorizationId }) => authorizationId))},
        ${longs(decisions.map(({ amountCents }) => amountCents ?? 0))},
        ${texts(decisions.map(({ declineCode }) => declineCode))}
      )`
  ),
  captures: forSome(
    ({ entry, payment }) => (entry.entry === "captured" ? [{ ...payment, ...entry }] : []),
    (captures) => sql`
      INSERT INTO captures (authorization_id, capture_id, approved_cents, amount_cents)
      SELECT authorization_id, capture_id, approved_cents, input.amount_cents
      FROM unnest(
        ${texts(captures.map(({ authorizationId }) => authorizationId))},
        ${texts(captures.map(({ captureId }) => captureId))},
        ${longs(captures.map(({ amountCents }) => amountCents ?? 0))}
      ) AS input (authorization_id, capture_id, amount_cents) JOIN authorizations USING (authorization_id)
      WHERE authorizations.authorization_id = ANY(${texts(captures.map(({ authorizationId }) => authorizationId))})`
  ),
  captureRefusals: forSome(
    ({ entry, payment }) => (entry.entry === "capture_refused" ? [payment] : []),
    (refused) => sql`
      INSERT INTO capture_refusals (order_id, reason, amount_cents, digest)
      SELECT order_id, 'capture_declined', amount_cents, digest
      FROM unnest(
        ${uuids(refused.map(({ orderId }) => orderId))},
        ${longs(refused.map(({ captureCents }) => captureCents ?? 0))},
        ${texts(refused.map(({ captureDigest }) => captureDigest))}
      ) AS input (order_id, amount_cents, digest)`
  ),
  voids: forSome(
    ({ entry, payment }) => (entry.entry === "voided" ? [payment.authorizationId] : []),
    (ids) => sql`
      INSERT INTO voids (authorization_id, approved_cents)
      SELECT authorization_id, approved_cents FROM authorizations WHERE authorization_id = ANY(${texts(ids)})`
  ),
  refunds: forSome(
    ({ entry, payment }) => (entry.entry === "refunded" ? [{ ...payment, ...entry }] : []),
    (refunds) => sql`
      INSERT INTO refunds (authorization_id, captured_cents, amount_cents)
      SELECT authorization_id, captures.amount_cents, input.amount_cents
      FROM unnest(
        ${texts(refunds.map(({ authorizationId }) => authorizationId))},
        ${longs(refunds.map(({ amountCents }) => amountCents ?? 0))}
      ) AS input (authorization_id, amount_cents) JOIN captures USING (authorization_id)
      WHERE captures.authorization_id = ANY(${texts(refunds.map(({ authorizationId }) => authorizationId))})`
  )
})
