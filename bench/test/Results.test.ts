import { assert, describe, it } from "vitest"

import { type Figure, join, type Measure, medianOf, type Results } from "../src/Figures.ts"
import * as Goals from "../src/Goals.ts"
import * as Profile from "../src/Profile.ts"
import * as Report from "../src/Report.ts"
import { turned } from "../src/StackParts.ts"

const measure = (id: string, value: number | undefined, better: Figure["better"] = "more"): Measure => ({
  id,
  title: id,
  unit: "orders/s",
  better,
  value
})

const results = (figures: ReadonlyArray<Figure>): Results => ({
  at: "2026-01-01T00:00:00Z",
  commit: "abc",
  machine: { processors: "2 × some" },
  isQuick: false,
  figures,
  ratios: Goals.judge(figures),
  discarded: []
})

describe("what several runs have found", () => {
  it("Values of one figure join, and one that was not found adds nothing.", () => {
    const once = join([], "The stack", [measure("a", 1), measure("b", 5)])
    const twice = join(once, "The stack", [measure("a", 3), measure("b", undefined), measure("c", Number.NaN)])
    assert.deepStrictEqual(
      twice.map(({ id, runs }) => [id, runs]),
      [
        ["a", [1, 3]],
        ["b", [5]]
      ]
    )
    assert.strictEqual(medianOf(twice, "a"), 2)
    assert.isUndefined(medianOf(twice, "z"))
  })
})

describe("several rounds", () => {
  it("Each begins with another load, and leaves none out.", () => {
    const rounds = [0, 1, 2, 3].map((by) => turned(["a", "b", "c"], by).join(""))
    assert.deepStrictEqual(rounds, ["abc", "bca", "cab", "abc"])
    assert.deepStrictEqual(turned([], 2), [])
  })
})

describe("what PostgreSQL was busy with", () => {
  it("A statement is told for one order, on one line, as far as there is room.", () => {
    const found = { role: "orders", calls: 50, rows: 200, blocks: 500, millis: 25, planned: 5, planMillis: 10 }
    const text = Profile.render([{ ...found, query: `SELECT\n   1 ${"x".repeat(200)}` }], 100, 5)
    const [, , line = ""] = text.split("\n")
    assert.match(line, /^ +orders +0\.500 +2\.00 +10\.0 +0\.250 +0\.050 +0\.100 +SELECT 1 x+$/u)
    assert.isBelow(line.length, 200)
  })
})

describe("what is to be reached", () => {
  it("A goal is judged by medians, and only where both of its figures were measured.", () => {
    const figures = join([], "g", [measure("stack.c128.completed", 600), measure("peers.dbos.sagas", 100)])
    assert.deepStrictEqual(Goals.judge(figures), [
      { name: "completed/s : DBOS's sagas/s", value: 6, wanted: "at least 6", isReached: true }
    ])
  })

  it("A goal of one figure alone is missed beyond its bound.", () => {
    const [goal] = Goals.judge(join([], "g", [measure("stack.lone.completed.p50", 41)]))
    assert.deepInclude(goal, { value: 41, wanted: "at most 40", isReached: false })
  })

  it("Every goal has a name of its own.", () => {
    assert.strictEqual(new Set(Goals.goals.map(({ name }) => name)).size, Goals.goals.length)
  })
})

describe("two benches side by side", () => {
  it("More is better of some figures and less of others; what changed by less than a twentieth is neither.", () => {
    const of = (speed: number, wait: number, same: number) =>
      results(join([], "g", [measure("speed", speed), measure("wait", wait, "less"), measure("same", same)]))
    const lines = Report.compare(of(100, 10, 100), of(200, 20, 101)).split("\n")
    assert.match(lines[2] ?? "", /speed +100 +200 +orders\/s +2\.00 +better$/)
    assert.match(lines[3] ?? "", /wait +10\.0 +20\.0 +orders\/s +2\.00 +worse$/)
    assert.match(lines[4] ?? "", /same +100 +101 +orders\/s +1\.01$/)
  })

  it("The report has a table a group, the goals that are missed, and the runs that do not count.", () => {
    const figures = join([], "The stack", [measure("stack.lone.completed.p50", 41)])
    const text = Report.render({ ...results(figures), discarded: ["stack, run 1: the audit is not clean"] })
    assert.include(text, "  The stack\n")
    assert.match(text, /MISSED +lone order to COMPLETED/)
    assert.include(text, "Does not count: stack, run 1: the audit is not clean")
  })
})
