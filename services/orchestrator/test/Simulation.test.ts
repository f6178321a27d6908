import { explore, once, render } from "@ecommerce/testing/Simulation"
import { assert, describe, it } from "@effect/vitest"

import { options, play, type Rules, sound } from "./fixtures/simulated/Shop.ts"

interface Hole {
  readonly rules: Partial<Rules>
  /** What the smallest story ends with, and what has to happen in it at the least. */
  readonly ends: RegExp
  readonly tells: RegExp
}

const holes: Readonly<Record<string, Hole>> = {
  "an undo is not remembered, and what comes late is done after it": {
    rules: { tombstones: false },
    ends: /and left|was paid 2 times/u,
    tells: /arrives late|much later/u
  },
  "a refusal is not remembered, and what comes a second time is done": {
    rules: { rememberedRefusals: false },
    ends: /and left/u,
    tells: /reserve-stock: StockRefused[^]*reserve-stock: done|CaptureRefused[^]*capture-payment: done/u
  },
  "writes name no epoch, and whoever has lost a saga goes on with it": {
    rules: { fences: false },
    ends: /twice|told of|no end/u,
    tells: /is taken from|lost|late/u
  }
}

describe("orders in a simulated world", () => {
  it("end as they must in two thousand stories of crashes, pauses, and messages that are lost, late or repeated", () => {
    const failure = explore(options, play(sound))
    assert.isUndefined(failure, failure === undefined ? "" : render(failure))
  })

  it("have the same story whenever it is told from its seed", () => {
    const { story } = once(11, options, play(sound))
    assert.isAbove(story.length, 10)
    assert.deepStrictEqual(once(11, options, play(sound)).story, story)
  })

  for (const [where, { ends, rules, tells }] of Object.entries(holes)) {
    it(`end badly where ${where}: a small story shows it`, () => {
      const failure = explore(options, play({ ...sound, ...rules }))
      assert.isDefined(failure)
      if (failure === undefined) return
      assert.match(failure.wrong.join("\n"), ends)
      assert.match(failure.story.join("\n"), tells)
      assert.isAtMost(failure.special, 8, render(failure))
      assert.isAtMost(failure.story.length, 60, render(failure))
    })
  }
})
