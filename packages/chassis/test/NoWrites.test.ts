import { spawnSync } from "node:child_process"

import { TestDatabase } from "@ecommerce/testing/TestDatabase"
import * as TestService from "@ecommerce/testing/TestService"
import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem, Layer, References, Schedule } from "effect"
import { HttpClient } from "effect/http"
import { ChildProcess, ChildProcessSpawner } from "effect/process"

import { definition } from "./fixtures/Probe.ts"

const quiet = Layer.succeed(References.MinimumLogLevel, "None")
const service = TestService.layer(definition, { LOG_LEVEL: "None" })

const write = (sku: string, count = 1) =>
  Effect.flatMap(HttpClient.HttpClient, (client) => client.post(`/products?sku=${sku}&count=${count}`))

const stored = Effect.gen(function* () {
  const client = yield* HttpClient.HttpClient
  const answer = yield* client.get("/products/count")
  assert.strictEqual(answer.status, 200)
  return yield* answer.json
})

/** Refused clearly: when to come again, and nothing of what is inside. */
const refused = Effect.fn("refused")(function* (sku: string, count?: number) {
  const answer = yield* write(sku, count)
  assert.strictEqual(answer.status, 503)
  assert.strictEqual(answer.headers["retry-after"], "1")
  const text = yield* answer.text
  assert.include(text, '"error":"unavailable"')
  assert.notMatch(text, /disk|space|read-only|relation|INSERT|products|\/tmp|sql/iu)
})

const untilWritten = (sku: string) =>
  write(sku).pipe(
    Effect.repeat({ until: ({ status }) => status === 200, schedule: Schedule.spaced("100 millis") }),
    Effect.timeout("100 seconds")
  )

const run = Effect.fn("run")(function* (command: string, ...args: ReadonlyArray<string>) {
  const spawner = yield* ChildProcessSpawner.ChildProcessSpawner
  return yield* spawner.exitCode(ChildProcess.make(command, args, { stderr: "ignore" }))
})

const mayMount = spawnSync("unshare", ["--mount", "true"]).status === 0

/** A folder in memory with room for a cluster and little more. */
const smallDisk = Effect.gen(function* () {
  const fileSystem = yield* FileSystem.FileSystem
  const folder = yield* fileSystem.makeTempDirectoryScoped({ prefix: "small-disk-" })
  const mounted = yield* Effect.acquireRelease(
    run("mount", "-t", "tmpfs", "-o", "size=200m,mode=0755", "tmpfs", folder),
    () => Effect.ignore(run("umount", "--lazy", folder))
  )
  assert.strictEqual(mounted, 0, "the small disk is not there, and the real one must not be filled")
  // PostgreSQL may run as another account than we do.
  yield* fileSystem.chmod(folder, 0o755)
  return folder
})

/** Ends when nothing more fits; it never writes more than the disk has. */
const fill = (folder: string) => run("dd", "if=/dev/zero", `of=${folder}/ballast`, "bs=64k", "count=3200")

const makeRoom = (folder: string) =>
  Effect.flatMap(FileSystem.FileSystem, (fileSystem) => fileSystem.remove(`${folder}/ballast`))

describe("a database that takes no writes", () => {
  it.live(
    "because it is read-only is answered for with 503, is read from, and is written to when it can be again",
    () =>
      Effect.gen(function* () {
        const { administrator } = yield* TestDatabase
        const readOnly = (isSo: boolean) =>
          Effect.andThen(
            administrator.unsafe(`ALTER SYSTEM SET default_transaction_read_only = ${isSo ? "on" : "off"}`).unprepared,
            administrator`SELECT pg_reload_conf()`
          )
        assert.strictEqual((yield* write("before")).status, 200)
        yield* readOnly(true)
        yield* write("while").pipe(
          Effect.repeat({ until: ({ status }) => status !== 200, schedule: Schedule.spaced("50 millis") }),
          Effect.timeout("100 seconds")
        )
        yield* refused("refused")
        const seen = yield* stored
        yield* refused("again")
        assert.strictEqual(yield* stored, seen)
        yield* readOnly(false)
        yield* untilWritten("after")
      }).pipe(
        Effect.scoped,
        Effect.provide(service.pipe(Layer.provideMerge(TestDatabase.layerOwnServer))),
        Effect.provide(quiet)
      )
  )

  it.live.skipIf(!mayMount)(
    "because its disk is full is answered for with 503, and loses nothing that was stored",
    () =>
      Effect.gen(function* () {
        const disk = yield* smallDisk
        yield* Effect.gen(function* () {
          assert.strictEqual((yield* write("before", 100)).status, 200)
          yield* fill(disk)
          yield* write("filler", 5000).pipe(
            Effect.repeat({ until: ({ status }) => status !== 200, schedule: Schedule.spaced("1 millis") }),
            Effect.timeout("100 seconds")
          )
          yield* refused("refused", 5000)
          const seen = yield* stored
          assert.isAtLeast(Number(seen), 100)
          yield* makeRoom(disk)
          yield* untilWritten("after")
          assert.strictEqual(yield* stored, Number(seen) + 1)
        }).pipe(Effect.provide(service.pipe(Layer.provideMerge(TestDatabase.layerOn(disk)))))
      }).pipe(Effect.scoped, Effect.provide(NodeServices.layer), Effect.provide(quiet))
  )
})
