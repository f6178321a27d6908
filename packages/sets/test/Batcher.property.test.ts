import * as Batcher from "@ecommerce/sets/Batcher"
import { assert, it } from "@effect/vitest"
import { Effect, Exit, Option, Scope } from "effect"
import * as fc from "fast-check"

interface Answer {
  readonly to: number
  readonly isLost: boolean
}

const mostItems = 5
const workers = 2

/** Whoever calls: after so many milliseconds, and for how long if not for ever. */
interface Caller {
  readonly comesAfter: number
  readonly staysFor: number | null
}

/** What becomes of a batch, after so many milliseconds. */
interface Fate {
  readonly takes: number
  readonly ends: "well" | "with a defect" | "interrupted" | "at once with a defect" | "with an answer too few"
}

interface Story {
  readonly callers: ReadonlyArray<Caller>
  /** Those of the batches, in the order of sending, and again from the first. */
  readonly fates: ReadonlyArray<Fate>
  readonly closesAfter: number | null
}

const millis = fc.nat(12)

const story: fc.Arbitrary<Story> = fc.record({
  callers: fc.array(fc.record({ comesAfter: millis, staysFor: fc.option(millis) }), { minLength: 1, maxLength: 60 }),
  fates: fc.array(
    fc.record({
      takes: fc.nat(6),
      ends: fc.constantFrom(
        "well",
        "well",
        "with a defect",
        "interrupted",
        "at once with a defect",
        "with an answer too few"
      )
    }),
    { minLength: 1, maxLength: 20 }
  ),
  closesAfter: fc.option(fc.nat(25), { freq: 3 })
})

/** What happens to the items of a story, and what their callers hear of it. */
const tell = Effect.fnUntraced(function* ({ callers, closesAfter, fates }: Story) {
  const sent: Array<{ readonly items: ReadonlyArray<number>; readonly fate: Fate }> = []
  const underWay = { now: 0, most: 0 }

  const run = (items: ReadonlyArray<number>) => {
    const fate = fates[sent.length % fates.length] ?? assert.fail("no fate")
    sent.push({ items, fate })
    if (fate.ends === "at once with a defect") throw new Error("at once")
    underWay.now += 1
    underWay.most = Math.max(underWay.most, underWay.now)
    const answers = items.map((to) => ({ to, isLost: false }))
    return Effect.sleep(fate.takes).pipe(
      Effect.andThen(
        fate.ends === "with a defect"
          ? Effect.die(new Error("later"))
          : fate.ends === "interrupted"
            ? Effect.interrupt
            : Effect.succeed(fate.ends === "well" ? answers : answers.slice(0, -1))
      ),
      Effect.ensuring(Effect.sync(() => (underWay.now -= 1)))
    )
  }

  const scope = yield* Scope.make()
  const ask = yield* Batcher.make<number, Answer>({
    name: "test",
    workers,
    linger: "2 millis",
    mostItems,
    mostBytes: 1000,
    bytesOf: () => 1,
    run,
    lost: (to) => ({ to, isLost: true })
  }).pipe(Scope.provide(scope))

  const call = ({ comesAfter, staysFor }: Caller, item: number) =>
    Effect.sleep(comesAfter).pipe(
      Effect.andThen(staysFor === null ? Effect.asSome(ask(item)) : Effect.timeoutOption(ask(item), staysFor))
    )
  const closing =
    closesAfter === null ? Effect.void : Effect.andThen(Effect.sleep(closesAfter), Scope.close(scope, Exit.void))
  const [heard] = yield* Effect.all([Effect.forEach(callers, call, { concurrency: "unbounded" }), closing], {
    concurrency: "unbounded"
  }).pipe(Effect.timeout("100 seconds"))
  yield* Scope.close(scope, Exit.void)
  return { heard, sent, underWay }
})

const check = Effect.fnUntraced(function* (story: Story) {
  const { heard, sent, underWay } = yield* tell(story)
  assert.isAtMost(underWay.most, workers)
  assert.strictEqual(underWay.now, 0)

  const batchesOf = Map.groupBy(
    sent.flatMap(({ fate, items }) => items.map((item) => ({ item, fate, isLast: items.at(-1) === item }))),
    ({ item }) => item
  )
  for (const { items } of sent) assert.isTrue(items.length > 0 && items.length <= mostItems)

  for (const [item, answer] of heard.entries()) {
    const stays = story.callers[item]?.staysFor === null
    if (Option.isNone(answer)) {
      assert.isFalse(stays, `caller ${item} hears nothing`)
      continue
    }
    assert.strictEqual(answer.value.to, item, "an answer is that of the caller's own item")
    const [batch, ...more] = batchesOf.get(item) ?? []
    assert.isEmpty(more, `item ${item} is sent once`)
    const ends = batch?.fate.ends
    const isAnswered = ends === "well" || (ends === "with an answer too few" && batch?.isLast === false)
    // Whoever closes loses what is under way. Otherwise only what was not answered is lost.
    if (!answer.value.isLost) assert.isTrue(isAnswered, `item ${item} was not answered`)
    else if (story.closesAfter === null) assert.isFalse(isAnswered, `the answer to item ${item} is lost`)
  }
})

it.live("whatever batches and callers do, whoever stays hears of exactly the own item, or that it is lost", () =>
  Effect.promise(() =>
    fc.assert(
      fc.asyncProperty(story, (story) => Effect.runPromise(check(story))),
      { numRuns: 100, interruptAfterTimeLimit: 15_000, markInterruptAsFailure: false }
    )
  )
)
