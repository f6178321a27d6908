import { BadItem } from "@ecommerce/commands/Command"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Result } from "effect"

import { answerWell, type Behaviour, brokenServer, outcomeFor, respond } from "./fixtures/BrokenServer.ts"
import { bookingOf, bookSeat, callGuest, callOf, clientOf, until } from "./fixtures/Theatre.ts"

const atOnce = { concurrency: "unbounded" } as const

const wrongAnswers: ReadonlyArray<readonly [what: string, behaviour: Behaviour, reason: string]> = [
  ["status 500", respond(500, "{}"), "The answer had the status 500."],
  ["status 503", respond(503, "{}"), "The answer had the status 503."],
  ["status 404", respond(404, "{}"), "The answer had the status 404."],
  ["status 413", respond(413, "{}"), "The answer had the status 413."],
  ["status 201", respond(201, '{"outcomes": []}'), "The answer had the status 201."],
  ["a page", respond(200, "<html>Welcome</html>", "text/html"), "The answer cannot be understood."],
  ["nothing", respond(200, ""), "The answer cannot be understood."],
  ["null", respond(200, "null"), "The answer cannot be understood."],
  ["no outcomes", respond(200, "{}"), "The answer cannot be understood."],
  ["outcomes that are no list", respond(200, '{"outcomes": {"0": 1}}'), "The answer cannot be understood."],
  ["an outcome too few", fewer, "The answer has another number of outcomes."],
  ["an outcome too many", more, "The answer has another number of outcomes."],
  ["a connection that breaks", (_, response) => response.destroy(), "The service cannot be reached."],
  ["an answer that breaks off", breakOff, "The answer cannot be understood."]
]

function fewer(...[guests, response]: Parameters<Behaviour>) {
  answerWell(guests.slice(1), response)
}

function more(...[guests, response]: Parameters<Behaviour>) {
  answerWell([...guests, "Banquo"], response)
}

function breakOff(...[, response]: Parameters<Behaviour>) {
  response.writeHead(200, { "content-type": "application/json", "content-length": 1000 })
  response.write('{"outcomes": [', () => response.destroy())
}

/** Outcomes that nobody can understand, for a batch of Ada, Bob and Cid with something else in Bob's place. */
const wrongOutcomes: ReadonlyArray<readonly [what: string, outcome: unknown]> = [
  ["null", null],
  ["a text", "Success"],
  ["an outcome of another kind", { _tag: "Perhaps" }],
  ["a success with nothing", { _tag: "Success" }],
  [
    "a success with a wrong member",
    { _tag: "Success", success: { call: "b", said: 7, at: "2026-11-21T19:30:00.000Z" } }
  ],
  ["a failure that was not declared", { _tag: "Failure", failure: { _tag: "StageBurnt", guest: "Bob" } }],
  ["a failure without its members", { _tag: "Failure", failure: { _tag: "GuestLeft" } }]
]

const stalls: ReadonlyArray<readonly [what: string, behaviour: Behaviour]> = [
  ["says nothing", () => {}],
  ["only begins to answer", (_, response) => response.writeHead(200).write('{"outcomes": [')]
]

const unlessHamlet: Behaviour = (guests, response) => {
  if (!guests.includes("Hamlet")) answerWell(guests, response)
}

const timesOf = (guest: string, received: ReadonlyArray<ReadonlyArray<string>>) =>
  received.flat().filter((each) => each === guest).length

const reasonOf = <A, E extends { readonly _tag: string }>(outcome: Result.Result<A, E>) =>
  Result.isFailure(outcome) && "reason" in outcome.failure
    ? `${outcome.failure._tag}: ${String(outcome.failure.reason)}`
    : "answered"

