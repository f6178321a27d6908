import type { General } from "@ecommerce/commands/Command"
import { BadItem, KeyConflict, Unavailable } from "@ecommerce/commands/Command"
import { TestDatabase } from "@ecommerce/testing/TestDatabase"
import { assert, layer } from "@effect/vitest"
import { Effect, Fiber, Result } from "effect"

import {
  bookingOf,
  type Booked,
  type BookSeat,
  bookSeat,
  callGuest,
  callOf,
  commandOf,
  NoSuchSeat,
  SeatTaken,
  theatre,
  unlucky,
  until
} from "./fixtures/Theatre.ts"

const globe = theatre()
const atOnce = { concurrency: "unbounded" } as const

/** What a booking may answer, and nothing else. */
type Book = (booking: BookSeat) => Effect.Effect<Booked, SeatTaken | NoSuchSeat | General>

const booking = Effect.gen(function* () {
  const book: Book = yield* commandOf(bookSeat)
  return (...bookings: ReadonlyArray<BookSeat>) =>
    Effect.all(
      bookings.map((each) => Effect.result(book(each))),
      atOnce
    )
})

/** How many bookings are stored, also those that are refused. */
const stored = Effect.gen(function* () {
  const { administrator: sql } = yield* TestDatabase
  return (yield* sql`SELECT FROM inventory.bookings`).length
})

