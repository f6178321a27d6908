import * as Batcher from "@ecommerce/sets/Batcher"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Scope } from "effect"
import { TestClock } from "effect/testing"

interface Answer {
  readonly text: string
}

const answerTo = (item: string): Answer => ({ text: `answer to ${item}` })
const lost = (item: string): Answer => ({ text: `${item} is lost` })

const names = (count: number) => Array.from({ length: count }, (_, index) => `item ${index}`)

const base: Omit<Batcher.Options<string, Answer>, "run"> = {
  name: "test",
  workers: 2,
  linger: "2 millis",
  mostItems: 256,
  mostBytes: 10_000,
  bytesOf: ({ length }) => length,
  lost
}

/** Batches are answered at once, except for those with an item that is told to end otherwise. */
const prompt = Effect.fnUntraced(function* (changed: Partial<typeof base> = {}) {
  const batches: Array<ReadonlyArray<string>> = []
  const ask = yield* Batcher.make<string, Answer>({
    ...base,
    ...changed,
    run: (items) => {
      batches.push(items)
      if (items.some((item) => item.startsWith("throw"))) throw new Error("thrown")
      if (items.some((item) => item.startsWith("die"))) return Effect.die(new Error("died"))
      if (items.some((item) => item.startsWith("interrupt"))) return Effect.interrupt
      if (items.some((item) => item.startsWith("forget"))) return Effect.succeed(items.slice(0, -1).map(answerTo))
      return Effect.succeed(items.map(answerTo))
    }
  })
  return { ask, batches }
})

/** Batches stay under way until the test answers them, by their number. */
const held = Effect.fnUntraced(function* (changed: Partial<typeof base> = {}) {
  const underWay: Array<{ readonly items: ReadonlyArray<string>; readonly end: Deferred.Deferred<void> }> = []
  const ended: Array<Exit.Exit<unknown>> = []
  const ask = yield* Batcher.make<string, Answer>({
    ...base,
    ...changed,
    run: (items) => {
      const end = Deferred.makeUnsafe<void>()
      underWay.push({ items, end })
      return Deferred.await(end).pipe(
        Effect.as(items.map(answerTo)),
        Effect.onExit((exit) => Effect.sync(() => ended.push(exit)))
      )
    }
  })
  const batches = () => underWay.map(({ items }) => items)
  const answer = (place: number) => Deferred.succeed(underWay[place]?.end ?? assert.fail("no such batch"), undefined)
  return { ask, batches, answer, ended }
})

/** Whatever can happen without a timer has happened. */
const settled = Effect.repeat(Effect.yieldNow, { times: 100 })

/** Asks, and goes on without the answer. */
const begin = <A>(asked: Effect.Effect<A>) => Effect.tap(Effect.forkChild(asked), () => settled)

const beginAll = <A>(asked: ReadonlyArray<Effect.Effect<A>>) => begin(Effect.all(asked, { concurrency: "unbounded" }))

const answered = <A>(fiber: Fiber.Fiber<A>) => {
  const exit = fiber.pollUnsafe()
  return exit !== undefined && Exit.isSuccess(exit) ? exit.value : "no answer yet"
}

