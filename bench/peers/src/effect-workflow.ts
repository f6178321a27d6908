/**
 * Effect's own workflow engine on its cluster, with one runner: a workflow of four activities, each kept with its reply.
 *
 * Tuned: the runner's place is kept in memory, messages to itself are not encoded for the wire and back, entities that have
 * nothing to do are let go after a second, 32 connections, no log. Their tables are made by the engine itself.
 */
import { NodeCrypto } from "@effect/platform-node"
import { PgClient } from "@effect/sql-pg"
import { Effect, Layer, Redacted, References, Schema } from "effect"
import { ClusterWorkflowEngine, SingleRunner } from "effect/cluster"
import { Activity, Workflow } from "effect/workflow"

import * as Work from "./Work.ts"

const task = Work.readTask()
const pool = Work.poolOf(task, 16)
await Work.prepare(pool)

const Saga = Workflow.make("saga", { payload: { id: Schema.String }, idempotencyKey: ({ id }) => id })

const activity = (name: (typeof Work.names)[number], id: string) =>
  Activity.make({ name, execute: Effect.promise(() => Work.steps[name](pool, [id])).pipe(Effect.asVoid) })

const sagas = Saga.toLayer(({ id }) => Effect.forEach(Work.names, (name) => activity(name, id), { discard: true }))

const database = PgClient.layer({
  host: task.host,
  port: task.port,
  username: "postgres",
  password: Redacted.make(task.password),
  database: task.database,
  maxConnections: 32,
  multiplex: true
})

const engine = ClusterWorkflowEngine.layer.pipe(
  Layer.provide(
    SingleRunner.layer({
      runnerStorage: "memory",
      shardingConfig: { simulateRemoteSerialization: false, entityMaxIdleTime: "1 second" }
    })
  ),
  Layer.provide([database, NodeCrypto.layerDigest])
)

const measured = Effect.gen(function* () {
  const context = yield* Effect.context<Effect.Services<ReturnType<typeof Saga.execute>>>()
  const saga = (id: string) => Effect.runPromiseWith(context)(Saga.execute({ id }))
  yield* Effect.promise(() => Work.measure(task, pool, (orders) => Work.each(orders, task.inFlight, saga)))
})

await Effect.runPromise(
  measured.pipe(
    Effect.provide(
      sagas.pipe(Layer.provideMerge(engine), Layer.provide(Layer.succeed(References.MinimumLogLevel, "None")))
    ),
    Effect.scoped
  )
)
process.exit(0)
