import { assert, describe, it } from "vitest"

import * as Findings from "../src/Findings.ts"
import * as Overload from "../src/Overload.ts"
import * as Rules from "../src/Rules.ts"
import { growthInAnHour, lows, trend } from "../src/Trend.ts"

/** One value each ten seconds. */
const every10 = <A>(count: number, valueAt: (number: number) => A) =>
  Array.from({ length: count }, (_, number) => ({ at: number * 10, value: valueAt(number) }))

/** Up and down, with no chance in it. */
const sawtooth = (number: number) => ((number * 7) % 5) * 10

const series = (points: Rules.Series["points"]): Rules.Series => ({ name: "memory", unit: "MiB", points })

describe("a trend", () => {
  it("A straight line is found as it is, with no error.", () => {
    const found = trend(every10(5, (number) => 100 + 20 * number))
    assert.closeTo(found?.perSecond ?? Number.NaN, 2, 1e-9)
    assert.closeTo(found?.error ?? Number.NaN, 0, 1e-9)
  })

  it("Two points, or one moment alone, have none.", () => {
    assert.isUndefined(trend(every10(2, (number) => number)))
    assert.isUndefined(trend([1, 2, 3].map((value) => ({ at: 7, value }))))
    assert.strictEqual(growthInAnHour([]), 0)
  })

  it("What goes up and down does not grow, and what shrinks does not either.", () => {
    assert.strictEqual(growthInAnHour(every10(60, sawtooth)), 0)
    assert.strictEqual(growthInAnHour(every10(60, (number) => 1000 - number)), 0)
  })

  it("What goes up and down and grows all the same is noticed.", () => {
    const growth = growthInAnHour(every10(60, (number) => sawtooth(number) + 5 * number))
    assert.isAbove(growth, 1500)
    assert.isAtMost(growth, 1800)
  })

  it("Only the second half is looked at: a process may warm up.", () => {
    assert.closeTo(growthInAnHour(every10(60, (number) => Math.min(number, 20) * 10)), 0, 1e-6)
  })
})

describe("what is left of what comes and goes", () => {
  it("Of each minute its lowest, where it was found.", () => {
    const values = [5, 3, 4, 9, 8, 7, 6, 9, 2]
    const found = lows(
      values.map((value, number) => ({ at: number * 20, value })),
      60
    )
    assert.deepStrictEqual(found, [
      { at: 20, value: 3 },
      { at: 100, value: 7 },
      { at: 160, value: 2 }
    ])
  })

  it("Workers that come at any time are no trend; what they leave more of each time is one.", () => {
    const since = (number: number) => 40 * (((number * 11) % 17) / 17)
    const held = every10(61, (number) => 200 + since(number))
    const leaking = every10(61, (number) => 200 + since(number) + number)
    assert.isBelow(growthInAnHour(lows(held, 60)), 64)
    assert.isAbove(growthInAnHour(lows(leaking, 60)), 200)
  })
})

describe("a rule", () => {
  const leak = series(every10(61, (number) => 100 + number))

  it("Memory that would grow by more than is allowed in an hour breaks it; first, middle and last are told.", () => {
    const finding = Rules.staysFlat(leak, { share: 0.5, atLeast: 64 })
    assert.deepInclude(finding, { found: [100, 130, 160], isKept: false })
    assert.isTrue(Rules.staysFlat(leak, { share: 3, atLeast: 0 }).isKept)
    assert.isTrue(Rules.staysFlat(leak, { share: 0, atLeast: 400 }).isKept)
  })

  it("In a short soak a trend is told and not judged.", () => {
    const short = Rules.staysFlat(series(leak.points.slice(0, 13)), { share: 0.5, atLeast: 64 })
    assert.deepInclude(short, { isKept: true, wanted: "told only: too short for a trend" })
  })

  it("A bound is broken by one value beyond it.", () => {
    assert.isTrue(Rules.staysBelow(leak, 160).isKept)
    assert.isFalse(Rules.staysBelow(leak, 159).isKept)
  })

  it("Waits may be twice as long in the second half, unless they are nothing anyway.", () => {
    const waits = series(every10(20, (number) => (number < 10 ? 10 : 25)))
    assert.isFalse(Rules.staysAlike(waits, 2, 0).isKept)
    assert.isTrue(Rules.staysAlike(waits, 2, 50).isKept)
    assert.isTrue(Rules.staysAlike(waits, 3, 0).isKept)
  })

  it("Nothing that was found keeps no rule.", () => {
    const nothing = series([])
    assert.isFalse(Rules.staysFlat(nothing, { share: 1, atLeast: 1 }).isKept)
    assert.isFalse(Rules.staysBelow(nothing, 1).isKept)
    assert.isFalse(Rules.staysAlike(nothing, 1, 1).isKept)
    assert.isFalse(Rules.is("x", "", Number.NaN, { atMost: 1 }).isKept)
  })

  it("What was found once has two bounds.", () => {
    const kept = [0, 1, 2, 3].map((value) => Rules.is("x", "", value, { atLeast: 1, atMost: 2 }).isKept)
    assert.deepStrictEqual(kept, [false, true, true, false])
    assert.strictEqual(Rules.is("x", "", 1, { atLeast: 1, atMost: 2 }).wanted, "at least 1.00, at most 2.00")
  })

  it("What is only told breaks no rule, and says so.", () => {
    const { isKept, wanted } = Rules.told("x", "ms", 1e9)
    assert.deepStrictEqual({ isKept, wanted }, { isKept: true, wanted: "told only" })
  })
})

