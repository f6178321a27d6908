/**
 * A service's database: one pool of connections, logged in as the service's own role.
 *
 * Role, schema and time limits come with the role (see `Provision.ts`), so that no connection can be without them.
 */
import { Announcements } from "@ecommerce/outbox/Announcements"
import { CurrentTransaction, type Transaction } from "@ecommerce/outbox/Outbox"
import { PgClient } from "@effect/sql-pg"
import { Cause, Effect, Exit, Layer, Option, Predicate, Redacted, Schema, String } from "effect"
import { type SqlClient, SqlError } from "effect/sql"

import * as Settings from "./Settings.ts"
import { gauge } from "./Vitals.ts"

/**
 * SQLSTATEs with which PostgreSQL ends or refuses a connection. The driver files them under "unknown":
 * administrator's shutdown, crash of another backend, still starting, too many connections, and the two
 * time limits that end a session.
 */
const lostConnectionStates = new Set(["57P01", "57P02", "57P03", "53300", "25P03", "25P04"])

/** With which a server refuses work for a while: it is read-only, or has no room, memory or file handle left. */
const refusingStates = new Set(["25006", "53000", "53100", "53200", "58030"])

/** The same work may succeed later: the connection was lost, another transaction was in the way, or the server refuses work. */
export const isTransient = (error: SqlError.SqlError): boolean =>
  error.isRetryable || isLostConnection(error) || isRefused(error)

/** The server has said that it will not do this for now: nothing of it is committed. */
export const isRefused = (error: SqlError.SqlError): boolean => hasState(error, refusingStates)

const isLostConnection = (error: SqlError.SqlError): boolean =>
  error.reason._tag === "ConnectionError" || hasState(error, lostConnectionStates)

const hasState = ({ reason: { cause } }: SqlError.SqlError, states: ReadonlySet<string>) =>
  Predicate.hasProperty(cause, "code") && Predicate.isString(cause.code) && states.has(cause.code)

/** What PostgreSQL itself said, where it said something: the driver's own message only tells that it failed. */
export const describe = (error: SqlError.SqlError): string => {
  const { cause } = error.reason
  return Predicate.hasProperty(cause, "message") && Predicate.isString(cause.message) ? cause.message : error.message
}

/**
 * When a connection is lost inside a transaction, rolling back fails too, and the client turns that into a defect:
 * nothing that catches or retries errors would see it, and a worker's loop would end in silence as soon as PostgreSQL
 * restarts. Here it becomes the typed, retryable error that it is.
 */
const lostConnectionsAsErrors = <E>(cause: Cause.Cause<E>): Effect.Effect<never, E | SqlError.SqlError> => {
  const lost = cause.reasons
    .map((reason) =>
      Cause.isDieReason(reason) ? reason.defect : Cause.isFailReason(reason) ? reason.error : undefined
    )
    .find((error) => SqlError.isSqlError(error) && isLostConnection(error))
  if (!SqlError.isSqlError(lost)) return Effect.failCause(cause)
  const { reason } = lost
  if (reason._tag === "ConnectionError") return Effect.fail(lost)
  const { cause: origin, message, operation } = reason
  return Effect.fail(
    new SqlError.SqlError({ reason: new SqlError.ConnectionError({ cause: origin, message, operation }) })
  )
}

const harden =
  (committed: Committed, opened: (by: number) => void) =>
  (client: PgClient.PgClient): PgClient.PgClient => {
    const original = client.withTransaction
    const withTransaction: SqlClient.SqlClient["withTransaction"] = (effect) =>
      Effect.flatMap(CurrentTransaction, (outer) => {
        // One within another commits with that one.
        const transaction: Transaction = outer ?? { xid: undefined, types: new Set() }
        return Effect.suspend(() => {
          if (outer === undefined) opened(1)
          return original(Effect.provideService(effect, CurrentTransaction, transaction))
        }).pipe(
          Effect.onExit((exit) =>
            Effect.sync(() => {
              if (outer === undefined) opened(-1)
              if (Exit.isSuccess(exit) && outer === undefined && transaction.xid !== undefined)
                committed(transaction.xid, transaction.types)
            })
          ),
          Effect.catchCause(lostConnectionsAsErrors)
        )
      })
    return Object.assign(client, { withTransaction })
  }

type Committed = (xid: bigint, types: ReadonlySet<string>) => void

export interface Options {
  readonly url: Redacted.Redacted<string>
  readonly applicationName: string
  readonly maxConnections: number
  /** Told of every transaction that has appended events, when it is committed. */
  readonly committed?: Committed
}

const poolSize = "How many connections this process may open."
const poolUse = "Transactions that are open or wait for a connection: each takes one to itself."

/** Names are snake_case in SQL and camelCase in code; this is the one place that turns them round. */
export const make = Effect.fnUntraced(function* ({ committed = () => {}, ...options }: Options) {
  let open = 0
  const opened = (by: number) => {
    open += by
  }
  const context = yield* Effect.context<never>()
  yield* gauge(context, "db_pool_connections_max", "{connection}", poolSize, () => options.maxConnections)
  yield* gauge(context, "db_transactions_open", "{transaction}", poolUse, () => open)
  const client = yield* PgClient.make({
    ...options,
    ...placeIn(options.url),
    transformQueryNames: String.camelToSnake,
    transformResultNames: onceEach(String.snakeToCamel),
    transformJson: false,
    connectTimeout: "5 seconds"
  })
  return harden(committed, opened)(client)
})

/** A result's names come again with every row; there are as many as columns. */
const onceEach = (turn: (name: string) => string) => {
  const known = new Map<string, string>()
  return (name: string) => {
    const found = known.get(name)
    if (found !== undefined) return found
    const turned = turn(name)
    known.set(name, turned)
    return turned
  }
}

/** For spans, which would name the defaults otherwise. */
const placeIn = (url: Redacted.Redacted<string>) => {
  const { hostname: authority, pathname, port, searchParams } = new URL(Redacted.value(url))
  // A socket of the same machine is named by a parameter, as in libpq's URLs.
  const hostname = searchParams.get("host") ?? authority
  const database = decodeURIComponent(pathname.slice(1))
  return { database, ...(hostname === "" ? {} : { host: hostname }), ...(port === "" ? {} : { port: Number(port) }) }
}

export const layerFrom = (options: Options) => PgClient.layerFrom(make(options))

/** Runs this in one transaction of the client, and gives the client to whatever in it asks for one. */
export const inTransaction =
  (sql: PgClient.PgClient) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>) =>
    Effect.provideService(sql.withTransaction(effect), PgClient.PgClient, sql)

/** The database of the service with this name, found through its settings. */
export const layer = (name: string) =>
  Layer.unwrap(
    Effect.gen(function* () {
      const url = yield* Settings.serviceDatabaseUrl(name).read
      const maxConnections = yield* Settings.databasePoolSize.read
      // A program that only looks at the data has nobody to tell.
      const announcements = yield* Effect.serviceOption(Announcements)
      const committed = Option.match(announcements, { onNone: () => () => {}, onSome: (some) => some.committed })
      // The pool opens connections when they are needed: a database that is away does not keep a service from starting.
      return Layer.orDie(layerFrom({ url, applicationName: name, maxConnections, committed }))
    })
  )

/**
 * At a service's edge a database that fails is nobody's typed error: it becomes a defect here and one honest
 * 500 or 503 in `Http.ts`.
 */
export const dies = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.catchIf(effect, isInfrastructure, Effect.die)

const isInfrastructure = <E>(error: E): error is Extract<E, SqlError.SqlError | Schema.SchemaError> =>
  SqlError.isSqlError(error) || Schema.isSchemaError(error)
