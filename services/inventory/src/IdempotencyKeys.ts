/**
 * Requests that happened already, with their answers.
 *
 * A key is claimed in the transaction that does its work and stores its answer: whoever comes second with the key waits
 * on its row until that transaction ends, and then finds the answer, or nothing at all where it was rolled back.
 */
import * as Settings from "@ecommerce/chassis/Settings"
import * as Worker from "@ecommerce/chassis/Worker"
import { integers, rowsOf, texts } from "@ecommerce/sets/Sets"
import { PgClient } from "@effect/sql-pg"
import { Context, Duration, Effect, Layer, Schema } from "effect"
import type { SqlError } from "effect/sql"

/** An answer as it was sent the first time. */
export interface StoredAnswer {
  readonly status: number
  readonly body: string
}

export interface Claim {
  readonly key: string
  readonly digest: string
}

/** What is known of a key: nothing yet, an answer, or that it belongs to another request. */
export type Claimed = "new" | "other request" | StoredAnswer

type Sql<A> = Effect.Effect<A, SqlError.SqlError>

export class IdempotencyKeys extends Context.Service<
  IdempotencyKeys,
  {
    /** Claims keys of a route, in the order of the keys; each key once. */
    readonly claim: (route: string, claims: ReadonlyArray<Claim>) => Sql<ReadonlyMap<string, Claimed>>
    readonly store: (route: string, answers: ReadonlyArray<StoredAnswer & { readonly key: string }>) => Sql<void>
    /** Forgets what is older than it has to be kept. */
    readonly clean: Sql<void>
  }
>()("@ecommerce/inventory/IdempotencyKeys") {
  static readonly layer = Layer.effect(
    IdempotencyKeys,
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      const age = Duration.toSeconds(yield* Settings.idempotencyKeep.read)

      const claim = Effect.fn("IdempotencyKeys.claim")(function* (route: string, claims: ReadonlyArray<Claim>) {
        // The update changes nothing: it locks the rows that are there, and waits for those that are on their way.
        const rows = yield* keyRows(sql`
          INSERT INTO idempotency_keys (route, key, digest)
          SELECT ${route}, key, digest
          FROM unnest(${texts(claims.map(({ key }) => key))}, ${texts(claims.map(({ digest }) => digest))})
            AS input (key, digest)
          ORDER BY key
          ON CONFLICT (route, key) DO UPDATE SET key = excluded.key
          RETURNING new.key, new.digest, new.status, new.body`)
        const digests = new Map(claims.map(({ digest, key }) => [key, digest]))
        return new Map(rows.map((row) => [row.key, claimedOf(row, digests.get(row.key))]))
      })

      const store = (route: string, answers: ReadonlyArray<StoredAnswer & { readonly key: string }>) =>
        Effect.asVoid(sql`
          UPDATE idempotency_keys SET status = input.status, body = input.body
          FROM unnest(
            ${texts(answers.map(({ key }) => key))},
            ${integers(answers.map(({ status }) => status))},
            ${texts(answers.map(({ body }) => body))}
          ) AS input (key, status, body)
          WHERE idempotency_keys.route = ${route} AND idempotency_keys.key = input.key
            AND idempotency_keys.key = ANY(${texts(answers.map(({ key }) => key))})`)

      const cleanSome = sql`
        DELETE FROM idempotency_keys WHERE ctid = ANY(ARRAY(
          SELECT ctid FROM idempotency_keys
          WHERE created_at < now() - make_interval(secs => ${age})
          ORDER BY created_at LIMIT ${portion} FOR UPDATE SKIP LOCKED))
        RETURNING 1 AS cleaned`

      // In portions, so that no transaction is long; until one is not full.
      const clean = Effect.asVoid(Effect.repeat(cleanSome, { until: (cleaned) => cleaned.length < portion }))

      return IdempotencyKeys.of({ claim, store, clean })
    })
  )

  /** Cleans from time to time, for as long as the service runs. */
  static readonly layerCleaner = Layer.unwrap(
    Effect.map(IdempotencyKeys, ({ clean }) => Worker.layer("idempotency-keys", clean, { every: "1 minute" }))
  )
}

const portion = 10_000

const KeyRow = Schema.Struct({
  key: Schema.String,
  digest: Schema.String,
  status: Schema.NullOr(Schema.Int),
  body: Schema.NullOr(Schema.String)
})
const keyRows = rowsOf(KeyRow)

const claimedOf = (row: typeof KeyRow.Type, digest: string | undefined): Claimed => {
  if (row.digest !== digest) return "other request"
  return row.status === null || row.body === null ? "new" : { status: row.status, body: row.body }
}
