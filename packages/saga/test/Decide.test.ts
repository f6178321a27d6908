import { delayAfter } from "@ecommerce/saga/Policy"
import { assert, describe, it } from "@effect/vitest"
import { expect } from "vitest"

import { bookTrip, cancelTrip, policy } from "./fixtures/Trip.ts"
import { type Course, type Ending, type Fate, type Fates, type Interference, render, run } from "./fixtures/World.ts"

const { plan } = bookTrip
const runs = plan.steps.map(({ name }) => name)
const lastUndoable = "take-deposit"
const forwardOnly = "send-ticket"
const times = <A>(count: number, one: A): ReadonlyArray<A> => Array.from({ length: count }, () => one)

/** Every way in which the calls of one run or one undo can go. */
const ways: Readonly<Record<string, ReadonlyArray<Fate>>> = {
  "is well": [],
  "is rejected": ["rejected"],
  "is rejected after its request was lost": ["lost request", "rejected"],
  "is rejected after its answer was lost": ["lost answer", "rejected"],
  "is unavailable, then well": ["lost request", "ok"],
  "is unavailable twice, then well": ["lost request", "lost request"],
  "is unavailable for good": times(policy.attempts, "lost request"),
  "is unavailable for longer than anybody would wait": times(policy.stuckAfter + 2, "lost request"),
  "has happened without anybody knowing": ["lost answer"],
  "has happened without anybody knowing, for good": times(policy.attempts, "lost answer"),
  "arrives late": ["late"],
  "arrives late, for good": times(policy.attempts, "late"),
  "dies before its call": ["crash before the call"],
  "dies after its call": ["crash after the call"],
  "dies after its commit": ["crash after the commit"],
  "dies after its call and is rejected then": ["crash after the call", "rejected"],
  "dies before its call and is rejected then": ["crash before the call", "rejected"],
  "dies again and again": times(3, "crash after the call"),
  "ends every worker": times(policy.mostClaims + 1, "crash before the call")
}

/** How many writes a saga has at most where all goes well: a cancel or the deadline may come after each of them. */
const boundaries = [0, 1, 2, 3, 4, 5, 6, 7, 8]
const interferences: ReadonlyArray<Interference | undefined> = [
  undefined,
  ...boundaries.map((afterWrite) => ({ what: "cancel" as const, afterWrite })),
  ...boundaries.map((afterWrite) => ({ what: "deadline" as const, afterWrite }))
]

/** What must be so however a saga has ended. */
const check = ({ calls, journal, news, state, world }: Ending, { interference }: Course) => {
  const done = (step: string) => (world.get(step)?.happened ?? 0) > 0
  for (const [step, kept] of world) {
    assert.isAtMost(kept.happened, 1, `${step} happened twice`)
    assert.isAtMost(kept.undone, 1, `${step} was undone twice`)
  }
  assert.isNull(state.step)
  assert.deepStrictEqual(state.undos, [])
  if (state.status === "COMPLETED") {
    for (const step of runs) {
      assert.isTrue(done(step) && world.get(step)?.isUndone !== true, `${step} is not done`)
      assert.property(state.results, step)
    }
    assert.isFalse(calls.some((call) => call.startsWith("undo")))
    assert.isNull(state.failure)
  } else {
    for (const step of runs) {
      if (done(step)) assert.strictEqual(world.get(step)?.undone, 1, `${step} happened and is not undone`)
    }
    // What comes late is refused: the way back has been everywhere where something may have been sent.
    assert.isTrue(world.get("return-deposit")?.isUndone, "What is owed is not done")
    assert.isFalse(done(forwardOnly))
    const isOurs = interference?.what === "cancel" && state.failure?.cause === "cancelled"
    assert.strictEqual(state.status, isOurs ? "CANCELLED" : "FAILED")
  }
  const undone = journal.filter(
    ({ kind, outcome }) => kind === "undo" && (outcome === "done" || outcome === "resolved")
  )
  const order = ["return-deposit", "book-hotel", "book-flight"]
  const places = undone.map(({ step }) => order.indexOf(step))
  assert.deepStrictEqual(places, places.toSorted(), "The way back is not in order")
  assert.deepStrictEqual(
    journal.map(({ seq }) => seq),
    journal.map((_, place) => place + 1)
  )
  assert.deepStrictEqual(
    news.map(({ version }) => version),
    news.map((_, place) => place + 1)
  )
  assert.strictEqual(news[0]?.type, "started")
  assert.strictEqual(news.at(-1)?.type, state.status.toLowerCase())
  assert.isAtMost(news.filter(({ type }) => type === "compensating").length, 1)
  // Behind a definite no nothing is asked any more.
  const rejected = journal.find(({ kind, outcome }) => kind === "run" && outcome === "rejected")?.step ?? forwardOnly
  for (const later of runs.slice(runs.indexOf(rejected) + 1)) assert.isFalse(calls.includes(`run ${later}`))
}

