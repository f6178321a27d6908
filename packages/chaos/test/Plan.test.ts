import { kindOf, type Cast, draw, describe as tell } from "@ecommerce/chaos/Plan"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"

const cast: Cast = {
  edges: ["edge-api-1", "edge-api-2"],
  orchestrators: ["orchestrator-1", "orchestrator-2"],
  others: ["inventory", "orders", "payment"],
  links: ["customers → edge-api-1", "orchestrator-1 → payment", "orchestrator-1 → database", "orders → database"]
}

const kinds = [
  "PostgreSQL restarted, fast",
  "PostgreSQL restarted, immediate",
  "SIGSTOP beyond a lease, SIGCONT",
  "SIGTERM",
  "backends terminated",
  "connections cut",
  "delays",
  "events poisoned",
  "kill -9",
  "kill -9 of PostgreSQL",
  "kill -9, two at once",
  "replies lost",
  "runs held back"
]

describe("a plan", () => {
  it.effect("is the same for the same seed, and another one for another", () =>
    Effect.gen(function* () {
      const plan = yield* draw(7, cast, 3)
      assert.deepStrictEqual(yield* draw(7, cast, 3), plan)
      assert.notDeepEqual(yield* draw(8, cast, 3), plan)
    })
  )

  it.effect("for longer begins with all of the shorter one, on both tracks", () =>
    Effect.gen(function* () {
      const shorter = yield* draw(7, cast, 2)
      const longer = yield* draw(7, cast, 5)
      for (const track of ["processes", "network"] as const) {
        const { leastTurns, turns } = shorter[track]
        assert.strictEqual(longer[track].turns.length * 2, turns.length * 5)
        assert.deepStrictEqual(longer[track].turns.slice(0, turns.length), turns)
        assert.strictEqual(longer[track].leastTurns, leastTurns)
      }
    })
  )

  it.effect("has every kind of trouble in its first deck, whatever the seed", () =>
    Effect.gen(function* () {
      for (let seed = 0; seed < 50; seed++) {
        const { network, processes } = yield* draw(seed, cast, 2)
        const first = [network, processes].flatMap(({ leastTurns, turns }) => turns.slice(0, leastTurns))
        assert.deepStrictEqual([...new Set(first.map(({ fault }) => kindOf(fault)))].toSorted(), kinds)
        assert.isTrue(network.turns.length === 2 * network.leastTurns)
      }
    })
  )

  it.effect("kills each process, and pairs of two, and pauses and stops an orchestrator and somebody else", () =>
    Effect.gen(function* () {
      const { leastTurns, turns } = (yield* draw(3, cast, 1)).processes
      assert.strictEqual(leastTurns, turns.length)
      const kills = turns.flatMap(({ fault }) => (fault._tag === "Kill" ? [fault.names] : []))
      const everybody = [...cast.edges, ...cast.orchestrators, ...cast.others]
      assert.deepStrictEqual(
        kills
          .filter(({ length }) => length === 1)
          .flat()
          .toSorted(),
        everybody.toSorted()
      )
      for (const pair of kills.filter(({ length }) => length > 1)) assert.strictEqual(new Set(pair).size, 2)
      for (const tag of ["Pause", "Stop"]) {
        const names = turns.flatMap(({ fault }) => (fault._tag === tag && "name" in fault ? [fault.name] : []))
        assert.strictEqual(names.filter((name) => cast.orchestrators.includes(name)).length, 1)
        assert.strictEqual(names.length, 2)
      }
    })
  )

  it.effect("is told in words", () =>
    Effect.gen(function* () {
      const { network, processes } = yield* draw(3, cast, 1)
      const told = [...network.turns, ...processes.turns].map(({ fault }) => tell(fault))
      assert.includeMembers(told, [
        "kill -9 payment",
        "restart PostgreSQL, fast",
        "kill -9 PostgreSQL",
        "cut all 4 links",
        "poison orders"
      ])
    })
  )
})
