import * as Saga from "@ecommerce/saga/Saga"
import type { Stored } from "@ecommerce/saga/Saga/Story"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Schema } from "effect"
import { expectTypeOf } from "vitest"

import { type Agencies, bookTrip, cancelTrip, layerOf, Refused, Trip, Unavailable } from "./fixtures/Trip.ts"

const stored = (results: Stored["results"] = {}): Stored => ({
  input: { tripId: "trip-1", traveller: "Ada" },
  results
})

const perform = (
  performs: ReadonlyMap<string, (known: Stored) => Effect.Effect<unknown, never, Agencies>>,
  step: string
) =>
  Effect.fn(function* (answer: Agencies["Service"]["ask"], known = stored()) {
    const one = performs.get(step)
    if (one === undefined) return yield* Effect.die(new Error(`There is no ${step}`))
    return yield* Effect.provide(one(known), layerOf(answer))
  })

describe("a definition", () => {
  it("is data: its steps in order, with what undoes them", () => {
    assert.deepStrictEqual(bookTrip.plan, {
      owed: ["return-deposit"],
      steps: [
        { name: "book-flight", undo: "own" },
        { name: "book-hotel", undo: "own" },
        { name: "take-deposit", undo: "owed" },
        { name: "send-ticket", undo: "none" }
      ]
    })
    assert.deepStrictEqual([...bookTrip.undos.keys()], ["return-deposit", "book-flight", "book-hotel"])
  })

  it("has no step that can be undone behind one that cannot: the types do not know any", () => {
    Saga.make("any", { version: 1, input: Trip, key: ({ tripId }) => tripId }, (story) => {
      const run = () => Effect.succeed("done")
      const both = story.step("one", { result: Schema.String, run, undo: run })
      expectTypeOf(both).toHaveProperty("step")
      expectTypeOf(both).toHaveProperty("owes")
      const forward = both.forward("two", { result: Schema.String, run })
      expectTypeOf(forward).not.toHaveProperty("step")
      expectTypeOf(forward).not.toHaveProperty("owes")
      expectTypeOf(forward).toHaveProperty("forward")
      assert.isFalse("step" in forward)
      return forward
    })
  })

  it("gives each step the results of those before it, and asks for what its steps need", () => {
    Saga.make("typed", { version: 1, input: Trip, key: ({ tripId }) => tripId }, (story) =>
      story.step("count", { result: Schema.Int, run: () => Effect.succeed(7), undo: () => Effect.void }).step("name", {
        result: Schema.String,
        run: ({ results }) => {
          expectTypeOf(results.count).toEqualTypeOf<number>()
          expectTypeOf(results).not.toHaveProperty("name")
          return Effect.succeed(String(results.count))
        },
        undo: () => Effect.void
      })
    )
    expectTypeOf(bookTrip).toExtend<Saga.Definition<Agencies>>()
    expectTypeOf(cancelTrip.of).parameter(0).toEqualTypeOf<Trip>()
    assert.strictEqual(bookTrip.of({ tripId: "a", traveller: "Ada" }).key, "a")
  })

  it("cannot have two steps of one name, or none", () => {
    const twice = Exit.isFailure(
      Effect.runSyncExit(
        Effect.try({
          try: () =>
            Saga.make("twice", { version: 1, input: Trip, key: ({ tripId }) => tripId }, (story) =>
              story
                .owes("same", () => Effect.void)
                .step("same", { result: Schema.Void, run: () => Effect.void, undo: () => Effect.void })
            ),
          catch: String
        })
      )
    )
    assert.isTrue(twice)
    assert.throws(() => Saga.make("none", { version: 1, input: Trip, key: ({ tripId }) => tripId }, (story) => story))
  })

  it("is drawn as it is", () => {
    const drawn = Saga.diagram(bookTrip)
    for (const line of [
      "  begin([book-trip]) --> run_book_flight",
      "  run_book_flight --> run_book_hotel",
      "  run_send_ticket[send-ticket]:::forward",
      "  run_book_hotel -. refused .-> undo_return_deposit",
      "  undo_return_deposit -. if begun .-> undo_book_hotel",
      "  undo_book_flight -.-> failed([FAILED])"
    ]) {
      assert.include(drawn.split("\n"), line)
    }
    assert.notInclude(drawn, "run_send_ticket -. refused")
    assert.notInclude(Saga.diagram(cancelTrip), "FAILED")
  })
})

describe("a step", () => {
  it.effect("answers as it is stored, and is told what the steps before have answered", () =>
    Effect.gen(function* () {
      const room = perform(bookTrip.runs, "book-hotel")
      const answer = yield* room(() => Effect.succeed("room 7"), stored({ "book-flight": "seat 3" }))
      assert.deepStrictEqual(answer, { _tag: "Done", result: { hotel: "room 7", flight: "seat 3" } })
    })
  )

  it.effect("is refused for the reason that it gives, or by the name of the refusal", () =>
    Effect.gen(function* () {
      const no = () => Effect.fail(new Refused({ reason: "all taken" }))
      const known = stored({ "book-flight": "seat 3" })
      assert.deepStrictEqual(yield* perform(bookTrip.runs, "book-hotel")(no, known), {
        _tag: "Rejected",
        reason: { code: "no_room", detail: "all taken" }
      })
      assert.deepStrictEqual(yield* perform(bookTrip.runs, "book-flight")(no), {
        _tag: "Rejected",
        reason: { code: "refused", detail: "all taken" }
      })
    })
  )

  it.effect("without an answer may have happened", () =>
    Effect.gen(function* () {
      const nobody = () => Effect.fail(new Unavailable({ reason: "nobody there" }))
      assert.deepStrictEqual(yield* perform(bookTrip.undos, "book-flight")(nobody), {
        _tag: "Unavailable",
        detail: "nobody there"
      })
    })
  )

  it.effect("that cannot read what is stored is not sent, and may be understood later", () =>
    Effect.gen(function* () {
      const never = () => Effect.die(new Error("It was sent"))
      const outcome = yield* perform(bookTrip.runs, "book-hotel")(never, stored({ "book-flight": 7 }))
      assert.propertyVal(outcome, "_tag", "Unavailable")
    })
  )
})
