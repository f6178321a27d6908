import type { CreateOrder } from "@ecommerce/contracts/Orders/Lifecycle"
import { type Outcomes, successes } from "@ecommerce/sets/Sets"
import type { TestDatabase } from "@ecommerce/testing/TestDatabase"
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import type { SqlError } from "effect/sql"
import * as fc from "fast-check"

import type { Lifecycle } from "../src/Lifecycle.ts"
import { Orders } from "../src/Orders.ts"
import { cancel, confirm, contradictionsIn, create, layer as desk, livesOf, newOrder, told } from "./fixtures/Desk.ts"

type Verb = "create" | "confirm" | "cancel"

type Ask = (
  ...orders: ReadonlyArray<CreateOrder>
) => Effect.Effect<Outcomes<unknown, { readonly _tag: string }>, SqlError.SqlError, Lifecycle>

const ask: Readonly<Record<Verb, Ask>> = { create, confirm, cancel }

const atOnce = { concurrency: "unbounded" } as const
const upTo = (count: number) => Array.from({ length: count }, (_, place) => place)
const tenOf = (verb: Verb) => upTo(10).map(() => verb)

const shuffled = <A>(items: ReadonlyArray<A>) =>
  items
    .map((item) => ({ item, place: Math.random() }))
    .toSorted((one, other) => one.place - other.place)
    .map(({ item }) => item)

/** All of these for the one order at once, each in a transaction of its own; the answers by verb. */
const race = Effect.fn("race")(function* (order: CreateOrder, verbs: ReadonlyArray<Verb>) {
  const answers = yield* Effect.forEach(
    shuffled(verbs),
    (verb) => Effect.map(ask[verb](order), ([outcome]) => ({ verb, outcome })),
    atOnce
  )
  const byVerb = Map.groupBy(answers, ({ verb }) => verb)
  return (verb: Verb) => (byVerb.get(verb) ?? []).flatMap(({ outcome }) => (outcome === undefined ? [] : [outcome]))
})

/** These orders are cancelled: whoever asks again is told what the last one was told, and nothing happens any more. */
const areOver = Effect.fn("areOver")(function* (...orders: ReadonlyArray<CreateOrder>) {
  const lives = yield* livesOf(...orders)
  for (const life of lives) assert.match(life, /^(?:CREATED (?:CONFIRMED )?)?CANCELLED$/u)
  const all = Effect.all([ask.confirm(...orders), ask.create(...orders), ask.cancel(...orders)])
  const [confirms, creates, cancels] = yield* all
  for (const outcome of told(confirms)) assert.include(["AlreadyCancelled", "UnknownOrder"], outcome)
  assert.deepStrictEqual(new Set(told(creates)), new Set(["AlreadyCancelled"]))
  assert.deepStrictEqual(new Set(told(cancels)), new Set(["ok"]))
  assert.deepStrictEqual(yield* all, [confirms, creates, cancels])
  assert.deepStrictEqual(yield* livesOf(...orders), lives)
  assert.deepStrictEqual(yield* contradictionsIn(...orders), [])
})

const most = 6

/** A set of orders, by their places, some of them twice; those of one wave are asked at once. */
const step = fc.record({
  verb: fc.constantFrom<Verb>("create", "confirm", "cancel"),
  places: fc.array(fc.nat(most - 1), { minLength: 1, maxLength: most })
})
type Step = typeof step extends fc.Arbitrary<infer Value> ? Value : never
const wave = fc.array(step, { minLength: 1, maxLength: 8 })

