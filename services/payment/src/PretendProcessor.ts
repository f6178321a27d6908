/**
 * A processor to run and test against, with books of its own and the habits of a real one: it takes its time, it is away
 * now and then, it loses replies, and what it did stays done.
 *
 * Calls that come at the same time share a transaction. It works on when the caller has gone: a reply that comes too late,
 * or never, leaves a fact behind.
 */
import * as Database from "@ecommerce/chassis/Database"
import { AuthorizationId, DeclineCode } from "@ecommerce/contracts/Payment/Commands"
import * as Batcher from "@ecommerce/sets/Batcher"
import { booleans, integers, Long, longs, rowsOf, texts } from "@ecommerce/sets/Sets"
import { PgClient } from "@effect/sql-pg"
import { Effect, Fiber, Layer, Random, Redacted, Result, Schema } from "effect"

import { type Account, apply, type Operation } from "./PretendProcessor/Account.ts"
import { cardOf } from "./PretendProcessor/Cards.ts"
import * as Settings from "./PretendProcessor/Settings.ts"
import { Processor, type ProcessorRecord, ProcessorUnavailable } from "./Processor.ts"

type Request = Operation & { readonly key: string; readonly reference: AuthorizationId }

interface Done {
  readonly account: Account
  /** Not for a key that was used before: that one has its reply at once. */
  readonly isFirst: boolean
}

const AccountRow = Schema.Struct({
  reference: AuthorizationId,
  state: Schema.Literals(["UNKNOWN", "AUTHORIZED", "DECLINED", "CAPTURED", "VOIDED", "REFUNDED"]),
  authorizedCents: Long,
  capturedCents: Long,
  refundedCents: Long,
  declineCode: Schema.NullOr(DeclineCode),
  captureIsRefused: Schema.Boolean,
  refusesCapture: Schema.Boolean,
  losesReplies: Schema.Boolean,
  delayMillis: Schema.Int
})
const accountRows = rowsOf(AccountRow)
const keyRows = rowsOf(Schema.Struct({ key: Schema.String }))

