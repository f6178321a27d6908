import { fileURLToPath } from "node:url"

import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import { ChildProcess } from "effect/process"

const program = fileURLToPath(new URL("../src/main.ts", import.meta.url))

describe("npm run e2e:compose", () => {
  it.live("says why it can try nothing where there is no Docker engine, and ends with 2", () =>
    Effect.gen(function* () {
      const child = yield* ChildProcess.make(process.execPath, [program], { env: { PATH: "" }, extendEnv: true })
      const [printed, code] = yield* Effect.all([Stream.mkString(Stream.decodeText(child.all)), child.exitCode], {
        concurrency: "unbounded"
      })
      assert.deepStrictEqual(
        [Number(code), printed],
        [2, "docker-compose.yml cannot be tried here: there is no program docker.\n"]
      )
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
  )
})
