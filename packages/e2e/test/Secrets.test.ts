import { fileURLToPath } from "node:url"

import { auditor } from "@ecommerce/chassis/Names"
import { keyOf } from "@ecommerce/chassis/Settings"
import { topology } from "@ecommerce/stack/topology"
import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem } from "effect"
import { ChildProcess, ChildProcessSpawner } from "effect/process"

const program = fileURLToPath(new URL("../../stack/env.mjs", import.meta.url))

/** `npm run env` for a file of its own, which may be there before. */
const make = Effect.fnUntraced(function* (before?: string) {
  const fileSystem = yield* FileSystem.FileSystem
  const spawner = yield* ChildProcessSpawner.ChildProcessSpawner
  const file = `${yield* fileSystem.makeTempDirectoryScoped({ prefix: "ecommerce-env-" })}/.env`
  if (before !== undefined) yield* fileSystem.writeFileString(file, before)
  const run = Effect.gen(function* () {
    const said = yield* spawner.string(ChildProcess.make(process.execPath, [program, file]))
    return { said, text: yield* fileSystem.readFileString(file), mode: (yield* fileSystem.stat(file)).mode & 0o777 }
  })
  return { first: yield* run, second: yield* run }
})

const valuesOf = (text: string) =>
  new Map(
    text
      .trim()
      .split("\n")
      .map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)])
  )

const secrets = [
  "POSTGRES_PASSWORD",
  "SERVICE_TOKEN",
  ...[...topology.map(({ name }) => name), auditor].map((name) => keyOf(name, "DATABASE_PASSWORD"))
]

const live = <E>(title: string, test: Effect.Effect<void, E, NodeServices.NodeServices>) =>
  it.live(title, () => Effect.provide(test, NodeServices.layer))

describe("npm run env", () => {
  live(
    "makes a password for each database role and a service token, for the owner's eyes alone, all different",
    Effect.gen(function* () {
      const { first } = yield* make()
      const values = valuesOf(first.text)
      assert.sameMembers([...values.keys()], secrets)
      assert.strictEqual(new Set(values.values()).size, secrets.length)
      for (const value of values.values()) assert.match(value, /^[\w-]{32}$/u)
      assert.strictEqual(first.mode, 0o600)
      assert.isTrue([...values.values()].every((value) => !first.said.includes(value)))
    }).pipe(Effect.scoped)
  )

  live(
    "leaves what is there as it is",
    Effect.gen(function* () {
      const { first, second } = yield* make()
      assert.strictEqual(second.text, first.text)
      assert.include(second.said, "stays as it is")
    }).pipe(Effect.scoped)
  )

  live(
    "adds what is missing, or empty, and keeps the rest",
    Effect.gen(function* () {
      const before = "# mine\nGRAFANA_PORT=3105\nSERVICE_TOKEN=chosen-by-hand-and-long\nPOSTGRES_PASSWORD=\nOTHER=1"
      const { first } = yield* make(before)
      assert.isTrue(first.text.startsWith(`${before}\n`))
      const values = valuesOf(first.text)
      assert.strictEqual(values.get("SERVICE_TOKEN"), "chosen-by-hand-and-long")
      assert.includeMembers([...values.keys()], secrets)
      // The last one counts.
      assert.match(values.get("POSTGRES_PASSWORD") ?? "", /^[\w-]{32}$/u)
    }).pipe(Effect.scoped)
  )
})