describe("a flood", () => {
  const flood = { products: [], perSecond: 300, seconds: 10 }
  const before = { capacity: 100, requestsAtOnce: 256 }
  const of = (
    refused: Readonly<Record<string, number>>,
    fate = { unknown: 0, open: 0, completed: 1500, otherwise: 0 }
  ) =>
    Overload.judge(
      {
        samples: [5, 10].map((at) => ({
          at,
          memory: new Map([["edge-api", 1000]]),
          held: new Map(),
          backends: new Map(),
          tables: [],
          open: 200,
          arrived: {
            isOver: at === 10,
            waiting: 0,
            sent: 1500,
            accepted: Array.from({ length: 750 }, () => "an order"),
            millis: Array.from({ length: 750 }, () => 900),
            refused
          }
        })),
        fate,
        endedAfterSeconds: 3,
        recoveredAfterSeconds: 5
      },
      before,
      flood
    )
      .filter(({ isKept }) => !isKept)
      .map(({ name }) => name)

  it("It is well that some are told to come again, by this limit or by that.", () => {
    assert.deepStrictEqual(of({ "503 overloaded": 700, "429 too_many_requests": 50 }), [])
  })

  it("That nobody is turned away is as wrong as that somebody is answered otherwise.", () => {
    assert.deepStrictEqual(of({}), ["turned away with 503"])
    assert.deepStrictEqual(of({ "503 overloaded": 1, "500 internal": 1 }), ["answered otherwise"])
    assert.deepStrictEqual(of({ "503 overloaded": 1, "503 payment_unavailable": 1 }), ["answered otherwise"])
    assert.deepStrictEqual(of({ "503 overloaded": 1, "no answer: Error": 1 }), ["answered otherwise"])
  })

  it("One order that is nowhere, or has no end, is noticed.", () => {
    const shed = { "503 overloaded": 1 }
    assert.deepStrictEqual(of(shed, { unknown: 1, open: 0, completed: 1499, otherwise: 0 }), [
      "accepted and not in the ledger"
    ])
    assert.deepStrictEqual(of(shed, { unknown: 0, open: 1, completed: 1499, otherwise: 0 }), [
      "accepted and not at their end"
    ])
  })

  it("A wait is judged by how many the house holds and how fast it is.", () => {
    assert.strictEqual(Overload.longestWait({ capacity: 768, requestsAtOnce: 256 }), 2000)
  })
})

describe("what was found", () => {
  const findings: Findings.Findings = {
    capacity: 700,
    parts: [
      {
        title: "The soak",
        findings: [
          Rules.staysBelow(series([1, 2, 9].map((value, at) => ({ at, value }))), 8),
          Rules.is("orders refused", "", 0, { atMost: 0 })
        ]
      }
    ]
  }

  it("The broken rule is named, with its figures; the one that is kept has its figure at the end.", () => {
    const text = Findings.render(findings)
    assert.match(text, /BROKEN +memory +1\.00 +2\.00 +9\.00 +MiB +at most 8\.00/)
    assert.match(text, /\n +orders refused +0\.00 +at most 0\.00/)
    assert.include(text, "1 rule is broken.")
    assert.deepStrictEqual(
      Findings.broken(findings).map(({ name }) => name),
      ["memory"]
    )
  })

  it("A program reads the same.", () => {
    assert.deepStrictEqual(JSON.parse(Findings.encode(findings)), structuredClone(findings))
  })
})
