/**
 * Others that do the same four durable steps, on the same PostgreSQL, each as a process of its own.
 *
 * They are guests: installed where they are asked for, into a folder of their own, and shut off from every network. They reach
 * PostgreSQL past TCP through its socket, as our services do here.
 */
import { StartupError } from "@ecommerce/chassis/StartupError"
import * as Repository from "@ecommerce/stack/Repository"
import { Effect, FileSystem, Path, Redacted, Schema, Stream } from "effect"
import { ChildProcess } from "effect/process"

import type { Tell } from "./Figures.ts"
import { Discarded } from "./Measurement.ts"
import { makeDatabase, Server } from "./Server.ts"

export interface Sizes {
  readonly peerOrders: number
  readonly warmUp: number
}

const peers = [
  ["bare", "no engine, four transactions an order"],
  ["dbos", "DBOS Transact"],
  ["restate", "Restate"],
  ["graphile-worker", "graphile-worker"],
  ["pg-boss", "pg-boss, batched"],
  ["effect-workflow", "Effect's workflows on its cluster"]
] as const

const Found = Schema.fromJsonString(Schema.Struct({ sagasPerSecond: Schema.Number }))
const readFound = Schema.decodeEffect(Found)

const folder = Effect.gen(function* () {
  const path = yield* Path.Path
  return path.join(yield* Repository.root, "bench", "peers")
})

/** Not a part of `npm install` at the root: nobody who runs the shop needs them. */
export const install = Effect.fn("Peers.install")(
  function* () {
    const fileSystem = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const cwd = yield* folder
    if (yield* Effect.orDie(fileSystem.exists(path.join(cwd, "node_modules", ".package-lock.json")))) return
    const npm = yield* ChildProcess.make("npm", ["ci", "--loglevel=error"], {
      cwd,
      extendEnv: true,
      stdout: "ignore",
      stderr: "inherit"
    })
    if ((yield* npm.exitCode) !== 0) return yield* new StartupError({ message: "The peers could not be installed." })
  },
  Effect.catchTag("PlatformError", (error) => new StartupError({ message: error.message }))
)

/** A network of its own that has nothing but the loopback device. */
const shutOff = ["-n", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]

const run = Effect.fn("Peers.run")(function* (name: string, title: string, { peerOrders, warmUp }: Sizes, tell: Tell) {
  const path = yield* Path.Path
  const server = yield* Server
  const database = yield* makeDatabase({ hasTables: false, counts: false })
  const task = JSON.stringify({
    host: server.socketDirectory,
    port: server.port,
    password: Redacted.value(server.credentials.superuserPassword),
    database: database.name,
    orders: peerOrders,
    warmUp,
    inFlight: 128
  })
  const program = path.join(yield* folder, "src", `${name}.ts`)
  const peer = yield* ChildProcess.make("unshare", [...shutOff, process.execPath, program, task], {
    extendEnv: true,
    stderr: "inherit",
    forceKillAfter: "5 seconds"
  })
  const lines = yield* peer.stdout.pipe(Stream.decodeText(), Stream.splitLines, Stream.runCollect)
  const { sagasPerSecond } = yield* readFound([...lines].at(-1) ?? "").pipe(
    Effect.mapError(() => new Discarded({ reason: `${title} has not come to an end` }))
  )
  yield* tell([{ id: `peers.${name}.sagas`, title, unit: "sagas/s", better: "neither", value: sagasPerSecond }])
}, Effect.scoped)

export const parts = (sizes: Sizes) =>
  peers.map(([name, title]) => ({
    id: name,
    title: "Peers, and no engine at all: four durable steps an order, 128 in flight",
    run: (tell: Tell) => run(name, title, sizes, tell)
  }))