describe("a client of commands", () => {
  it.live.each(wrongAnswers)(
    "says Unavailable to all callers of a batch that is answered with %s",
    ([, wrong, reason]) =>
      Effect.gen(function* () {
        const server = yield* brokenServer((guests, response) => {
          if (guests.includes("nobody")) answerWell(guests, response)
          else wrong(guests, response)
        })
        const call = yield* clientOf(callGuest, server)
        const outcomes = yield* Effect.forEach(["Ada", "Bob"], (guest) => Effect.result(call(callOf(guest))), atOnce)
        assert.deepStrictEqual(outcomes.map(reasonOf), [`Unavailable: ${reason}`, `Unavailable: ${reason}`])
        assert.strictEqual((yield* call(callOf("nobody"))).said, "nobody!")
      })
  )

  it.live.each(wrongOutcomes)("says Unavailable only to the caller whose outcome is %s", ([, wrong]) =>
    Effect.gen(function* () {
      const server = yield* brokenServer(
        respond(200, JSON.stringify({ outcomes: [outcomeFor("Ada"), wrong, outcomeFor("Cid")] }))
      )
      const call = yield* clientOf(callGuest, server)
      const outcomes = yield* Effect.forEach(
        ["Ada", "Bob", "Cid"],
        (guest) => Effect.result(call(callOf(guest))),
        atOnce
      )
      assert.deepStrictEqual(outcomes.map(reasonOf), [
        "answered",
        "Unavailable: The outcome cannot be understood.",
        "answered"
      ])
    })
  )

  it.live("says Unavailable when nobody listens", () =>
    Effect.gen(function* () {
      const server = yield* Effect.scoped(brokenServer(answerWell))
      const call = yield* clientOf(callGuest, server)
      assert.strictEqual(
        reasonOf(yield* Effect.result(call(callOf("Ada")))),
        "Unavailable: The service cannot be reached."
      )
    })
  )

  it.live.each(stalls)("says Unavailable after its time when the server %s", ([, stall]) =>
    Effect.gen(function* () {
      const server = yield* brokenServer(stall)
      const call = yield* clientOf(callGuest, { ...server, timeout: "200 millis" })
      const outcomes = yield* Effect.forEach(["Ada", "Bob"], (guest) => Effect.result(call(callOf(guest))), atOnce)
      const late = "Unavailable: There was no answer within 200ms."
      assert.deepStrictEqual(outcomes.map(reasonOf), [late, late])
    })
  )

  it.live("answers other calls while one of its batches has no answer", () =>
    Effect.gen(function* () {
      const server = yield* brokenServer(unlessHamlet)
      const call = yield* clientOf(callGuest, server)
      const late = yield* Effect.forkChild(call(callOf("Hamlet")))
      yield* until(() => server.received.length === 1)
      for (const guest of ["Ada", "Bob", "Cid"]) assert.strictEqual((yield* call(callOf(guest))).said, `${guest}!`)
      assert.isUndefined(late.pollUnsafe())
    })
  )

  it.live("goes on when all its batches have run out of time, for those that were waiting too", () =>
    Effect.gen(function* () {
      const server = yield* brokenServer(unlessHamlet)
      const call = yield* clientOf(callGuest, { ...server, timeout: "200 millis" })
      for (const round of [1, 2, 3]) {
        const late = yield* Effect.forEach(["Hamlet", "Hamlet"], (guest, place) =>
          Effect.forkChild(Effect.result(call(callOf(guest)))).pipe(
            Effect.tap(() => until(() => timesOf("Hamlet", server.received) === 2 * round - 1 + place))
          )
        )
        // Of a machine that is too slow for 200 ms she asks again.
        assert.strictEqual((yield* Effect.retry(call(callOf("Ada")), { times: 100 })).said, "Ada!")
        const outcomes = yield* Effect.forEach(late, Fiber.join)
        assert.deepStrictEqual(
          new Set(outcomes.map(reasonOf)),
          new Set(["Unavailable: There was no answer within 200ms."])
        )
      }
    })
  )

  it.live("does not send what is too large or cannot be written down: BadItem", () =>
    Effect.gen(function* () {
      const server = yield* brokenServer(answerWell)
      const call = yield* clientOf(callGuest, server)
      const large = yield* Effect.flip(call(callOf("é".repeat(122_880), "large")))
      assert.deepStrictEqual(large, new BadItem({ key: "large", reason: "It is larger than 245760 bytes." }))

      const book = yield* clientOf(bookSeat, server)
      const wrong = yield* Effect.flip(book(bookingOf("", { booking: "wrong" })))
      assert.strictEqual(wrong._tag, "BadItem")
      assert.containSubset(wrong, {
        key: "wrong",
        reason: 'Expected a value with a length of at least 1\n  at ["seat"]'
      })
      assert.deepStrictEqual(server.received, [])
    })
  )

  it.live("uses a connection again whose answer was of no use to it", () =>
    Effect.gen(function* () {
      const server = yield* brokenServer(respond(503, "x".repeat(200_000)))
      const call = yield* clientOf(callGuest, server)
      for (let calls = 0; calls < 10; calls++) yield* Effect.result(call(callOf("Ada")))
      assert.strictEqual(server.received.length, 10)
      assert.isAtMost(server.connections.size, 2)
    })
  )

  it.live("sends no more items in one request than it is told", () =>
    Effect.gen(function* () {
      const server = yield* brokenServer(answerWell)
      const call = yield* clientOf(callGuest, { ...server, mostItems: 10 })
      const guests = Array.from({ length: 64 }, (_, index) => `guest ${index}`)
      const answers = yield* Effect.forEach(guests, (guest) => call(callOf(guest)), atOnce)
      assert.deepStrictEqual(
        answers.map(({ said }) => said),
        guests.map((guest) => `${guest}!`)
      )
      assert.deepStrictEqual(
        server.received.map(({ length }) => length).toSorted((a, b) => b - a),
        [10, 10, 10, 10, 10, 10, 4]
      )
    })
  )

  it.live("answers Unavailable to whoever waits when its scope closes, and to whoever calls afterwards", () =>
    Effect.gen(function* () {
      const server = yield* brokenServer(() => {})
      const { call, waiting } = yield* Effect.scoped(
        Effect.gen(function* () {
          const call = yield* clientOf(callGuest, server)
          const waiting = yield* Effect.forkDetach(Effect.result(call(callOf("Ada"))))
          yield* until(() => server.received.length === 1)
          return { call, waiting }
        })
      )
      assert.strictEqual(reasonOf(yield* Fiber.join(waiting)), "Unavailable: The client was closed.")
      assert.strictEqual(reasonOf(yield* Effect.result(call(callOf("Bob")))), "Unavailable: The client was closed.")
    })
  )
})
