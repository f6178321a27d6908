import { readFileSync } from "node:fs"

import * as Http from "@ecommerce/chassis/Http"
import * as Command from "@ecommerce/commands/Command"
import * as CommandClient from "@ecommerce/commands/CommandClient"
import * as CommandServer from "@ecommerce/commands/CommandServer"
import * as Wire from "@ecommerce/commands/Wire"
import { strictParsing, Validation } from "@ecommerce/protocol/Validation"
import { rowsOf, texts } from "@ecommerce/sets/Sets"
import { TestDatabase } from "@ecommerce/testing/TestDatabase"
import * as TestService from "@ecommerce/testing/TestService"
import { PgClient } from "@effect/sql-pg"
import { assert, describe, it, layer } from "@effect/vitest"
import { Effect, Layer, Result, Schema } from "effect"
import { HttpApi, HttpApiBuilder, HttpApiGroup } from "effect/http-api"

// What stands in the README begins here.
class NoSuchSeat extends Schema.TaggedError<NoSuchSeat>()("NoSuchSeat", { seat: Schema.String }) {}
const Booking = Schema.Struct({ booking: Schema.String, seat: Schema.String })

const bookSeat = Command.make("book-seat", {
  description: "Books a seat.",
  payload: Booking,
  success: Booking,
  errors: [NoSuchSeat],
  key: ({ booking }) => booking
})

const bookTwo = Effect.fn("bookTwo")(function* (theatre: CommandClient.Server) {
  const book = yield* CommandClient.to(theatre)(bookSeat)
  const ada = book({ booking: "b1", seat: "A1" })
  const bob = book({ booking: "b2", seat: "Z9" }).pipe(
    Effect.catchTag("NoSuchSeat", ({ seat }) => Effect.succeed(`there is no ${seat}`))
  )
  return yield* Effect.all([ada, bob], { concurrency: "unbounded" }) // one request
})
// And ends here.

const keptRows = rowsOf(Schema.Struct({ key: Schema.String, digest: Schema.String }))

/** What the service does: what is asked is kept under its key, and whether there is such a seat never changes. */
const bookSeats =
  (sql: PgClient.PgClient): CommandServer.Run<typeof Booking.Type, typeof Booking.Type, NoSuchSeat> =>
  (items) =>
    Effect.gen(function* () {
      const kept = yield* keptRows(sql`
        INSERT INTO bookings (key, digest, seat)
        SELECT * FROM unnest(
          ${texts(items.map(({ key }) => key))},
          ${texts(items.map(({ digest }) => digest))},
          ${texts(items.map(({ payload }) => payload.seat))}
        ) ORDER BY 1
        ON CONFLICT (key) DO UPDATE SET key = excluded.key RETURNING key, digest`)
      const digests = new Map(kept.map(({ digest, key }) => [key, digest]))
      return items.map(({ digest, key, payload }) => {
        if (digests.get(key) !== digest) return Result.fail(new Command.KeyConflict({ key }))
        const { seat } = payload
        return seat < "N" ? Result.succeed(payload) : Result.fail(new NoSuchSeat({ seat }))
      })
    }).pipe(sql.withTransaction)

class TheatreApi extends HttpApi.make("theatre")
  .add(HttpApiGroup.make("commands").add(bookSeat.endpoint))
  .middleware(Validation)
  .annotateMerge(strictParsing) {}

const commands = HttpApiBuilder.group(
  TheatreApi,
  "commands",
  Effect.fn(function* (handlers) {
    const sql = yield* PgClient.PgClient
    return handlers.handleAll({ "book-seat": CommandServer.handler(bookSeat, bookSeats(sql)) })
  })
)

const table = Layer.effectDiscard(
  Effect.gen(function* () {
    const { administrator: sql } = yield* TestDatabase
    yield* sql`CREATE TABLE inventory.bookings (key text PRIMARY KEY, digest text NOT NULL, seat text NOT NULL)`
  })
)

/** Under the name of a service that exists, because the database has a role and a schema for it. */
const theatre = TestService.layer({
  place: { name: "inventory", port: 0 },
  routes: Http.routes(TheatreApi).pipe(Layer.provide(commands))
}).pipe(Layer.provideMerge(table), Layer.provideMerge(TestDatabase.layer))

const read = (path: string) => readFileSync(new URL(path, import.meta.url), "utf8")
const readme = read("../README.md")

/** What stands in the README as code of this language: one block. */
const blockOf = (language: string) => {
  const [block, ...others] = readme.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\`$`, "gmsu"))
  assert.isEmpty(others)
  return block?.[1] ?? assert.fail(`no ${language}`)
}

const Order = Schema.Struct({ orderId: Schema.String })
const Released = Schema.Struct({ orderId: Schema.String, items: Schema.Array(Schema.Unknown) })
const decodeBatch = Schema.decodeUnknownSync(Schema.fromJsonString(Wire.batchOf(Order)))
const decodeAnswer = Schema.decodeUnknownSync(
  Schema.fromJsonString(Schema.toCodecJson(Wire.answerOf(Released, Command.BadItem)))
)

describe("the README", () => {
  it("has the code that runs here", () => {
    const source = read("./example.test.ts")
    const marked = /^\/\/ What stands in the README begins here\.\n(.*?)^\/\/ And ends here\.$/msu.exec(source)
    assert.strictEqual(blockOf("ts"), marked?.[1])
  })

  it("has a batch as it travels, and the answer to it", () => {
    const sent = / -d '(.*)'/su.exec(blockOf("bash"))?.[1]
    const { commands } = decodeBatch(sent)
    const expected = commands.map((item) =>
      "unreadable" in item
        ? Result.fail(new Command.BadItem(Wire.complaintOf(Order)(item.unreadable)))
        : Result.succeed({ orderId: item.payload.orderId, items: [] })
    )
    assert.deepStrictEqual(decodeAnswer(blockOf("json")).outcomes, expected)
    assert.deepStrictEqual(expected.map(Result.isSuccess), [true, false])
  })
})

layer(theatre, { excludeTestServices: true })("the example of the README", (it) => {
  it.effect("books two seats with one request", () =>
    Effect.gen(function* () {
      const told = [{ booking: "b1", seat: "A1" }, "there is no Z9"]
      assert.deepStrictEqual(yield* TestService.asked(bookTwo), told)
      assert.deepStrictEqual(yield* TestService.asked(bookTwo), told)
      const { administrator: sql } = yield* TestDatabase
      assert.strictEqual((yield* sql`SELECT FROM inventory.bookings`).length, 2)
    })
  )

  it.effect("remembers what was asked under a key", () =>
    Effect.gen(function* () {
      const book = yield* TestService.command(bookSeat)
      yield* book({ booking: "b9", seat: "A1" })
      assert.strictEqual((yield* Effect.flip(book({ booking: "b9", seat: "A2" })))._tag, "KeyConflict")
    })
  )
})