const endOf = (course: Omit<Course, "plan" | "policy">) => {
  const whole = { plan, policy, ...course }
  const ending = run(whole)
  check(ending, whole)
  const again = run({ ...whole, twice: true })
  assert.deepStrictEqual(again.state, ending.state)
  assert.deepStrictEqual([...again.world], [...ending.world])
  return ending
}

const isHopeless = (fates: ReadonlyArray<Fate>) =>
  fates.filter((fate) => fate !== "ok" && !fate.startsWith("crash")).length >= policy.attempts

/** What has happened before is not refused. */
const isRefused = (fates: ReadonlyArray<Fate>) =>
  fates.includes("rejected") && !fates.includes("lost answer") && !fates.includes("crash after the call")

describe("a saga by its pure core", () => {
  for (const step of runs) {
    for (const [way, fates] of Object.entries(ways)) {
      it(`ends as it must when ${step} ${way}, whenever it is cancelled or overdue`, () => {
        const statuses = new Set<string>()
        for (const interference of interferences) {
          const { state } = endOf({ fates: { [`run ${step}`]: fates }, interference })
          if (interference === undefined) statuses.add(state.status)
        }
        const mayFail = step !== forwardOnly && (isHopeless(fates) || isRefused(fates))
        assert.deepStrictEqual([...statuses], [mayFail ? "FAILED" : "COMPLETED"])
      })
    }
  }

  for (const refused of runs.slice(0, 3)) {
    for (const undo of ["return-deposit", "book-hotel", "book-flight"]) {
      for (const [way, fates] of Object.entries(ways)) {
        it(`is undone when ${refused} is refused and the undo of ${undo} ${way}`, () => {
          for (const first of ["rejected", "lost answer"] as const) {
            const run = first === "rejected" ? [first] : times(policy.attempts, first)
            for (const interference of interferences) {
              const { state } = endOf({ fates: { [`run ${refused}`]: run, [`undo ${undo}`]: fates }, interference })
              assert.notStrictEqual(state.status, "COMPLETED")
            }
          }
        })
      }
    }
  }

  it("ends as it must whatever two of its calls come to", () => {
    const names = [...runs.map((step) => `run ${step}`), "undo return-deposit", "undo book-hotel", "undo book-flight"]
    let endings = 0
    for (const [place, one] of names.entries()) {
      for (const other of names.slice(place + 1)) {
        for (const first of Object.values(ways)) {
          for (const second of Object.values(ways)) {
            const fates: Fates = { [one]: first, [other]: second }
            for (const interference of [
              undefined,
              ...interferences.filter((some) => (some?.afterWrite ?? 0) % 3 === 1)
            ]) {
              endOf({ fates, interference })
              endings += 1
            }
          }
        }
      }
    }
    assert.isAbove(endings, 40_000)
  })

  it("does not undo what was refused, unless an earlier attempt of it may have happened", () => {
    const undoes = (fates: ReadonlyArray<Fate>) =>
      endOf({ fates: { "run book-hotel": fates } }).calls.includes("undo book-hotel")
    assert.isFalse(undoes(["rejected"]))
    assert.isTrue(undoes(["lost request", "rejected"]))
    assert.isTrue(undoes(["crash before the call", "rejected"]))
  })

  it("does what is owed first, whichever step was refused, and once", () => {
    for (const step of runs.slice(0, 3)) {
      const { calls } = endOf({ fates: { [`run ${step}`]: ["rejected"] } })
      const undos = calls.filter((call) => call.startsWith("undo"))
      assert.strictEqual(undos[0], "undo return-deposit")
      assert.strictEqual(undos.filter((undo) => undo === "undo return-deposit").length, 1)
    }
  })

  it("waits longer and longer between attempts, and not longer than the longest", () => {
    const delays = [1, 2, 3, 4, 5].map((attempts) => delayAfter(policy, attempts))
    assert.deepStrictEqual(delays, [1000, 4000, 16_000, 60_000, 60_000])
  })

  it("does not count a claim without an outcome as an attempt", () => {
    const { journal, state } = endOf({ fates: { "run book-hotel": times(3, "crash before the call") } })
    assert.strictEqual(state.status, "COMPLETED")
    assert.deepStrictEqual(
      journal.filter(({ step }) => step === "book-hotel").map(({ attempt, outcome }) => [attempt, outcome]),
      [
        [1, "unknown"],
        [1, "unknown"],
        [1, "unknown"],
        [1, "done"]
      ]
    )
  })

  it("is stuck after five sends without an outcome, and tells of it once", () => {
    const { journal, news, resolutions } = endOf({ fates: { "run book-hotel": times(9, "crash before the call") } })
    assert.strictEqual(journal.filter(({ outcome }) => outcome === "unknown").length, 5)
    assert.strictEqual(news.filter(({ type }) => type === "stuck").length, 1)
    assert.strictEqual(resolutions, 1)
  })

  it("is stuck at once where an undo, or a step with no way back, is refused", () => {
    for (const fates of [
      { "run send-ticket": ["rejected"] },
      { "run take-deposit": ["rejected"], "undo book-flight": ["rejected"] }
    ] satisfies ReadonlyArray<Fates>) {
      const { news, resolutions } = endOf({ fates })
      assert.strictEqual(news.filter(({ type }) => type === "stuck").length, 1)
      assert.strictEqual(resolutions, 1)
    }
  })

  it("never gives up an undo or a step with no way back, and says once that it is stuck", () => {
    for (const fates of [
      { "run send-ticket": times(50, "lost request") },
      { "run take-deposit": ["rejected"], "undo book-flight": times(50, "lost answer") }
    ] satisfies ReadonlyArray<Fates>) {
      const { journal, news, resolutions } = endOf({ fates })
      assert.strictEqual(journal.filter(({ outcome }) => outcome === "unavailable").length, 50)
      assert.strictEqual(news.filter(({ type }) => type === "stuck").length, 1)
      assert.strictEqual(resolutions, 0)
    }
  })

  it("goes on to its end when it is cancelled or overdue behind its last way back", () => {
    for (const what of ["cancel", "deadline"] as const) {
      // The fourth write says that the last step with a way back is done.
      assert.strictEqual(endOf({ interference: { what, afterWrite: 3 } }).state.status, "COMPLETED")
      assert.notStrictEqual(endOf({ interference: { what, afterWrite: 2 } }).state.status, "COMPLETED")
    }
  })

  it("with no way back at all comes to its end whatever happens", () => {
    for (const { name } of cancelTrip.plan.steps) {
      for (const fates of Object.values(ways)) {
        for (const interference of interferences) {
          const { state } = run({ plan: cancelTrip.plan, policy, fates: { [`run ${name}`]: fates }, interference })
          assert.strictEqual(state.status, "COMPLETED")
        }
      }
    }
  })

  const golden: Readonly<Record<string, Omit<Course, "plan" | "policy">>> = {
    "all goes well": {},
    "the flight is refused": { fates: { "run book-flight": ["rejected"] } },
    "the hotel is refused": { fates: { "run book-hotel": ["rejected"] } },
    "the hotel is refused after a lost answer": { fates: { "run book-hotel": ["lost request", "rejected"] } },
    "the hotel never answers": { fates: { "run book-hotel": times(policy.attempts, "lost answer") } },
    "the deposit cannot be taken": { fates: { "run take-deposit": ["rejected"] } },
    "the worker dies while it takes the deposit": { fates: { "run take-deposit": ["crash after the call"] } },
    "the worker dies on the way back": {
      fates: { "run take-deposit": ["rejected"], "undo book-hotel": ["crash after the call"] }
    },
    "an undo is refused": { fates: { "run take-deposit": ["rejected"], "undo book-flight": ["rejected"] } },
    "it is cancelled before the hotel": { interference: { what: "cancel", afterWrite: 1 } },
    "it is overdue before the deposit": { interference: { what: "deadline", afterWrite: 2 } },
    "the ticket cannot be sent for long": { fates: { "run send-ticket": times(policy.stuckAfter, "lost request") } }
  }
  for (const [title, course] of Object.entries(golden)) {
    it(`leaves the trace that is kept: ${title}`, async () => {
      await expect(render(endOf(course))).toMatchFileSnapshot(`./golden/${title.replaceAll(" ", "-")}.txt`)
    })
  }

  it(`turns back also at ${lastUndoable}, whose undo is owed anyhow`, () => {
    const { calls } = endOf({ fates: { [`run ${lastUndoable}`]: times(policy.attempts, "lost answer") } })
    assert.deepStrictEqual(calls.slice(-3), ["undo return-deposit", "undo book-hotel", "undo book-flight"])
  })
})
