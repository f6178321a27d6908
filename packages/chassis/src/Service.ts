/**
 * A service, from its parts to a running process: what every `main.ts` calls.
 *
 * The chassis adds to a service's own handlers: settings, logs, telemetry, its database, health, the HTTP server, and
 * a start and an end that behave.
 */
import { Admission } from "@ecommerce/commands/Admission"
import { Announcements } from "@ecommerce/outbox/Announcements"
import type { Feed } from "@ecommerce/outbox/Feed"
import type { Place } from "@ecommerce/protocol/Place"
import { Validation } from "@ecommerce/protocol/Validation"
import { NodeHttpServer } from "@effect/platform-node"
import { Effect, Layer } from "effect"
import type { HttpRouter } from "effect/http"

import * as Database from "./Database.ts"
import * as Feeds from "./Feeds.ts"
import { Gate } from "./Gate.ts"
import { Health } from "./Health.ts"
import * as Http from "./Http.ts"
import * as Logs from "./Logs.ts"
import * as Program from "./Program.ts"
import * as RateLimits from "./RateLimits.ts"
import * as Readiness from "./Readiness.ts"
import * as ServiceTokens from "./ServiceTokens.ts"
import * as Settings from "./Settings.ts"
import type { StartupError } from "./StartupError.ts"
import { Stopping } from "./Stopping.ts"
import * as Telemetry from "./Telemetry.ts"
import * as Vitals from "./Vitals.ts"

/** What a service's routes and workers may ask of the chassis. */
export type Provided =
  | Layer.Success<ReturnType<typeof Database.layerFrom>>
  | Layer.Success<typeof Validation.layer>
  | Layer.Success<typeof ServiceTokens.layer>
  | Layer.Success<typeof RateLimits.layer>
  | Admission
  | Stopping
  | Feed
  | Gate
  | Layer.Success<typeof NodeHttpServer.layerHttpServices>
  | Health
  | HttpRouter.HttpRouter

export interface Definition<E> {
  readonly place: Place
  /** The API's routes with their handlers, and the service's workers beside them. */
  readonly routes: Layer.Layer<never, E, Provided>
}

/** The running service, without its settings, so that tests can give it others. */
export const layer = <E>({ place, routes }: Definition<E>) =>
  Http.serve(place, Layer.mergeAll(routes, Readiness.layer(place.name), Feeds.layerWorkers, Vitals.layer)).pipe(
    Layer.provide(Feeds.layer(place.name)),
    Layer.provide([Database.layer(place.name), Health.layer, Stopping.layer, Gate.layer]),
    Layer.provide(Announcements.layer),
    Layer.provide([Validation.layer, ServiceTokens.layer, RateLimits.layer, admission]),
    Layer.provide([Telemetry.layer(place.name), NodeHttpServer.layerHttpServices]),
    Layer.provide(Logs.layer(place.name))
  )

const admission = Layer.unwrap(Effect.map(Settings.commandsAtOnce.read, Admission.layer))

/** Runs the service as this process, until a signal ends it, or its supervisor goes away. */
export const run = (definition: Definition<StartupError>) =>
  Program.run(Effect.raceFirst(Layer.launch(layer(definition)), supervisorGone).pipe(Effect.provide(Settings.layer)))

/** A supervisor holds the other end of our standard input: when it closes, even by a kill -9, nobody watches us any more. */
const supervisorGone = Effect.flatMap(Settings.supervised.read, (supervised) =>
  supervised
    ? Effect.callback<void>((resume) => {
        process.stdin.once("close", () => resume(Effect.void))
        process.stdin.resume()
      })
    : Effect.never
)
