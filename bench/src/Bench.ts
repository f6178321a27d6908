/**
 * The whole bench: every part so many times, in turns, so that what changes on the machine meanwhile meets all of them.
 */
import { StartupError } from "@ecommerce/chassis/StartupError"
import { Logbook } from "@ecommerce/stack/Logbook"
import * as Repository from "@ecommerce/stack/Repository"
import * as StackSettings from "@ecommerce/stack/Settings"
import { Supervisor } from "@ecommerce/stack/Supervisor"
import { NodeHttpClient } from "@effect/platform-node"
import { Cause, Effect, Exit, type FileSystem, Layer, Option, Path, Ref, type Scope } from "effect"
import type { HttpClient } from "effect/http"
import type { ChildProcessSpawner } from "effect/process"

import * as Figures from "./Figures.ts"
import * as Growth from "./Growth.ts"
import * as Limit from "./Limit.ts"
import * as Peers from "./Peers.ts"
import { Server } from "./Server.ts"
import * as StackParts from "./StackParts.ts"

export interface Options {
  readonly quick: boolean
  readonly peers: boolean
  readonly growth: boolean
  readonly only: Option.Option<ReadonlyArray<string>>
  readonly runs: number
  readonly profiles: Option.Option<string>
  readonly progress: (line: string) => Effect.Effect<void>
}

type Sizes = Growth.Sizes & Peers.Sizes

const full: Sizes = {
  orders: 5000,
  fewOrders: 500,
  loneOrders: 100,
  warmUp: 5000,
  tables: [1000, 100_000, 1_000_000],
  backlog: 20_000,
  heldMillis: 10_000,
  peerOrders: 5000
}
const quick: Sizes = {
  orders: 1000,
  fewOrders: 100,
  loneOrders: 20,
  warmUp: 400,
  tables: [1000, 10_000],
  backlog: 1000,
  heldMillis: 3000,
  peerOrders: 1000
}

interface Part {
  readonly id: string
  readonly title: string
  readonly run: (
    tell: Figures.Tell,
    round: number
  ) => Effect.Effect<
    void,
    unknown,
    | ChildProcessSpawner.ChildProcessSpawner
    | FileSystem.FileSystem
    | HttpClient.HttpClient
    | Path.Path
    | Scope.Scope
    | Server
    | Supervisor
  >
}

const partsOf = (options: Options): ReadonlyArray<Part> => {
  const sizes = options.quick ? quick : full
  return [
    ...StackParts.parts.map((part) => ({
      id: part.id,
      title: part.title,
      run: (tell: Figures.Tell, round: number) => StackParts.run(part, sizes, { ...options, round }, tell)
    })),
    { id: "limit", title: "The limit", run: (tell: Figures.Tell) => Limit.run(sizes, tell) },
    ...(options.peers ? Peers.parts(sizes) : []),
    ...(options.growth ? Growth.parts(sizes).map((part) => ({ ...part, title: "Growth" })) : [])
  ]
}

export const supervisorLayer = Layer.unwrap(
  Effect.map(Logbook, ({ write }) => Supervisor.layer({ onLines: write, stopTimeout: "15 seconds" }))
)

const reasonOf = (cause: Cause.Cause<unknown>) => {
  const error = Cause.squash(cause)
  if (typeof error === "object" && error !== null && "reason" in error && typeof error.reason === "string")
    return error.reason
  return error instanceof Error ? error.message : String(error)
}

export const run = Effect.fn("Bench.run")(function* (options: Options) {
  const path = yield* Path.Path
  const wanted = Option.getOrUndefined(options.only)
  const all = partsOf(options)
  const unknown = wanted?.find((name) => !all.some(({ id }) => id === name))
  if (unknown !== undefined) {
    const names = all.map(({ id }) => id).join(", ")
    return yield* new StartupError({ message: `The bench has no part ${unknown} here: there are ${names}.` })
  }
  if (options.peers) yield* Peers.install()
  const parts = all.filter(({ id }) => wanted === undefined || wanted.includes(id))
  const figures = yield* Ref.make<ReadonlyArray<Figures.Figure>>([])
  const discarded = yield* Ref.make<ReadonlyArray<string>>([])
  const logs = path.join(path.resolve(yield* Repository.root, yield* StackSettings.dataDirectory.read), "bench", "logs")

  const everything = Effect.gen(function* () {
    for (let round = 1; round <= options.runs; round++) {
      for (const { id, run, title } of parts) {
        yield* options.progress(`${round} of ${options.runs}: ${title} (${id}) ...`)
        const tell: Figures.Tell = (measures) => Ref.update(figures, (known) => Figures.join(known, title, measures))
        const exit = yield* Effect.exit(Effect.scoped(Effect.provide(run(tell, round), supervisorLayer)))
        if (Exit.isSuccess(exit)) continue
        if (Cause.hasInterruptsOnly(exit.cause)) return yield* Effect.interrupt
        const why = `${id}, run ${round}: ${reasonOf(exit.cause)}`
        yield* options.progress(why)
        yield* Ref.update(discarded, (known) => [...known, why])
      }
    }
  })
  yield* everything.pipe(
    Effect.provide(Server.layer),
    Effect.provide(NodeHttpClient.layerUndici),
    Effect.provide(Logbook.layer(logs))
  )
  return { figures: yield* Ref.get(figures), discarded: yield* Ref.get(discarded) }
})