layer(desk)("orders at which many are at the same time", (it) => {
  it.effect("end cancelled whenever ten cancel one while ten confirm it, twenty times over", () =>
    Effect.forEach(upTo(20), () =>
      Effect.gen(function* () {
        const order = newOrder()
        yield* create(order)
        const answers = yield* race(order, [...tenOf("confirm"), ...tenOf("cancel")])

        // Those who come first are told of the same confirmation, those who come later of the cancellation.
        const confirms = new Set(told(answers("confirm")))
        const [life] = yield* livesOf(order)
        assert.strictEqual(life, confirms.has("ok") ? "CREATED CONFIRMED CANCELLED" : "CREATED CANCELLED")
        assert.isEmpty([...confirms].filter((outcome) => outcome !== "ok" && outcome !== "AlreadyCancelled"))
        const confirmed = answers("confirm").filter(({ _tag }) => _tag === "Success")
        for (const answer of confirmed) assert.deepStrictEqual(answer, confirmed[0])
        const cancelled = answers("cancel")
        assert.deepStrictEqual(new Set(told(cancelled)), new Set(["ok"]))
        for (const answer of cancelled) assert.deepStrictEqual(answer, cancelled[0])
        yield* areOver(order)
      })
    )
  )

  it.effect("end cancelled also if they were not even created when it began", () =>
    Effect.forEach(upTo(20), () =>
      Effect.gen(function* () {
        const order = newOrder()
        const answers = yield* race(order, [...tenOf("create"), ...tenOf("confirm"), ...tenOf("cancel")])
        assert.deepStrictEqual(new Set(told(answers("cancel"))), new Set(["ok"]))
        const created = answers("create").filter(({ _tag }) => _tag === "Success")
        for (const answer of created) assert.deepStrictEqual(answer, created[0])
        const [life] = yield* livesOf(order)
        assert.strictEqual(life?.startsWith("CREATED"), created.length > 0)
        yield* areOver(order)
      })
    )
  )

  it.effect("are locked in one order, so that sets which share them never wait for each other in a circle", () =>
    Effect.forEach(upTo(12), () =>
      Effect.gen(function* () {
        const orders = upTo(60).map(() => newOrder())
        const verbs = upTo(5).flatMap((): ReadonlyArray<Verb> => ["create", "confirm", "cancel"])
        yield* Effect.forEach(shuffled(verbs), (verb) => ask[verb](...shuffled(orders)), atOnce)
        yield* areOver(...orders)
      })
    )
  )

  it.effect("are shown as of one moment: with all of the history that led to their status, and no more", () =>
    Effect.gen(function* () {
      const { find } = yield* Orders
      yield* Effect.forEach(upTo(20), () =>
        Effect.gen(function* () {
          const order = newOrder()
          const life = Effect.all([create(order), confirm(order), cancel(order)])
          const looks = Effect.forEach(upTo(20), () => find([order.orderId]))
          const [, ...seen] = yield* Effect.all([life, looks, looks, looks], atOnce)
          for (const { history, items, status, version } of seen.flat().flatMap(successes)) {
            assert.deepStrictEqual([history.at(-1)?.status, history.length, items.length], [status, version, 2])
          }
        })
      )
    })
  )

  it.effect("have lived one legal life, whatever came, in sets of any size and in whatever order", () =>
    Effect.gen(function* () {
      const context = yield* Effect.context<Lifecycle | TestDatabase>()
      const check = Effect.fn("check")(function* (waves: ReadonlyArray<ReadonlyArray<Step>>) {
        const orders = upTo(most).map(() => newOrder())
        yield* Effect.forEach(waves, (wave) =>
          Effect.forEach(
            wave,
            ({ places, verb }) => ask[verb](...places.flatMap((place) => orders.slice(place, place + 1))),
            atOnce
          )
        )
        assert.deepStrictEqual(yield* contradictionsIn(...orders), [])
        yield* cancel(...orders)
        yield* areOver(...orders)
      })
      yield* Effect.promise(() =>
        fc.assert(
          fc.asyncProperty(fc.array(wave, { minLength: 1, maxLength: 6 }), (waves) =>
            Effect.runPromiseWith(context)(check(waves))
          ),
          { numRuns: 80, endOnFailure: true }
        )
      )
    })
  )
})
