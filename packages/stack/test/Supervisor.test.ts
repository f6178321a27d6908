/** The supervisor with real processes; the rule that decides about restarts, without any. */
import { fileURLToPath } from "node:url"

import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, FileSystem, Option, Path, Ref, Schedule } from "effect"

import { Supervisor } from "../src/Supervisor.ts"
import type { ChildSpec, Options } from "../src/Supervisor.ts"
import { isHopeless, pauseBeforeRestart, recordDeath } from "../src/Supervisor/RestartRule.ts"

const fixture = fileURLToPath(new URL("./fixtures/child.ts", import.meta.url))

/** A supervisor, children for it that live in a directory of their own, and what they said. */
const setUp = Effect.fnUntraced(function* (options?: Partial<Options>) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const directory = yield* fs.makeTempDirectoryScoped({ prefix: "supervisor-" })
  const lines = yield* Ref.make<ReadonlyArray<string>>([])
  const supervisor = yield* Supervisor.make({
    onLines: (name, some) => Ref.update(lines, (all) => [...all, ...some.map((line) => `${name}: ${line}`)]),
    ...options
  })
  const child = (name: string, manner: "steady" | "stubborn" | "crashing" = "steady"): ChildSpec => ({
    name,
    command: process.execPath,
    args: [fixture, directory, name, manner],
    env: {},
    isReady: Effect.orDie(fs.exists(path.join(directory, name)))
  })
  const pidOf = (name: string) =>
    Effect.map(supervisor.states, (states) =>
      Option.getOrElse(
        Option.flatMap(Option.fromUndefinedOr(states.get(name)), (state) => state.pid),
        () => 0
      )
    )
  return { supervisor, child, pidOf, lines: Ref.get(lines) }
})

const kill = (pid: number) => Effect.sync(() => process.kill(pid, "SIGKILL"))

const isGone = (pid: number) =>
  Effect.sync(() => {
    assert.throws(() => process.kill(pid, 0), "ESRCH")
  })

const eventually = <E, R>(isSo: Effect.Effect<boolean, E, R>) =>
  isSo.pipe(Effect.repeat({ until: (so) => so, schedule: Schedule.spaced("20 millis") }), Effect.timeout("100 seconds"))

