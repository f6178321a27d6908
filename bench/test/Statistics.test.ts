import { assert, describe, it } from "vitest"

import { quantile, spread, written } from "../src/Statistics.ts"

describe("what is said of many numbers", () => {
  it("A quantile is a value that was measured, and the order in which they came does not matter.", () => {
    const values = Array.from({ length: 100 }, (_, place) => 100 - place)
    assert.deepStrictEqual(
      [0, 0.5, 0.95, 0.99, 1].map((share) => quantile(values, share)),
      [1, 50, 95, 99, 100]
    )
    assert.strictEqual(quantile([7], 0.99), 7)
    assert.isUndefined(quantile([], 0.5))
  })

  it("The median of an even number of runs lies between the two in the middle.", () => {
    assert.deepStrictEqual(spread([9, 1, 4]), { min: 1, median: 4, max: 9 })
    assert.deepStrictEqual(spread([4, 1, 2, 9]), { min: 1, median: 3, max: 9 })
    assert.isUndefined(spread([]))
  })

  it("Numbers are written with three digits that tell something.", () => {
    assert.deepStrictEqual([12_345.6, 99.94, 1.234, 0.1234, 0].map(written), [
      "12,346",
      "99.9",
      "1.23",
      "0.123",
      "0.00"
    ])
  })
})
