import { explore, once, type Options, render } from "@ecommerce/testing/Simulation"
import type { World } from "@ecommerce/testing/Simulation/World"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schedule } from "effect"

const options: Options = {
  seed: 1,
  stories: 500,
  mostMisfortunes: 20,
  likelihood: { question: 0.2, turn: 0.05 },
  stoppedMillis: 1000,
  restartMillis: 100,
  lateMillis: 50,
  muchLaterMillis: 5000
}

/** Somebody counts to ten at another place, where it counts as often as it is asked to; or once for each number. */
const counting = (isIdempotent: boolean) => (world: World) => {
  const counted: Array<number> = []
  let written = 0
  world.start("the counter", (process) =>
    Effect.suspend(() => {
      const number = written + 1
      return process
        .ask({
          what: "a number",
          lost: Effect.fail("lost"),
          ways: ["arrives", "arrives late", "is lost", "arrives, and its answer is lost"],
          answer: () => {
            if (!isIdempotent || !counted.includes(number)) counted.push(number)
            world.note(`${number} is counted`)
          }
        })
        .pipe(Effect.andThen(Effect.sync(() => void (written = number))))
    }).pipe(Effect.retry(Schedule.spaced("10 millis")), Effect.repeat({ until: () => written >= 10 }))
  )
  const isOver = world.goOn(() => written >= 10 && world.isQuiet(), 60_000)
  return isOver && counted.join() === "1,2,3,4,5,6,7,8,9,10" ? [] : [`It counted ${counted.join()}`]
}

describe("a simulated world", () => {
  it("has no story that ends badly where nothing is wrong, whatever is killed, stopped, lost or late", () => {
    const failure = explore(options, counting(true))
    assert.isUndefined(failure, failure === undefined ? "" : render(failure))
  })

  it("finds a story that ends badly, and leaves out of it all that it does not need", () => {
    const failure = explore(options, counting(false))
    assert.isDefined(failure)
    // One answer that is lost, or one process that ends behind its question.
    assert.strictEqual(failure?.special, 1, failure && render(failure))
    assert.strictEqual(failure?.story.filter((line) => line.includes("!")).length, 1)
    assert.strictEqual(failure?.wrong.length, 1)
  })

  it("is as it was when it is told again from its seed, and another one from another", () => {
    const stories = [3, 3, 4].map((seed) => once(seed, options, counting(true)).story.join("\n"))
    assert.strictEqual(stories[0], stories[1])
    assert.notStrictEqual(stories[0], stories[2])
  })

  it("lets an hour pass in no time", () => {
    const wrong = once(1, options, (world) => {
      let minutes = 0
      world.start("a clock", () =>
        Effect.forever(
          Effect.andThen(
            Effect.sleep("1 minute"),
            Effect.sync(() => (minutes += 1))
          )
        )
      )
      world.goOn(() => minutes === 60, 2 * 3_600_000)
      return minutes === 60 ? [] : [`${minutes} minutes`]
    }).wrong
    assert.deepStrictEqual(wrong, [])
  })
})
