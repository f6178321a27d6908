/**
 * Sagas as the orchestrator that runs tells of them: a client for it, and one saga's journal as people read it.
 */
import * as ChassisSettings from "@ecommerce/chassis/Settings"
import { orchestrator, OrchestratorApi } from "@ecommerce/contracts/Orchestrator"
import type { WholeSaga } from "@ecommerce/contracts/Orchestrator/Sagas"
import { DateTime, Duration, Effect, Option, Path } from "effect"
import { HttpClient, HttpClientRequest } from "effect/http"
import { HttpApiClient } from "effect/http-api"

import * as Credentials from "./Credentials.ts"
import * as Repository from "./Repository.ts"
import * as Settings from "./Settings.ts"
import * as Welcome from "./Welcome.ts"

/** The orchestrator's own contract, as a client. */
export const connect = Effect.gen(function* () {
  const path = yield* Path.Path
  const dataDirectory = path.resolve(yield* Repository.root, yield* Settings.dataDirectory.read)
  const configured = yield* Settings.whereSet({
    ...ChassisSettings.serviceTokens,
    read: ChassisSettings.ownServiceToken
  })
  const token = Option.isSome(configured) ? configured.value : (yield* Credentials.load(dataDirectory)).serviceToken
  const baseUrl = yield* ChassisSettings.serviceUrl(orchestrator).read
  const httpClient = HttpClient.mapRequest(yield* HttpClient.HttpClient, HttpClientRequest.bearerToken(token))
  return { baseUrl, sagas: yield* HttpApiClient.group(OrchestratorApi, { group: "sagas", httpClient, baseUrl }) }
})

export type Sagas = Effect.Success<typeof connect>["sagas"]

/** One saga's journal, with the moment of each line since its beginning. */
export const storyOf = (saga: WholeSaga) => {
  const began = saga.createdAt
  const lines = saga.journal.map(({ at, attempt, code, detail, kind, millis, outcome, step }) => [
    `+${Duration.toMillis(DateTime.distance(began, at))} ms`,
    kind === "undo" ? `undo ${step}` : step,
    String(attempt),
    outcome,
    millis === null ? "" : `${millis.toFixed(0)} ms`,
    [code === outcome ? null : code, detail].filter((text) => text !== null).join(": ")
  ])
  const end =
    saga.endedAt === null ? `at ${saga.step}` : `after ${Duration.format(DateTime.distance(began, saga.endedAt))}`
  return [
    `\n${saga.definition} ${saga.key}`,
    `saga ${saga.id}, began ${DateTime.formatIso(began)}`,
    "",
    Welcome.columns(["when", "step", "attempt", "outcome", "took", "why"], lines),
    "",
    `  ${saga.status} ${end}${saga.failure === null ? "" : `: ${saga.failure.code} at ${saga.failure.step}`}`
  ].join("\n")
}