const make = Effect.gen(function* () {
  const sql = yield* PgClient.PgClient
  const settings = yield* Settings.read
  const scope = yield* Effect.scope

  const lockAccounts = Effect.fnUntraced(function* (references: ReadonlyArray<string>) {
    yield* sql`
      INSERT INTO processor_payments (reference, state)
      SELECT reference, 'UNKNOWN' FROM unnest(${texts(references)}) AS input (reference) ORDER BY reference
      ON CONFLICT (reference) DO NOTHING`
    return yield* accountRows(sql`
      SELECT * FROM processor_payments WHERE reference = ANY(${texts(references)}) ORDER BY reference FOR NO KEY UPDATE`)
  })

  const claimKeys = (requests: ReadonlyArray<Request>) =>
    keyRows(sql`
      INSERT INTO processor_operations (key, reference, operation, amount_cents)
      SELECT * FROM unnest(
        ${texts(requests.map(({ key }) => key))},
        ${texts(requests.map(({ reference }) => reference))},
        ${texts(requests.map(({ operation }) => operation))},
        ${longs(requests.map((request) => ("amountCents" in request ? request.amountCents : 0)))}
      ) AS input (key, reference, operation, amount_cents) ORDER BY key
      ON CONFLICT (key) DO NOTHING
      RETURNING key`)

  const store = (accounts: ReadonlyArray<Account>) => sql`
    UPDATE processor_payments SET
      state = input.state, authorized_cents = input.authorized_cents, captured_cents = input.captured_cents,
      refunded_cents = input.refunded_cents, decline_code = input.decline_code,
      capture_is_refused = input.capture_is_refused, refuses_capture = input.refuses_capture,
      loses_replies = input.loses_replies, delay_millis = input.delay_millis
    FROM unnest(
      ${texts(accounts.map(({ reference }) => reference))},
      ${texts(accounts.map(({ state }) => state))},
      ${longs(accounts.map(({ authorizedCents }) => authorizedCents))},
      ${longs(accounts.map(({ capturedCents }) => capturedCents))},
      ${longs(accounts.map(({ refundedCents }) => refundedCents))},
      ${texts(accounts.map(({ declineCode }) => declineCode))},
      ${booleans(accounts.map(({ captureIsRefused }) => captureIsRefused))},
      ${booleans(accounts.map(({ refusesCapture }) => refusesCapture))},
      ${booleans(accounts.map(({ losesReplies }) => losesReplies))},
      ${integers(accounts.map(({ delayMillis }) => delayMillis))}
    ) AS input (
      reference, state, authorized_cents, captured_cents, refunded_cents, decline_code, capture_is_refused,
      refuses_capture, loses_replies, delay_millis
    )
    WHERE processor_payments.reference = input.reference
      AND processor_payments.reference = ANY(${texts(accounts.map(({ reference }) => reference))})`

  const execute = Effect.fn("PretendProcessor.execute")(function* (requests: ReadonlyArray<Request>) {
    const locked = yield* lockAccounts([...new Set(requests.map(({ reference }) => reference))])
    const open = new Set((yield* claimKeys(requests)).map(({ key }) => key))
    const accounts = new Map<string, Account>(locked.map((account) => [account.reference, account]))
    const isFirst = requests.map((request) => {
      const account = accounts.get(request.reference)
      // The same key twice in one set is one operation.
      if (account === undefined || !open.delete(request.key)) return false
      accounts.set(request.reference, apply(account, request))
      return true
    })
    const changed = locked.flatMap((before) => {
      const after = accounts.get(before.reference) ?? before
      return after === before ? [] : [after]
    })
    if (changed.length > 0) yield* store(changed)
    return requests.flatMap(({ reference }, place): ReadonlyArray<Done> => {
      const account = accounts.get(reference)
      return account === undefined ? [] : [{ account, isFirst: isFirst[place] === true }]
    })
  })

  const away = (reason: string) => new ProcessorUnavailable({ reason })

  const submit = yield* Batcher.make<Request, Result.Result<Done, ProcessorUnavailable>>({
    name: "pretend-processor",
    workers: 2,
    linger: "2 millis",
    mostItems: 256,
    mostBytes: Number.MAX_SAFE_INTEGER,
    bytesOf: () => 0,
    run: (requests) =>
      Database.inTransaction(sql)(execute(requests)).pipe(
        Effect.map((done) => done.map((answer) => Result.succeed(answer))),
        Effect.catchTag("SqlError", () => Effect.succeed(requests.map(() => Result.fail(away("It failed.")))))
      ),
    lost: () => Result.fail(away("It was closed."))
  })

  const chance = (rate: number) => Effect.map(settings.random(Random.next), (drawn) => drawn < rate)

  const work = Effect.fnUntraced(function* (request: Request) {
    yield* Effect.sleep(settings.latency)
    const { account, isFirst } = yield* Effect.fromResult(yield* submit(request))
    if (isFirst && account.delayMillis > 0) yield* Effect.sleep(account.delayMillis)
    if ((isFirst && account.losesReplies) || (yield* chance(settings.lostReplyRate))) {
      return yield* away("Its reply was lost.")
    }
    return recordOf(account)
  })

  const ask = Effect.fn("PretendProcessor.ask")(function* (request: Request) {
    if (yield* chance(settings.failureRate)) return yield* away("It is away.")
    // In a fiber of its own: whoever stops waiting for the reply does not stop the work.
    return yield* Effect.flatMap(Effect.forkIn(work(request), scope), Fiber.join)
  })

  const look = (statement: Effect.Effect<unknown, unknown>) =>
    Effect.andThen(
      Effect.sleep(settings.latency),
      accountRows(statement).pipe(
        Effect.map((accounts) => accounts.map(recordOf)),
        Effect.mapError(() => away("It failed."))
      )
    )

  return Processor.of({
    authorize: ({ token, ...request }) =>
      ask({ ...request, operation: "authorize", card: cardOf(Redacted.value(token)) }),
    capture: (request) => ask({ ...request, operation: "capture" }),
    void: (request) => ask({ ...request, operation: "void" }),
    refund: (request) => ask({ ...request, operation: "refund" }),
    lookup: Effect.fn("PretendProcessor.lookup")(function* (references) {
      const found = yield* look(sql`SELECT * FROM processor_payments WHERE reference = ANY(${texts(references)})`)
      const known = new Map(found.map((record) => [record.reference, record]))
      return references.map((reference) => known.get(reference) ?? unheardOf(reference))
    }),
    list: ({ after, limit }) =>
      look(sql`SELECT * FROM processor_payments WHERE reference > ${after} ORDER BY reference LIMIT ${limit}`)
  })
})

/** What the processor tells: not how its cards behave. */
const recordOf = ({
  authorizedCents,
  captureIsRefused,
  capturedCents,
  declineCode,
  reference,
  refundedCents,
  state
}: Account): ProcessorRecord => ({
  reference,
  state,
  authorizedCents,
  capturedCents,
  refundedCents,
  declineCode,
  captureIsRefused
})

const unheardOf = (reference: AuthorizationId): ProcessorRecord => ({
  reference,
  state: "UNKNOWN",
  authorizedCents: 0,
  capturedCents: 0,
  refundedCents: 0,
  declineCode: null,
  captureIsRefused: false
})

export const layer = Layer.effect(Processor, make)
