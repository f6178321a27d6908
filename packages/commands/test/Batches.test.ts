import * as Wire from "@ecommerce/commands/Wire"
import { assert, layer } from "@effect/vitest"
import { Effect, Fiber, Option, Result } from "effect"
import * as fc from "fast-check"

import { callGuest, callOf, commandOf, deadly, gone, theatre, until } from "./fixtures/Theatre.ts"

const globe = theatre()
const atOnce = { concurrency: "unbounded" } as const

/** Whoever calls: after so many milliseconds, whom, and for how long if not for ever. */
interface Caller {
  readonly comesAfter: number
  readonly guest: string | undefined
  readonly staysFor: number | null
}

const caller: fc.Arbitrary<Caller> = fc.record({
  comesAfter: fc.nat(10),
  guest: fc.oneof(
    { weight: 8, arbitrary: fc.constant(undefined) },
    { weight: 1, arbitrary: fc.constantFrom(gone, deadly) }
  ),
  staysFor: fc.option(fc.nat(15))
})

/** A call that takes so many bytes on the wire. */
const sized = (bytes: number, call: string) => {
  const overhead = Buffer.byteLength(Wire.itemJson(call, JSON.stringify(callOf("", call)), Option.none()))
  return callOf("a".repeat(bytes - overhead), call)
}

layer(globe.layer(), { excludeTestServices: true })("a batch", (it) => {
  it.effect("goes on when one of its callers leaves, and the others have their answers", () =>
    Effect.gen(function* () {
      const call = yield* commandOf(callGuest)
      const [before, asked] = [globe.sets.length, [callOf("Ada"), callOf("Bob"), callOf("Cid")]]
      yield* globe.curtain.close
      const callers = yield* Effect.forEach(asked, (each) => Effect.forkChild(call(each)))
      yield* until(() => globe.sets.length > before)
      const [ada, ...others] = callers
      yield* Fiber.interrupt(ada ?? assert.fail("no caller"))
      yield* globe.curtain.open
      const answers = yield* Effect.forEach(others, Fiber.join)
      assert.deepStrictEqual(
        answers.map(({ said }) => said),
        ["Bob!", "Cid!"]
      )
      assert.includeMembers(
        globe.done,
        asked.map(({ call }) => call)
      )
      assert.strictEqual(globe.sets.length - before, 1)
    }).pipe(Effect.ensuring(globe.curtain.open))
  )

  it.effect("goes on when the time of its only caller is over", () =>
    Effect.gen(function* () {
      const call = yield* commandOf(callGuest)
      const [before, ada] = [globe.sets.length, callOf("Ada")]
      yield* globe.curtain.close
      const waiting = Effect.timeoutOption(call(ada), "100 millis")
      const [answer] = yield* Effect.all([waiting, until(() => globe.sets.length > before)], atOnce)
      assert.isTrue(Option.isNone(answer))
      assert.notInclude(globe.done, ada.call)
      yield* globe.curtain.open
      yield* until(() => globe.done.includes(ada.call))
    }).pipe(Effect.ensuring(globe.curtain.open))
  )

  it.effect("holds no more bytes than a service reads: more are several requests, and all are answered", () =>
    Effect.gen(function* () {
      const call = yield* commandOf(callGuest)
      const before = globe.requests.length
      const guests = Array.from({ length: 100 }, (_, index) => `${index} ${"é".repeat(3000)}`)
      const answers = yield* Effect.forEach(guests, (guest) => call(callOf(guest)), atOnce)
      assert.deepStrictEqual(
        answers.map(({ said }) => said),
        guests.map((guest) => `${guest}!`)
      )
      const sizes = globe.requests.slice(before)
      assert.isAbove(sizes[0] ?? 0, 230 * 1024)
      assert.isAtMost(Math.max(...sizes), 256 * 1024)
      assert.isAtMost(sizes.length, 4)
    })
  )

  it.effect("takes one item that is as large as a batch may be, and 256 that fill it to the brim", () =>
    Effect.gen(function* () {
      const call = yield* commandOf(callGuest)
      const before = globe.requests.length
      assert.strictEqual((yield* call(sized(Wire.mostBytes, "largest"))).call, "largest")
      const calls = Array.from({ length: 256 }, (_, index) => sized(Wire.mostBytes / 256, `call ${index}`))
      assert.strictEqual((yield* Effect.forEach(calls, call, atOnce)).length, 256)
      assert.strictEqual(globe.requests.length - before, 2)
    })
  )

  it.effect("has the answers for whoever stays, each its own, whoever leaves and whatever fails", () =>
    Effect.gen(function* () {
      const run = Effect.runPromiseWith(yield* Effect.context<never>())
      const call = yield* commandOf(callGuest)
      const ask = ({ comesAfter, guest, staysFor }: Caller, place: number) => {
        const name = guest === undefined ? `guest ${place} after ${comesAfter}` : guest
        const asked = Effect.map(Effect.result(call(callOf(name))), (outcome) => ({ name, outcome }))
        return Effect.andThen(
          Effect.sleep(comesAfter),
          staysFor === null ? Effect.asSome(asked) : Effect.timeoutOption(asked, staysFor)
        )
      }
      const check = Effect.fnUntraced(function* (callers: ReadonlyArray<Caller>) {
        const heard = yield* Effect.forEach(callers, ask, atOnce)
        for (const [place, answer] of heard.entries()) {
          if (Option.isNone(answer)) {
            assert.isNotNull(callers[place]?.staysFor, `caller ${place} hears nothing`)
            continue
          }
          const { name, outcome } = answer.value
          if (Result.isSuccess(outcome)) assert.strictEqual(outcome.success.said, `${name}!`)
          else if (outcome.failure._tag === "GuestLeft") assert.strictEqual(name, gone)
          else {
            assert.containSubset(outcome.failure, { _tag: "Unavailable", reason: "The answer had the status 500." })
            assert.isTrue(callers.some(({ guest }) => guest === deadly))
          }
        }
      })
      yield* Effect.promise(() =>
        fc.assert(
          fc.asyncProperty(fc.array(caller, { minLength: 1, maxLength: 40 }), (callers) => run(check(callers))),
          { numRuns: 50, interruptAfterTimeLimit: 15_000, markInterruptAsFailure: false }
        )
      )
    })
  )
})
