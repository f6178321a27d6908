/**
 * A service in the test's own process: its real routes on a real port, over a database of its own.
 */
import * as Database from "@ecommerce/chassis/Database"
import * as Service from "@ecommerce/chassis/Service"
import * as Settings from "@ecommerce/chassis/Settings"
import type { Command } from "@ecommerce/commands/Command"
import * as CommandClient from "@ecommerce/commands/CommandClient"
import { NodeHttpClient } from "@effect/platform-node"
import { ConfigProvider, Effect, Layer, Redacted } from "effect"
import { FetchHttpClient, HttpServer } from "effect/http"

import { TestDatabase } from "./TestDatabase.ts"

/** Runs the service with these settings over the defaults, and gives the test a client that knows its address. */
export const layer = <E>(definition: Service.Definition<E>, settings: Readonly<Record<string, string>> = {}) =>
  layerFrom(definition, Effect.succeed(settings))

/** The same with settings that are found out first: where its neighbours are. */
export const layerFrom = <E, R>(
  definition: Service.Definition<E>,
  settings: Effect.Effect<Readonly<Record<string, string>>, never, R>
) =>
  HttpServer.layerTestClient.pipe(
    Layer.provide(FetchHttpClient.layer),
    Layer.provideMerge(Service.layer(definition)),
    Layer.provide(settingsLayer(definition.place.name, settings))
  )

/** What another service would have of the running one: `TestService.asked(InventoryClient.make)`. */
export const asked = Effect.fnUntraced(function* <A, E, R>(
  make: (server: CommandClient.Server) => Effect.Effect<A, E, R>
) {
  const { serviceToken } = yield* TestDatabase
  const url = yield* HttpServer.addressFormattedWith(Effect.succeed)
  // Not the test's own client, which puts the service's address before every URL.
  const client = yield* Layer.build(NodeHttpClient.layerUndici)
  return yield* Effect.provide(make({ url, token: Redacted.make(serviceToken) }), client)
})

/** One command of the running service. */
export const command = <Payload, Success, Refusal>(declaration: Command<Payload, Success, Refusal>) =>
  asked((server) => CommandClient.to(server)(declaration))

const settingsLayer = <R>(service: string, settings: Effect.Effect<Readonly<Record<string, string>>, never, R>) =>
  ConfigProvider.layer(
    Effect.gen(function* () {
      const database = yield* TestDatabase
      return Settings.providerOf(yield* settings, {
        [Settings.keyOf(service, "PORT")]: "0",
        DATABASE_URL: Redacted.value(database.urlOf(service)),
        SERVICE_TOKEN: database.serviceToken,
        SHUTDOWN_TIMEOUT: "1 second",
        LOG_LEVEL: "Warn"
      })
    })
  )

/** The database as a service's nouns see it, for tests that need no HTTP. */
export const database = (service: string) =>
  Layer.unwrap(
    Effect.gen(function* () {
      const { urlOf } = yield* TestDatabase
      return Database.layerFrom({ url: urlOf(service), applicationName: service, maxConnections: 10 })
    })
  )

/** Another process, as far as two in one can be: nothing of it is shared with those that are there, except the database. */
export const replica = Effect.fnUntraced(function* <E, R>(
  definition: Service.Definition<E>,
  settings: Effect.Effect<Readonly<Record<string, string>>, never, R>
) {
  const layers = yield* Layer.makeMemoMap
  return yield* Layer.buildWithMemoMap(layerFrom(definition, settings), layers, yield* Effect.scope)
})
