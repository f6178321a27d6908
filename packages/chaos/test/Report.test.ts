import { complaints, type Outcome, render } from "@ecommerce/chaos/Report"
import { assert, describe, it } from "@effect/vitest"

const good: Outcome = {
  seed: 7,
  secondsAsked: 75,
  secondsOfTrouble: 81.4,
  edges: 2,
  orchestrators: 3,
  faults: { "kill -9": 9 },
  seen: { takeovers: 3, fencedWrites: 1, lateRuns: 1, deadLetters: 2, unknowns: 3, refunds: 4 },
  secondsToQuiet: 3.21,
  secondsAllowed: 100,
  errorsLogged: 0,
  verdict: {
    findings: [{ invariant: "all is as it was told", looked: 12, violations: [] }],
    moving: [],
    tally: {
      asked: 12,
      accepted: 11,
      declined: 1,
      ends: { COMPLETED: 8, FAILED: 3 },
      failures: { insufficient_stock: 2, unavailable: 1 },
      retried: 5,
      replayed: 2
    }
  }
}

describe("a report", () => {
  it("tells of a run that went well, and how to repeat it", () => {
    assert.deepStrictEqual(complaints(good), [])
    const text = render(good)
    assert.match(text, /kill -9 +9/u)
    assert.match(text, /COMPLETED +8/u)
    assert.match(text, /failed: insufficient_stock +2/u)
    assert.include(text, "At rest 3.2 s after 81 s of trouble")
    assert.include(text, "0 violations. All is well.")
    assert.include(text, "npm run chaos -- --seconds 75 --seed 7")
  })

  it("complains of violations, of what does not come to rest, and of what was never seen", () => {
    const bad: Outcome = {
      ...good,
      seen: { ...good.seen, fencedWrites: 0 },
      verdict: {
        ...good.verdict,
        findings: [{ invariant: "all is as it was told", looked: 12, violations: ["order 1 is gone", "order 2 too"] }],
        moving: ["1 orders are on their way"]
      }
    }
    assert.deepStrictEqual(complaints(bad), [
      "2 violations",
      "it did not come to rest: 1 orders are on their way",
      "never seen: one that came back too late was kept from writing"
    ])
    assert.include(render(bad), "NOT WELL: 2 violations")
    assert.include(render(bad), "order 1 is gone")
  })

  it("complains where fewer than one of ten accepted orders was completed: what nobody could break proves nothing", () => {
    const { verdict } = good
    const complaintsOf = (tally: Partial<Outcome["verdict"]["tally"]>) =>
      complaints({ ...good, verdict: { ...verdict, tally: { ...verdict.tally, ...tally } } })
    assert.deepStrictEqual(complaintsOf({ accepted: 100, ends: { COMPLETED: 10, FAILED: 90 } }), [])
    assert.deepStrictEqual(complaintsOf({ accepted: 100, ends: { COMPLETED: 9, FAILED: 91 } }), [
      "only 9 of 100 accepted orders were completed"
    ])
    assert.deepStrictEqual(complaintsOf({ accepted: 0, ends: {} }), ["only 0 of 0 accepted orders were completed"])
  })

  it("complains of rest that came too late, even where everything is as it should be", () => {
    assert.deepStrictEqual(complaints({ ...good, secondsToQuiet: 100 }), [])
    const late: Outcome = { ...good, secondsToQuiet: 103.21 }
    assert.deepStrictEqual(complaints(late), ["it came to rest after 103.2 s of 100 s"])
    assert.include(render(late), "NOT WELL: it came to rest after 103.2 s of 100 s")
  })
})
