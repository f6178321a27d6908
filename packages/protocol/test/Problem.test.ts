import { contentType, Problem } from "@ecommerce/protocol/Problem"
import { assert, describe, it, layer } from "@effect/vitest"
import { DateTime, Effect, Exit, Layer, Result, Schema } from "effect"
import { HttpServer, HttpServerRespondable, HttpServerResponse } from "effect/http"
import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup, HttpApiTest } from "effect/http-api"

class SeatTaken extends Problem<SeatTaken>()(
  "SeatTaken",
  { code: "seat_taken", status: 409, title: "Somebody else has this seat." },
  { seat: Schema.String, takenAt: Schema.DateTimeUtc }
) {}

class HallClosed extends Problem<HallClosed>()(
  "HallClosed",
  { code: "hall_closed", status: 409, title: "The hall is closed." },
  { opensAt: Schema.String }
) {}

class NoSuchSeat extends Problem<NoSuchSeat>()(
  "NoSuchSeat",
  { code: "no_such_seat", status: 404, title: "There is no such seat." },
  { seat: Schema.String }
) {}

const takenAt = DateTime.makeUnsafe("2026-01-02T03:04:05.000Z")

const seats = HttpApiGroup.make("seats").add(
  HttpApiEndpoint.put("reserve", "/seats/:seat", {
    params: { seat: Schema.String },
    success: Schema.String,
    error: [SeatTaken, HallClosed, NoSuchSeat]
  })
)
const TheatreApi = HttpApi.make("theatre").add(seats)

const outcomes: Readonly<Record<string, SeatTaken | HallClosed>> = {
  A1: new SeatTaken({ seat: "A1", takenAt }),
  B2: new HallClosed({ opensAt: "18:00" }),
  C3: new HallClosed({ opensAt: "19:00", detail: "A rehearsal." })
}

const handlers = HttpApiBuilder.group(TheatreApi, "seats", (handlers) =>
  handlers.handleAll({
    reserve: ({ params: { seat } }) =>
      seat === "free" ? Effect.succeed("yours") : Effect.fail(outcomes[seat] ?? new NoSuchSeat({ seat }))
  })
)

const reserve = Effect.fn(function* (seat: string) {
  const client = yield* HttpApiTest.groups(TheatreApi, ["seats"])
  return yield* Effect.result(client.seats.reserve({ params: { seat } }))
})

const bodyOf = Effect.fn(function* (response: HttpServerResponse.HttpServerResponse) {
  const body: unknown = yield* Effect.promise(() => HttpServerResponse.toWeb(response).json())
  return body
})

describe("a problem on the wire", () => {
  it.effect("is problem+json with its type, status, title, error code and further members, and nothing else", () =>
    Effect.gen(function* () {
      const response = yield* HttpServerRespondable.toResponse(new SeatTaken({ seat: "A1", takenAt }))
      assert.strictEqual(response.status, 409)
      assert.strictEqual(response.headers["content-type"], contentType)
      assert.strictEqual(contentType, "application/problem+json")
      assert.deepStrictEqual(yield* bodyOf(response), {
        type: "urn:problem:seat_taken",
        status: 409,
        title: "Somebody else has this seat.",
        error: "seat_taken",
        seat: "A1",
        takenAt: "2026-01-02T03:04:05.000Z"
      })
    })
  )

  it.effect("says in `detail` what is particular to this one time", () =>
    Effect.gen(function* () {
      const problem = new HallClosed({ opensAt: "18:00", detail: "A rehearsal." })
      const response = yield* HttpServerRespondable.toResponse(problem)
      assert.containSubset(yield* bodyOf(response), { error: "hall_closed", detail: "A rehearsal." })
      assert.strictEqual(problem.message, "A rehearsal.")
      assert.strictEqual(new HallClosed({ opensAt: "18:00" }).message, "The hall is closed.")
    })
  )
})

describe("a problem that is read", () => {
  const wire = { type: "urn:problem:hall_closed", status: 409, title: "The hall is closed.", opensAt: "18:00" }
  const decode = Schema.decodeUnknownExit(Schema.Union([SeatTaken, HallClosed, NoSuchSeat]))

  it("becomes an error of its class again, known by its type", () => {
    const decoded = decode({ ...wire, error: "hall_closed" })
    assert.isTrue(Exit.isSuccess(decoded) && decoded.value instanceof HallClosed)
  })

  it("is none of ours when its type is unknown, whatever its status", () => {
    assert.isTrue(Exit.isFailure(decode({ ...wire, error: "hall_closed", type: "urn:problem:strike" })))
    assert.isTrue(Exit.isFailure(decode({ ...wire, error: "hall_closed", type: "about:blank" })))
  })

  it("is refused when the code contradicts the type, or a member is missing", () => {
    assert.isTrue(Exit.isFailure(decode({ ...wire, error: "seat_taken" })))
    assert.isTrue(Exit.isFailure(decode({ ...wire, error: "hall_closed", opensAt: undefined })))
  })

  it("may have a title in other words, and members that we do not know", () => {
    const decoded = decode({ ...wire, error: "hall_closed", title: "Geschlossen.", floor: 2 })
    assert.isTrue(Exit.isSuccess(decoded) && decoded.value instanceof HallClosed)
    assert.isTrue(Exit.isSuccess(decoded) && !("floor" in decoded.value))
  })
})

layer(handlers.pipe(Layer.provideMerge(HttpServer.layerServices)))("a problem between server and client", (it) => {
  it.effect.each(Object.entries(outcomes))("arrives as the error that was raised: %s", ([seat, raised]) =>
    Effect.gen(function* () {
      const outcome = yield* reserve(seat)
      const received = Result.isFailure(outcome) ? outcome.failure : undefined
      assert.strictEqual(received?.constructor, raised.constructor)
      assert.deepStrictEqual(received, raised)
    })
  )

  it.effect("is caught by its tag, two of one status apart", () =>
    Effect.gen(function* () {
      const client = yield* HttpApiTest.groups(TheatreApi, ["seats"])
      const outcomeOf = (seat: string) =>
        client.seats.reserve({ params: { seat } }).pipe(
          Effect.catchTags({
            SeatTaken: (problem) => Effect.succeed(`${problem.seat} is taken`),
            HallClosed: (problem) => Effect.succeed(`come at ${problem.opensAt}`),
            NoSuchSeat: (problem) => Effect.succeed(`${problem.seat} is nowhere`)
          })
        )
      assert.deepStrictEqual(yield* Effect.forEach(["A1", "B2", "Z9", "free"], outcomeOf), [
        "A1 is taken",
        "come at 18:00",
        "Z9 is nowhere",
        "yours"
      ])
    })
  )
})
