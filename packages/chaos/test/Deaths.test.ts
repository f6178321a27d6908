import { judge } from "@ecommerce/chaos/Deaths"
import { assert, describe, it } from "@effect/vitest"

const now = [
  { name: "payment", restarts: 2 },
  { name: "orders", restarts: 0 }
]
const first = { name: "payment", restarts: 0 }
const second = { name: "payment", restarts: 1 }

const violations = (...ordered: Parameters<typeof judge>[1]) => judge(now, ordered).violations

describe("an end of a process", () => {
  it("is nothing to speak of where it was ordered", () => {
    assert.deepStrictEqual(judge(now, [first, second]), {
      invariant: "no process has ended that was not told to",
      looked: 2,
      violations: []
    })
  })

  it("is a violation where nobody ordered it", () => {
    assert.deepStrictEqual(violations(first), ["payment ended by itself, when it had been started again 1 times"])
    assert.lengthOf(violations(), 2)
  })

  it("is not made good by an order to somebody else, or by a second one to a life that had one", () => {
    const wrong = ["payment ended by itself, when it had been started again 1 times"]
    assert.deepStrictEqual(violations(first, { name: "orders", restarts: 1 }), wrong)
    assert.deepStrictEqual(violations(first, first), wrong)
  })
})
