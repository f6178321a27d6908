/**
 * What operators ask of sagas, beyond looking at them: each wakes the engine, so that it happens at once.
 */
import * as Database from "@ecommerce/chassis/Database"
import type { SagaSummary } from "@ecommerce/contracts/Orchestrator/Sagas"
import {
  type Filter,
  type Resolution,
  type ResultNeeded,
  type SagaBusy,
  SagaDesk,
  SagaEnded,
  type SagaUnknown
} from "@ecommerce/saga/SagaDesk"
import { SagaEngine } from "@ecommerce/saga/SagaEngine"
import { PgClient } from "@effect/sql-pg"
import { Context, Effect, Layer } from "effect"

interface Page {
  readonly sagas: ReadonlyArray<SagaSummary>
  readonly nextCursor: string | null
}

interface Asked<What> {
  readonly id: string
  readonly asked: What
}

export class Operations extends Context.Service<
  Operations,
  {
    readonly page: (filter: Filter, limit: number, before: string | undefined) => Effect.Effect<Page>
    readonly retry: (id: string) => Effect.Effect<Asked<"retry">, SagaUnknown | SagaBusy | SagaEnded>
    readonly cancel: (id: string) => Effect.Effect<Asked<"cancel">, SagaUnknown | SagaEnded>
    readonly resolve: (
      resolution: Resolution
    ) => Effect.Effect<Asked<"resolve">, SagaUnknown | SagaBusy | SagaEnded | ResultNeeded>
  }
>()("@ecommerce/orchestrator/Operations") {
  static readonly layer = Layer.effect(
    Operations,
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      const desk = yield* SagaDesk
      const engine = yield* SagaEngine

      const page = Effect.fn("Operations.page")(function* (filter: Filter, limit: number, before: string | undefined) {
        // One more than asked for tells whether there is a next page.
        const rows = yield* desk.list(filter, limit + 1, before)
        const sagas = rows.slice(0, limit)
        return { sagas, nextCursor: rows.length > limit ? (sagas.at(-1)?.id ?? null) : null }
      }, Database.dies)

      const retry = Effect.fn("Operations.retry")(function* (id: string) {
        yield* desk.retryNow(id)
        yield* engine.wake
        return { id, asked: "retry" as const }
      }, Database.dies)

      const cancel = Effect.fn("Operations.cancel")(function* (id: string) {
        const { definition, key, status } = yield* desk.find(id)
        if (status === "FAILED" || status === "CANCELLED") return yield* new SagaEnded({ id })
        yield* sql.withTransaction(engine.cancel([{ definition, key }]))
        yield* engine.wake
        return { id, asked: "cancel" as const }
      }, Database.dies)

      const resolve = Effect.fn("Operations.resolve")(function* (resolution: Resolution) {
        yield* desk.resolve(resolution)
        yield* engine.wake
        return { id: resolution.id, asked: "resolve" as const }
      }, Database.dies)

      return Operations.of({ page, retry, cancel, resolve })
    })
  )
}
