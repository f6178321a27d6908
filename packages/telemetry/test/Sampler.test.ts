import * as Sampler from "@ecommerce/telemetry/Sampler"
import * as fc from "fast-check"
import { assert, describe, it } from "vitest"

const hex = (length: number) =>
  fc.string({ unit: fc.constantFrom(..."0123456789abcdef"), minLength: length, maxLength: length })

describe("a sampler", () => {
  it("that has a ratio decides by the trace alone: what one service records, every other with the same ratio does", () => {
    fc.assert(
      fc.property(hex(32), fc.double({ min: 0, max: 1, noNaN: true }), (traceId, ratio) => {
        const one = Sampler.make("parentbased_traceidratio", ratio)
        const other = Sampler.make("traceidratio", ratio)
        assert.strictEqual(one.root(traceId), other.root(traceId))
        assert.strictEqual(other.child(!one.root(traceId), traceId), other.root(traceId))
      })
    )
  })

  it("records what a higher ratio records, and of many traces about as many as it says", () => {
    const ids = fc.sample(hex(32), { numRuns: 4000, seed: 7 })
    const recorded = (ratio: number) => {
      const { root } = Sampler.make("parentbased_traceidratio", ratio)
      return new Set(ids.filter((id) => root(id)))
    }
    const [few, more] = [recorded(0.1), recorded(0.5)]
    assert.isTrue([...few].every((id) => more.has(id)))
    assert.approximately(few.size / ids.length, 0.1, 0.03)
    assert.approximately(more.size / ids.length, 0.5, 0.05)
    assert.deepStrictEqual([recorded(0).size, recorded(1).size], [0, ids.length])
  })

  it.each([
    ["always_on", true, true, true],
    ["always_off", false, false, false],
    ["parentbased_always_on", true, true, false],
    ["parentbased_always_off", false, true, false]
  ] as const)("%s: a trace of its own %s, below a recorded one %s, below one that is not %s", (name, root, on, off) => {
    const sampler = Sampler.make(name, 1)
    const id = "0af7651916cd43dd8448eb211c80319c"
    assert.deepStrictEqual([sampler.root(id), sampler.child(true, id), sampler.child(false, id)], [root, on, off])
  })
})