describe("children", () => {
  it.live("a child that is killed comes back with another process id, and its sibling never notices", () =>
    Effect.gen(function* () {
      const { child, lines, pidOf, supervisor } = yield* setUp()
      yield* supervisor.start(child("orders"))
      yield* supervisor.start(child("inventory"))
      const [orders, inventory] = [yield* pidOf("orders"), yield* pidOf("inventory")]
      yield* kill(orders)
      yield* eventually(
        Effect.map(supervisor.states, (states) => {
          const state = states.get("orders")
          return state?.restarts === 1 && state.status === "ready"
        })
      )
      assert.notStrictEqual(yield* pidOf("orders"), orders)
      assert.strictEqual(yield* pidOf("inventory"), inventory)
      assert.include(yield* lines, "orders: ended with signal SIGKILL; starting it again")
      assert.include(yield* lines, "inventory: inventory starts, supervised: true")
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
  )

  it.live("a child that is restarted on request, more often than it may die, ends orderly and counts no death", () =>
    Effect.gen(function* () {
      const { child, lines, pidOf, supervisor } = yield* setUp()
      yield* supervisor.start(child("orders"))
      for (let time = 0; time < 7; time++) {
        const before = yield* pidOf("orders")
        yield* supervisor.restart("orders")
        yield* eventually(
          Effect.map(supervisor.states, (states) => {
            const state = states.get("orders")
            return state?.status === "ready" && !Option.contains(state.pid, before)
          })
        )
      }
      assert.isFalse((yield* lines).some((line) => line.includes("ended with")))
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
  )

  it.live("a child that keeps dying fails its start and the supervisor, within seconds and with its last words", () =>
    Effect.gen(function* () {
      const { child, supervisor } = yield* setUp()
      yield* supervisor.start(child("inventory"))
      const error = yield* Effect.flip(supervisor.start(child("orders", "crashing"))).pipe(
        Effect.timeout("100 seconds")
      )
      assert.match(error.message, /^orders died 6 times within 60 seconds, the last time with exit code 3\. /)
      assert.match(error.message, /\nno database: giving up(\n|$)/)
      assert.strictEqual(yield* Effect.flip(supervisor.failure), error)
      const states = yield* supervisor.states
      assert.deepStrictEqual(states.get("orders"), { status: "stopped", pid: Option.none(), restarts: 5 })
      assert.strictEqual(states.get("inventory")?.status, "ready")
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
  )

  it.live("six kills of a child that was ready fail the supervisor", () =>
    Effect.gen(function* () {
      const { child, pidOf, supervisor } = yield* setUp()
      yield* supervisor.start(child("orders"))
      yield* eventually(Effect.map(pidOf("orders"), (pid) => pid > 0)).pipe(
        Effect.andThen(Effect.flatMap(pidOf("orders"), kill)),
        Effect.andThen(Effect.sleep("200 millis")),
        Effect.forever,
        Effect.raceFirst(supervisor.failure),
        Effect.timeout("100 seconds"),
        Effect.flip,
        Effect.tap((error) =>
          Effect.sync(() => assert.match(error.message, /^orders died 6 times .* with signal SIGKILL\./))
        )
      )
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
  )

  it.live("a command that does not exist is a child that keeps dying", () =>
    Effect.gen(function* () {
      const { child, supervisor } = yield* setUp({ maxDeaths: 2 })
      const error = yield* Effect.flip(supervisor.start({ ...child("orders"), command: "/no/such/command" }))
      assert.match(error.message, /^orders died 2 times .* with no process at all \(.*\/no\/such\/command.*\)/)
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
  )
})

describe("stopping", () => {
  it.live("goes in the reverse order of starting, and hears the last lines", () =>
    Effect.gen(function* () {
      const { lines, states } = yield* Effect.gen(function* () {
        const { child, lines, supervisor } = yield* setUp()
        for (const name of ["one", "two", "three"]) yield* supervisor.start(child(name))
        return { lines, states: supervisor.states }
      }).pipe(Effect.scoped)
      assert.deepStrictEqual(
        (yield* lines).filter((line) => line.includes("goodbye")),
        ["three: three says goodbye", "two: two says goodbye", "one: one says goodbye"]
      )
      for (const state of (yield* states).values()) {
        assert.deepStrictEqual(state, { status: "stopped", pid: Option.none(), restarts: 0 })
      }
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.live("kills a child that ignores SIGTERM, when its time is up", () =>
    Effect.gen(function* () {
      const [duration, pid] = yield* Effect.gen(function* () {
        const { child, pidOf, supervisor } = yield* setUp({ stopTimeout: "500 millis" })
        yield* supervisor.start(child("orders", "stubborn"))
        return yield* pidOf("orders")
      }).pipe(Effect.scoped, Effect.timed)
      yield* isGone(pid)
      assert.isTrue(Duration.between(duration, { minimum: Duration.millis(500), maximum: Duration.seconds(40) }))
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.live("leaves nothing when it comes while a child is still starting", () =>
    Effect.gen(function* () {
      const pid = yield* Effect.gen(function* () {
        const { child, pidOf, supervisor } = yield* setUp()
        yield* supervisor
          .start({ ...child("orders"), isReady: Effect.succeed(false) })
          .pipe(Effect.timeoutOption("500 millis"))
        return yield* pidOf("orders")
      }).pipe(Effect.scoped)
      assert.isAbove(pid, 0)
      yield* isGone(pid)
    }).pipe(Effect.provide(NodeServices.layer))
  )
})

describe("the rule", () => {
  const rule = { maxDeaths: 3, window: "10 seconds" } as const

  it("counts a death for the length of the window and not a moment longer", () => {
    assert.deepStrictEqual(recordDeath([], 5_000, rule), [5_000])
    assert.deepStrictEqual(recordDeath([5_000], 14_999, rule), [5_000, 14_999])
    assert.deepStrictEqual(recordDeath([5_000, 14_999], 15_000, rule), [14_999, 15_000])
    assert.deepStrictEqual(recordDeath([1, 2, 3], 60_000, rule), [60_000])
  })

  it("gives up at that many deaths within the window", () => {
    assert.isFalse(isHopeless([], rule))
    assert.isFalse(isHopeless([1, 2], rule))
    assert.isTrue(isHopeless([1, 2, 3], rule))
  })

  it.each([4_000, 4_999, 5_000, 5_001, 20_000])(
    "a death every %i ms is hopeless exactly if three fit in ten seconds",
    (every) => {
      let deaths: ReadonlyArray<number> = []
      let isEverHopeless = false
      for (let count = 1; count <= 50; count++) {
        deaths = recordDeath(deaths, count * every, rule)
        isEverHopeless ||= isHopeless(deaths, rule)
      }
      assert.strictEqual(isEverHopeless, 2 * every < 10_000)
    }
  )

  it("answers a first death at once and pauses longer after each further one, for a second at most", () => {
    const pauses = [1, 2, 3, 4, 5, 6, 20].map((count) =>
      Duration.toMillis(pauseBeforeRestart(Array.from({ length: count }, () => 0)))
    )
    assert.deepStrictEqual(pauses, [0, 100, 200, 400, 800, 1000, 1000])
  })
})
