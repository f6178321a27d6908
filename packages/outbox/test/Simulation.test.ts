import { explore, once, render } from "@ecommerce/testing/Simulation"
import { assert, describe, it } from "@effect/vitest"

import { options, play, type Rules, sound } from "./fixtures/simulated/Reading.ts"

interface Hole {
  readonly rules: Partial<Rules>
  readonly ends: RegExp
}

const holes: Readonly<Record<string, Hole>> = {
  "the feed is read by its sequence and not up to the horizon: what commits late is skipped": {
    rules: { horizon: false },
    ends: /^used/u
  },
  "the copy does not look at versions: an older one comes last": {
    rules: { versions: false },
    ends: /and its copy at version/u
  },
  "what was read is acknowledged before it is committed: a crash in between loses it": {
    rules: { acknowledgesLast: false },
    ends: /^used/u
  },
  "the place is moved without comparing: two replicas use the same": {
    rules: { compares: false },
    ends: /^used/u
  }
}

describe("consumers in a simulated world", () => {
  it("use what was committed, each event once and in order, in two thousand stories", () => {
    const failure = explore(options, play(sound))
    assert.isUndefined(failure, failure === undefined ? "" : render(failure))
  })

  it("have the same story whenever it is told from its seed", () => {
    const { story } = once(11, options, play(sound))
    assert.isAbove(story.length, 5)
    assert.deepStrictEqual(once(11, options, play(sound)).story, story)
  })

  for (const [where, { ends, rules }] of Object.entries(holes)) {
    it(`end badly where ${where}`, () => {
      const failure = explore(options, play({ ...sound, ...rules }))
      assert.isDefined(failure)
      if (failure === undefined) return
      assert.match(failure.wrong.join("\n"), ends)
      assert.isAtMost(failure.special, 8, render(failure))
      assert.isAtMost(failure.story.length, 30, render(failure))
    })
  }
})