layer(globe.layer(), { excludeTestServices: true })("a command", (it) => {
  it.effect("answers its success, or one of its refusals as a typed error", () =>
    Effect.gen(function* () {
      const book = yield* booking
      const [ada, bob, cid] = [bookingOf("A1"), bookingOf("A1"), bookingOf("Z9")]
      assert.deepStrictEqual(yield* book(ada), [Result.succeed({ booking: ada.booking, seat: "A1" })])
      const [taken, missing] = yield* book(bob, cid)
      assert.deepStrictEqual(taken, Result.fail(new SeatTaken({ seat: "A1" })))
      assert.deepStrictEqual(missing, Result.fail(new NoSuchSeat({ seat: "Z9" })))
    })
  )

  it.effect("answers the general refusals as typed errors too", () =>
    Effect.gen(function* () {
      const book = yield* booking
      const ada = bookingOf("A2")
      yield* book(ada)
      const outcomes = yield* book(
        { ...ada, guest: "Bob" },
        bookingOf("A3", { booking: "poison", guest: "the phantom" }),
        bookingOf("A4", { guest: unlucky })
      )
      assert.deepStrictEqual(outcomes, [
        Result.fail(new KeyConflict({ key: ada.booking })),
        Result.fail(new BadItem({ key: "poison", reason: "It cannot be stored." })),
        Result.fail(new Unavailable({ command: "book-seat", reason: "The box office is closed." }))
      ])
    })
  )

  it.effect("can be caught by the names of its errors, and leaves none over", () =>
    Effect.gen(function* () {
      const book: Book = yield* commandOf(bookSeat)
      const told: Effect.Effect<string> = book(bookingOf("Z1")).pipe(
        Effect.as("booked"),
        Effect.catchTag("SeatTaken", () => Effect.succeed("taken")),
        Effect.catchTag("NoSuchSeat", ({ seat }) => Effect.succeed(`there is no ${seat}`)),
        Effect.catchTag(["KeyConflict", "BadItem", "Unavailable"], ({ _tag }) => Effect.succeed(_tag))
      )
      assert.strictEqual(yield* told, "there is no Z1")
    })
  )

  it.effect("happens once for its key: again it is the same, also when the reason of a refusal is gone", () =>
    Effect.gen(function* () {
      const { administrator: sql } = yield* TestDatabase
      const book = yield* booking
      const [ada, bob] = [bookingOf("B1"), bookingOf("B1")]
      const first = yield* book(ada, bob)
      yield* sql`DELETE FROM inventory.seats WHERE seat = 'B1'`
      assert.deepStrictEqual(yield* book(ada, bob), first)
      assert.deepStrictEqual(first.map(Result.isSuccess), [true, false])
    })
  )

  it.effect("asked for several times at once runs once, and answers everybody", () =>
    Effect.gen(function* () {
      const call = yield* commandOf(callGuest)
      const before = globe.sets.length
      const ada = callOf("Ada")
      const answers = yield* Effect.all([call(ada), call(callOf("Bob", "bob")), call(ada), call(ada)], atOnce)
      const said = answers.map(({ said }) => said)
      assert.deepStrictEqual(said, ["Ada!", "Bob!", "Ada!", "Ada!"])
      assert.deepStrictEqual(
        globe.sets.slice(before).map((set) => set.map(({ key }) => key)),
        [[ada.call, "bob"]]
      )
    })
  )

  it.effect("asked for with two contents under one key at once is a conflict for the second", () =>
    Effect.gen(function* () {
      const book = yield* booking
      const requests = globe.requests.length
      const ada = bookingOf("C1")
      const outcomes = yield* book(ada, { ...ada, guest: "Bob" }, { ...ada, seat: "C2" }, ada)
      assert.deepStrictEqual(outcomes.map(Result.isSuccess), [true, false, false, true])
      assert.deepStrictEqual(outcomes[1], Result.fail(new KeyConflict({ key: ada.booking })))
      assert.deepStrictEqual(outcomes[2], outcomes[1])
      assert.strictEqual(globe.requests.length - requests, 1)
    })
  )

  it.effect("is compared by what its declaration calls its content", () =>
    Effect.gen(function* () {
      const book = yield* booking
      const ada = bookingOf("C3")
      const [first] = yield* book(ada)
      assert.deepStrictEqual(yield* book({ ...ada, note: "with a cushion" }), [first])
    })
  )

  it.effect("that PostgreSQL cannot store among 200 good ones fails alone", () =>
    Effect.gen(function* () {
      const book = yield* booking
      const [requests, bookings] = [globe.requests.length, yield* stored]
      const good = Array.from({ length: 200 }, (_, index) => bookingOf(`D${index}`))
      const poison = bookingOf("D-poison", { guest: "the phantom" })
      const outcomes = yield* book(...good.slice(0, 77), poison, ...good.slice(77))
      assert.deepStrictEqual(
        outcomes.flatMap((outcome, place) => (Result.isFailure(outcome) ? [[place, outcome.failure._tag]] : [])),
        [[77, "BadItem"]]
      )
      assert.strictEqual((yield* stored) - bookings, 200)
      assert.strictEqual(globe.requests.length - requests, 1)
    })
  )

  it.effect("gives what is scarce in the order of the calls", () =>
    Effect.gen(function* () {
      const book = yield* booking
      const outcomes = yield* book(...Array.from({ length: 20 }, () => bookingOf("E1")))
      assert.deepStrictEqual(
        outcomes.map(Result.isSuccess),
        outcomes.map((_, place) => place === 0)
      )
    })
  )

  it.effect("asked for 64 times at once is a handful of requests, and each caller has the own answer", () =>
    Effect.gen(function* () {
      const call = yield* commandOf(callGuest)
      const before = globe.requests.length
      const guests = Array.from({ length: 64 }, (_, index) => `guest ${index}`)
      const answers = yield* Effect.forEach(guests, (guest) => call(callOf(guest)), atOnce)
      assert.deepStrictEqual(
        answers.map(({ said }) => said),
        guests.map((guest) => `${guest}!`)
      )
      assert.isAtMost(globe.requests.length - before, 4)
    })
  )

  it.effect("asked for 64 times by callers that come one by one waits for two requests, and then is one more", () =>
    Effect.gen(function* () {
      const call = yield* commandOf(callGuest)
      const before = globe.sets.length
      yield* globe.curtain.close
      const begin = (guest: string) => Effect.forkChild(call(callOf(guest)))
      const first = yield* begin("first")
      yield* until(() => globe.sets.length === before + 1)
      const second = yield* begin("second")
      yield* until(() => globe.sets.length === before + 2)
      const others = yield* Effect.forEach(
        Array.from({ length: 62 }, (_, index) => `guest ${index}`),
        (guest) => Effect.tap(begin(guest), () => Effect.sleep("1 millis"))
      )
      assert.strictEqual(globe.sets.length - before, 2)
      yield* globe.curtain.open
      yield* Fiber.awaitAll([first, second, ...others])
      assert.deepStrictEqual(
        globe.sets.slice(before).map(({ length }) => length),
        [1, 1, 62]
      )
    }).pipe(Effect.ensuring(globe.curtain.open))
  )
})