describe("a batcher", () => {
  it.effect("sends a lone call at once, without a timer", () =>
    Effect.gen(function* () {
      const { ask, batches } = yield* prompt()
      for (const item of names(5)) assert.deepStrictEqual(answered(yield* begin(ask(item))), answerTo(item))
      assert.deepStrictEqual(
        batches,
        names(5).map((item) => [item])
      )
    })
  )

  it.effect("sends 64 calls of one turn together, each with its own answer, and without a timer", () =>
    Effect.gen(function* () {
      const { ask, batches } = yield* prompt()
      assert.deepStrictEqual(answered(yield* beginAll(names(64).map(ask))), names(64).map(answerTo))
      assert.deepStrictEqual(batches, [names(64)])
    })
  )

  it.effect("gathers what is called while all workers are busy, and sends it together when one returns", () =>
    Effect.gen(function* () {
      const { answer, ask, batches } = yield* held()
      const first = yield* begin(ask("first"))
      const second = yield* begin(ask("second"))
      const others = yield* Effect.forEach(names(62), (item) => begin(ask(item)))
      yield* TestClock.adjust("1 hour")
      assert.deepStrictEqual(batches(), [["first"], ["second"]])

      yield* answer(1)
      yield* settled
      assert.deepStrictEqual(answered(second), answerTo("second"))
      assert.strictEqual(answered(first), "no answer yet")
      assert.deepStrictEqual(batches(), [["first"], ["second"], names(62)])

      yield* answer(2)
      yield* settled
      assert.deepStrictEqual(others.map(answered), names(62).map(answerTo))
    })
  )

  it.effect("waits for 2 ms right after a batch of several, and sends together what comes until then", () =>
    Effect.gen(function* () {
      const { ask, batches } = yield* prompt()
      yield* beginAll(names(3).map(ask))
      const a = yield* begin(ask("a"))
      yield* TestClock.adjust("1 millis")
      const b = yield* begin(ask("b"))
      assert.deepStrictEqual(batches, [names(3)])
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(batches, [names(3), ["a", "b"]])
      assert.deepStrictEqual([a, b].map(answered), ["a", "b"].map(answerTo))
    })
  )

  it.effect("counts that from the return of the batch, however long it was under way", () =>
    Effect.gen(function* () {
      const { answer, ask, batches } = yield* held()
      yield* beginAll(names(3).map(ask))
      yield* TestClock.adjust("1 minute")
      yield* answer(0)
      yield* begin(ask("next"))
      assert.deepStrictEqual(batches(), [names(3)])
      yield* TestClock.adjust("2 millis")
      assert.deepStrictEqual(batches(), [names(3), ["next"]])
    })
  )

  it.effect("sends a lone call at once again when a batch of several is long gone", () =>
    Effect.gen(function* () {
      const { ask } = yield* prompt()
      yield* beginAll(names(64).map(ask))
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(answered(yield* begin(ask("lone"))), answerTo("lone"))
    })
  )

  it.effect("sends items in the order of their calls, and no more of them at once than it may", () =>
    Effect.gen(function* () {
      const { answer, ask, batches } = yield* held({ mostItems: 3 })
      const all = yield* beginAll(names(8).map(ask))
      assert.deepStrictEqual(batches(), [names(8).slice(0, 3), names(8).slice(3, 6)])
      yield* answer(0)
      yield* TestClock.adjust("2 millis")
      assert.deepStrictEqual(batches()[2], names(8).slice(6))
      yield* Effect.all([answer(1), answer(2)])
      yield* settled
      assert.deepStrictEqual(answered(all), names(8).map(answerTo))
    })
  )

  it.effect("sends no more bytes at once than it may, unless one item alone has more", () =>
    Effect.gen(function* () {
      const { ask, batches } = yield* prompt({ mostBytes: 10 })
      const large = "x".repeat(25)
      const items = ["aaaa", "bbbb", "cc", "d", large, "eeeee", "fffff", "g"]
      const all = yield* beginAll(items.map(ask))
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(batches, [["aaaa", "bbbb", "cc"], ["d"], [large], ["eeeee", "fffff"], ["g"]])
      assert.deepStrictEqual(answered(all), items.map(answerTo))
    })
  )

  it.effect("does not send for a caller that has left before", () =>
    Effect.gen(function* () {
      const { answer, ask, batches } = yield* held({ mostItems: 2 })
      yield* begin(ask("first"))
      yield* begin(ask("second"))
      const [a, b, c] = yield* Effect.all(["a", "b", "c"].map((item) => begin(ask(item))))
      if (a === undefined || b === undefined || c === undefined) return assert.fail("no callers")
      yield* Fiber.interrupt(b)
      yield* answer(0)
      yield* settled
      assert.deepStrictEqual(batches().slice(2), [["a", "c"]])
      yield* answer(2)
      yield* settled
      assert.deepStrictEqual([a, c].map(answered), ["a", "c"].map(answerTo))
    })
  )

  it.effect("sends nothing at all when all callers have left, and waits for the next", () =>
    Effect.gen(function* () {
      const { answer, ask, batches } = yield* held()
      yield* begin(ask("first"))
      yield* begin(ask("second"))
      yield* Fiber.interrupt(yield* beginAll(names(10).map(ask)))
      yield* Effect.all([answer(0), answer(1)])
      yield* settled
      assert.deepStrictEqual(batches(), [["first"], ["second"]])
      yield* begin(ask("third"))
      assert.deepStrictEqual(batches()[2], ["third"])
    })
  )

  it.effect("goes on with a batch that a caller leaves, and answers the others", () =>
    Effect.gen(function* () {
      const { answer, ask, batches, ended } = yield* held()
      const [a, b, c] = yield* Effect.all(["a", "b", "c"].map((item) => Effect.forkChild(ask(item))))
      if (a === undefined || b === undefined || c === undefined) return assert.fail("no callers")
      yield* settled
      yield* Fiber.interrupt(a)
      yield* settled
      assert.deepStrictEqual([batches(), ended], [[["a", "b", "c"]], []])
      yield* answer(0)
      yield* settled
      assert.deepStrictEqual([b, c].map(answered), ["b", "c"].map(answerTo))
      assert.isTrue(ended.every(Exit.isSuccess))
    })
  )

  it.effect.each(["die", "interrupt", "throw"])("answers the items of a batch with `lost` when it ends by %s", (how) =>
    Effect.gen(function* () {
      const { ask } = yield* prompt()
      const items = ["a", how, "b"]
      assert.deepStrictEqual(answered(yield* beginAll(items.map(ask))), items.map(lost))
    })
  )

  it.effect("answers with `lost` the items for which the batch brought no answer", () =>
    Effect.gen(function* () {
      const { ask } = yield* prompt()
      const all = yield* beginAll(["a", "b", "forget"].map(ask))
      assert.deepStrictEqual(answered(all), [answerTo("a"), answerTo("b"), lost("forget")])
    })
  )

  it.effect("has both workers after a hundred batches that failed and callers that left", () =>
    Effect.gen(function* () {
      const { ask, batches } = yield* prompt()
      for (const round of names(100)) {
        const [how = "", other = ""] = ["die", "interrupt", "throw", "forget"].map((end) => `${end} ${round}`)
        const failing = yield* beginAll([ask(how), ask(other), ask(`a ${round}`)])
        const leaving = yield* Effect.forkChild(ask(`b ${round}`))
        yield* Fiber.interrupt(leaving)
        yield* TestClock.adjust("10 millis")
        assert.deepStrictEqual(answered(failing), [how, other, `a ${round}`].map(lost))
      }
      yield* TestClock.adjust("1 second")
      assert.strictEqual(batches.length, 100)
      assert.deepStrictEqual(answered(yield* begin(ask("last"))), answerTo("last"))
    })
  )

  it.effect("has two batches under way, and not three, also after a hundred that were interrupted", () =>
    Effect.gen(function* () {
      const failing = { left: 100 }
      const underWay: Array<string> = []
      const ask = yield* Batcher.make<string, Answer>({
        ...base,
        run: ([item]) => {
          if (failing.left-- > 0) return failing.left % 2 === 0 ? Effect.interrupt : Effect.die("died")
          underWay.push(item)
          return Effect.never
        }
      })
      for (const item of names(100)) assert.deepStrictEqual(answered(yield* begin(ask(item))), lost(item))
      for (const item of ["a", "b", "c"]) yield* begin(ask(item))
      assert.deepStrictEqual(underWay, ["a", "b"])
    })
  )

  it.effect("answers all with `lost` when its scope closes: under way, waiting, and whoever calls afterwards", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const { ask, batches, ended } = yield* Scope.provide(held(), scope)
      const callers = yield* Effect.forEach(["first", "second", "third", "fourth"], (item) => begin(ask(item)))
      assert.deepStrictEqual(batches(), [["first"], ["second"]])
      yield* Scope.close(scope, Exit.void)
      yield* settled
      assert.deepStrictEqual(callers.map(answered), ["first", "second", "third", "fourth"].map(lost))
      assert.deepStrictEqual(ended.map(Exit.hasInterrupts), [true, true])
      assert.deepStrictEqual(answered(yield* begin(ask("late"))), lost("late"))
      assert.strictEqual(batches().length, 2)
    })
  )
})
