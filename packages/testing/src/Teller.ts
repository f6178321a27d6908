/**
 * Stands for a service in the eyes of those who read its feed: the real feed, over the outbox of the real one's role and schema,
 * and a test says what is told. Nothing else of the service runs.
 */
import * as Http from "@ecommerce/chassis/Http"
import type * as Service from "@ecommerce/chassis/Service"
import type { NewEvent } from "@ecommerce/outbox/Event"
import { Feed } from "@ecommerce/outbox/Feed"
import { feedGroup } from "@ecommerce/outbox/FeedEndpoint"
import * as Outbox from "@ecommerce/outbox/Outbox"
import type { Place } from "@ecommerce/protocol/Place"
import { strictParsing, Validation } from "@ecommerce/protocol/Validation"
import { PgClient } from "@effect/sql-pg"
import { Deferred, Effect, Layer } from "effect"
import { HttpServer } from "effect/http"
import { HttpApi, HttpApiBuilder } from "effect/http-api"
import type { SqlError } from "effect/sql"

import * as TestService from "./TestService.ts"

class TellerApi extends HttpApi.make("teller").add(feedGroup).middleware(Validation).annotateMerge(strictParsing) {}

const feed = HttpApiBuilder.group(TellerApi, "feed", (handlers) =>
  Effect.map(Feed, ({ read }) => handlers.handle("read", ({ query }) => read(query)))
)

export interface Teller {
  readonly url: string
  /** In one transaction; readers hear of it at once. */
  readonly tell: (events: ReadonlyArray<NewEvent>) => Effect.Effect<void, SqlError.SqlError>
}

/** Runs until the scope ends. */
export const make = Effect.fn("Teller.make")(function* (place: Place) {
  const database = yield* Deferred.make<PgClient.PgClient>()
  const definition = {
    place,
    routes: Layer.merge(
      Http.routes(TellerApi).pipe(Layer.provide(feed)),
      // The service's own client, because it wakes the readers after each commit.
      Layer.effectDiscard(Effect.flatMap(PgClient.PgClient, (sql) => Deferred.succeed(database, sql)))
    )
  } satisfies Service.Definition<never>
  const context = yield* TestService.replica(definition, Effect.succeed({}))
  const sql = yield* Deferred.await(database)
  const teller: Teller = {
    url: yield* Effect.provide(HttpServer.addressFormattedWith(Effect.succeed), context),
    tell: (events) => Effect.provideService(sql.withTransaction(Outbox.append(events)), PgClient.PgClient, sql)
  }
  return teller
})
