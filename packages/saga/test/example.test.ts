import { readFileSync } from "node:fs"

import * as Saga from "@ecommerce/saga/Saga"
import { SagaDesk } from "@ecommerce/saga/SagaDesk"
import { SagaEngine } from "@ecommerce/saga/SagaEngine"
import { SagaStore } from "@ecommerce/saga/SagaStore"
import { TestDatabase } from "@ecommerce/testing/TestDatabase"
import * as TestService from "@ecommerce/testing/TestService"
import { assert, describe, it, layer } from "@effect/vitest"
import { Console, Context, Duration, Effect, Layer, Schema } from "effect"

// What stands in the README begins here.
class NoRoom extends Schema.TaggedError<NoRoom>()("NoRoom", { reason: Schema.String }) {}

class Airline extends Context.Service<
  Airline,
  {
    readonly book: (trip: string) => Effect.Effect<{ readonly seat: string }>
    readonly cancel: (trip: string) => Effect.Effect<void>
  }
>()("example/Airline") {}

class Hotel extends Context.Service<
  Hotel,
  {
    readonly book: (trip: string, seat: string) => Effect.Effect<string, NoRoom>
    readonly cancel: (trip: string) => Effect.Effect<void>
  }
>()("example/Hotel") {}

const Trip = Schema.Struct({ trip: Schema.String })

const bookTrip = Saga.make("book-trip", { version: 1, input: Trip, key: ({ trip }) => trip }, (story) =>
  story
    .step("book-flight", {
      result: Schema.Struct({ seat: Schema.String }),
      run: ({ input: { trip } }) => Airline.use((airline) => airline.book(trip)),
      undo: ({ input: { trip } }) => Airline.use((airline) => airline.cancel(trip))
    })
    .step("book-hotel", {
      result: Schema.String,
      // What the steps before have answered is known here, with its type.
      run: ({ input: { trip }, results }) => Hotel.use((hotel) => hotel.book(trip, results["book-flight"].seat)),
      undo: ({ input: { trip } }) => Hotel.use((hotel) => hotel.cancel(trip))
    })
    .forward("send-ticket", {
      result: Schema.Void,
      run: ({ input: { trip } }) => Console.log(`The ticket for ${trip} is sent`)
    })
)

const engine = SagaEngine.layer({
  name: "example",
  definitions: [bookTrip],
  policy: {
    attempts: 5,
    delayMillis: 1000,
    multiplier: 4,
    longestDelayMillis: 60_000,
    stuckAfter: 8,
    mostClaims: 5
  },
  mostInFlight: 1000,
  stepTimeout: Duration.seconds(15),
  lease: Duration.seconds(15),
  pollEvery: Duration.millis(200),
  stopWithin: Duration.seconds(4)
}).pipe(Layer.provideMerge(SagaStore.layer(() => Effect.void, Duration.minutes(10))))

/** In a service each round is a worker; here they are called by hand. */
const bookOne = Effect.fn("bookOne")(function* (trip: string) {
  const { beatRound, claimRound, start, wake } = yield* SagaEngine
  yield* start([bookTrip.of({ trip })])
  yield* wake
  yield* beatRound
  yield* claimRound
})
// And ends here.

const agencies = Layer.mergeAll(
  Layer.succeed(Airline, Airline.of({ book: () => Effect.succeed({ seat: "7A" }), cancel: () => Effect.void })),
  Layer.succeed(
    Hotel,
    Hotel.of({
      book: (trip, seat) =>
        trip === "to Rome" ? Effect.fail(new NoRoom({ reason: "all taken" })) : Effect.succeed(`room for ${seat}`),
      cancel: () => Effect.void
    })
  )
)

const database = TestService.database("orchestrator").pipe(Layer.provideMerge(TestDatabase.layer))
const desk = SagaDesk.layer([bookTrip])

layer(desk.pipe(Layer.provideMerge(engine), Layer.provide(agencies), Layer.provideMerge(database)), {
  excludeTestServices: true
})("the example", (it) => {
  it.effect("books a trip, and undoes the flight where there is no room", () =>
    Effect.gen(function* () {
      const { find, ofKey } = yield* SagaDesk
      const journals: Array<ReadonlyArray<string>> = []
      for (const trip of ["to Oslo", "to Rome"]) {
        yield* bookOne(trip)
        const [ended] = yield* Effect.repeat(ofKey(trip), { until: ([saga]) => saga?.step === null })
        const { journal } = yield* find(ended?.id ?? "")
        journals.push([...journal.map(({ kind, outcome, step }) => `${kind} ${step}: ${outcome}`), ended?.status ?? ""])
      }
      assert.deepStrictEqual(journals, [
        ["run book-flight: done", "run book-hotel: done", "run send-ticket: done", "COMPLETED"],
        ["run book-flight: done", "run book-hotel: rejected", "undo book-flight: done", "FAILED"]
      ])
    })
  )
})

describe("the README", () => {
  it("shows this file's own code, and the diagram that the definition draws", () => {
    const here = readFileSync(new URL(import.meta.url), "utf8")
    const shown = here.slice(here.indexOf("begins here.\n") + 13, here.indexOf("// And ends here."))
    const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8")
    assert.include(readme, shown.trim())
    assert.include(readme, Saga.diagram(bookTrip).trim())
  })
})
