/**
 * What the README tells a newcomer to type, typed: its commands in their order, against `npm start` on ports of its own, with what they
 * print held against what is shown.
 */
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"

import { keyOf } from "@ecommerce/chassis/Settings"
import { topology } from "@ecommerce/stack/topology"
import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Ref, Stream } from "effect"
import { FetchHttpClient } from "effect/http"
import { ChildProcess } from "effect/process"

import { emptyPlace, type Place, type RunningStack, serviceOf, startAndWait } from "./fixtures/RunningStack.ts"

const root = fileURLToPath(new URL("../../../", import.meta.url))
const readme = readFileSync(`${root}README.md`, "utf8")

interface Step {
  readonly commands: string
  /** What is shown right behind them; undefined where nothing is. */
  readonly shown: string | undefined
}

const stepPattern = /^```bash\n([^]*?)^```$(?:\n\n```(?:json)?\n([^]*?)^```$)?/gmu

const stepsOf = (heading: string): ReadonlyArray<Step> => {
  const section = readme.split(/^## /mu).find((text) => text.startsWith(`${heading}\n`)) ?? assert.fail(heading)
  return Array.from(section.matchAll(stepPattern), ([, commands = "", shown]) => ({ commands, shown }))
}

/** Ids, keys of traces and times are others each time. */
const changing =
  /[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|(?<=")[0-9a-f]{32}(?=")|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/gu
const changingIn = (text: string) => Array.from(text.matchAll(changing), ([found]) => found)

/** JSON is shown on several lines. */
const compact = (text: string) => {
  const trimmed = text.trim()
  return trimmed.startsWith("{") ? JSON.stringify(JSON.parse(trimmed)) : trimmed
}
const shapeOf = (text: string) => compact(text).replaceAll(changing, "…")

const isVariable = (line: string) => /^[A-Z]+=/u.test(line)

/** A newcomer at a terminal, who puts the ids that they are given where the README has others. */
const newcomer = Effect.fnUntraced(function* (place: Place, stack: RunningStack) {
  const known = yield* Ref.make<ReadonlyMap<string, string>>(new Map())
  const variables = yield* Ref.make<ReadonlyArray<string>>([])

  const ports = new Map(topology.map(({ name, port }) => [String(port), place.ports[keyOf(name, "PORT")]]))

  const here = Effect.fnUntraced(function* (commands: string) {
    const ids = yield* Ref.get(known)
    const victim = yield* serviceOf(stack)
    return (
      commands
        .replaceAll(/(?<=localhost:)\d+/gu, (port) => ports.get(port) ?? port)
        .replaceAll(changing, (id) => ids.get(id) ?? id)
        .replaceAll(" .data/", ` ${place.dataDirectory}/`)
        // Somebody else's may run from this checkout at the same time.
        .replaceAll('$(pgrep -f "$PWD/services/inventory/src/main.ts")', String(victim))
    )
  })

  const run = Effect.fnUntraced(function* (script: string) {
    const child = yield* ChildProcess.make("bash", ["-c", script], {
      cwd: root,
      env: place.environment,
      extendEnv: true
    })
    const read = (stream: typeof child.stdout) => Stream.mkString(Stream.decodeText(stream))
    const [printed, said, exitCode] = yield* Effect.all([read(child.stdout), read(child.stderr), child.exitCode], {
      concurrency: "unbounded"
    })
    assert.strictEqual(exitCode, 0, [script, printed, said].join("\n"))
    return printed
  }, Effect.scoped)

  /** Answers what was printed. */
  const type = Effect.fnUntraced(function* ({ commands, shown }: Step) {
    const typed = yield* here(commands)
    const before = yield* Ref.get(variables)
    const printed = yield* run(["set -e -o pipefail", ...before, typed].join("\n"))
    yield* Ref.update(variables, (lines) => [...lines, ...typed.split("\n").filter(isVariable)])
    if (shown !== undefined) {
      const given = changingIn(compact(printed))
      const pairs = changingIn(compact(shown)).map((id, index) => [id, given[index] ?? ""] as const)
      yield* Ref.update(known, (ids) => new Map([...pairs, ...ids]))
    }
    return printed
  })
  return { type }
})

const platform = Layer.mergeAll(NodeServices.layer, FetchHttpClient.layer)

describe("the README", () => {
  it.live(
    "shows what is answered to its commands, from the first product to what is left when everything was killed",
    () =>
      Effect.gen(function* () {
        const place = yield* emptyPlace
        // A customer who is told by chance that payment is away would read nothing of that here.
        const stack = yield* startAndWait(place, [], { MOCK_FAILURE_RATE: "0" })
        const { type } = yield* newcomer(place, stack)

        const order = stepsOf("The first order")
        assert.isAtLeast(order.length, 5)
        for (const step of order) {
          const printed = yield* type(step)
          assert.strictEqual(shapeOf(printed), shapeOf(step.shown ?? assert.fail(step.commands)), step.commands)
        }

        const asked = order.find(({ commands }) => commands.includes("Idempotency-Key: order-")) ?? assert.fail()
        assert.strictEqual(yield* type(asked), yield* type(asked))

        const looks = stepsOf("Look at it")
        assert.lengthOf(looks, 1)
        for (const step of looks) {
          const printed = yield* type(step)
          for (const { name } of topology) assert.include(printed, name)
          assert.match(printed, /"status":"COMPLETED"[^]*COMPLETED after [^]*POST \/orders[^]*edge-api\.sagas[^]*ok /u)
        }

        const breaks = stepsOf("Break it on purpose")
        assert.lengthOf(breaks, 1)
        for (const step of breaks) {
          const printed = yield* type(step)
          assert.include(printed, step.shown ?? assert.fail(step.commands))
        }
        assert.include(yield* stack.printed, "inventory | ended with signal SIGKILL; starting it again")

        yield* stack.signal("SIGTERM")
        assert.strictEqual(yield* Effect.timeout(stack.exitCode, "100 seconds"), 0)
      }).pipe(Effect.scoped, Effect.provide(platform)),
    240_000
  )
})
