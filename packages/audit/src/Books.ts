/**
 * The databases of the services, as the auditor sees them: each by itself, to be looked at and not to be changed.
 */
import * as Database from "@ecommerce/chassis/Database"
import type { PgClient } from "@effect/sql-pg"
import { Effect, type Redacted } from "effect"
import { Reactivity } from "effect/reactivity"

export interface Books {
  readonly edge: PgClient.PgClient
  readonly orchestrator: PgClient.PgClient
  readonly orders: PgClient.PgClient
  readonly inventory: PgClient.PgClient
  readonly payment: PgClient.PgClient
}

/** Opens them for as long as the scope is open. `urlOf` names a database by the service that it belongs to. */
export const open = Effect.fn("Books.open")(function* (urlOf: (service: string) => Redacted.Redacted<string>) {
  const connect = (service: string) =>
    Effect.provide(
      Database.make({ url: urlOf(service), applicationName: "audit", maxConnections: 1 }),
      Reactivity.layer
    )
  const books: Books = {
    edge: yield* connect("edge-api"),
    orchestrator: yield* connect("orchestrator"),
    orders: yield* connect("orders"),
    inventory: yield* connect("inventory"),
    payment: yield* connect("payment")
  }
  return books
})
