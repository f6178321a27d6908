/**
 * Clients that take their time, or never come to an end: each is told so and cut off within a bound, however it goes on sending, and
 * nobody else waits for it.
 */
import { connect } from "node:net"

import { until } from "@ecommerce/testing/ServiceProcess"
import { TestDatabase } from "@ecommerce/testing/TestDatabase"
import * as TestService from "@ecommerce/testing/TestService"
import { assert, layer } from "@effect/vitest"
import { Effect, Fiber, Layer } from "effect"
import { HttpClient, HttpServer } from "effect/http"

import { definition } from "./fixtures/Probe.ts"

const places = 4
const settings = { REQUEST_TIMEOUT: "3 seconds", REQUESTS_AT_ONCE: String(places), LOG_LEVEL: "None" }

/** Long after the time that a request may take, and long before anything else would end the connection. */
const bound = "20 seconds"

interface Habit {
  readonly who: string
  /** What it begins with. */
  readonly first: string
  /** What it sends again and again, whatever it is told; nothing, if it falls silent. */
  readonly again: string
  readonly everyMillis: number
  readonly expected: RegExp
}

const post = (...headers: ReadonlyArray<string>) =>
  ["POST /echo HTTP/1.1", "host: x", ...headers].map((line) => `${line}\r\n`).join("")
const json = "content-type: application/json"
const chunked = "transfer-encoding: chunked"
const chunk = (text: string) => `${text.length.toString(16)}\r\n${text}\r\n`
const tooMuch = chunk("a".repeat(256 * 1024 + 1))

const tooSlow = /^HTTP\/1\.1 408 .*"status":408/su
const tooLarge = /^HTTP\/1\.1 413 .*"error":"body_too_large"/su

const habits: ReadonlyArray<Habit> = [
  {
    who: "sends its headers a byte at a time",
    first: "GET /things/1 HTTP/1.1\r\nhost: x\r\nx-slow: ",
    again: "a",
    everyMillis: 50,
    expected: tooSlow
  },
  {
    who: "sends its body a byte at a time",
    first: `${post(json, "content-length: 100000")}\r\n{"text":"`,
    again: "a",
    everyMillis: 50,
    expected: tooSlow
  },
  {
    who: "sends chunks of a byte",
    first: `${post(json, chunked)}\r\n`,
    again: chunk("a"),
    everyMillis: 50,
    expected: tooSlow
  },
  {
    who: "falls silent in the middle of its body",
    first: `${post(json, "content-length: 1000")}\r\n{"text":"`,
    again: "",
    everyMillis: 50,
    expected: tooSlow
  },
  {
    who: "falls silent before it has said anything",
    first: "",
    again: "",
    everyMillis: 50,
    expected: tooSlow
  },
  {
    who: "sends more than may be sent, in chunks, and waits",
    first: `${post(json, chunked)}\r\n${tooMuch}`,
    again: "",
    everyMillis: 50,
    expected: tooLarge
  },
  {
    who: "sends chunks without end, as fast as it can",
    first: `${post(json, chunked)}\r\n`,
    again: chunk("a".repeat(60_000)),
    everyMillis: 0,
    // Whoever does not stop to listen may miss it.
    expected: /^$|^HTTP\/1\.1 413 /u
  },
  {
    who: "goes on with its body after it was refused",
    first: `${post("content-length: 100000")}\r\n`,
    again: "a",
    everyMillis: 50,
    expected: /^HTTP\/1\.1 415 /u
  }
]

/** What the client has been told when its connection is gone, which it never ends itself. */
const told = Effect.fn("told")(function* ({ again, everyMillis, first }: Habit, opened = () => {}) {
  const port = yield* HttpServer.addressFormattedWith((url) => Effect.succeed(Number(new URL(url).port)))
  return yield* Effect.callback<string>((resume) => {
    let answer = ""
    const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true }, () => {
      socket.write(first)
      opened()
    })
    // Who is silent notices only by sending that nobody is there any more.
    let next = again
    const sending = setInterval(() => {
      if (next !== "" && !socket.connecting && !socket.writableNeedDrain) socket.write(next)
    }, everyMillis)
    socket.on("end", () => (next ||= "a"))
    socket.setEncoding("utf8")
    socket.on("data", (text) => (answer += String(text)))
    socket.on("error", () => {})
    socket.on("close", () => {
      clearInterval(sending)
      resume(Effect.succeed(answer))
    })
    return Effect.sync(() => socket.destroy())
  }).pipe(Effect.timeout(bound))
})

const status = Effect.flatMap(HttpClient.HttpClient, (client) =>
  Effect.map(client.get("/things/1"), (answer) => answer.status)
)

layer(TestService.layer(definition, settings).pipe(Layer.provideMerge(TestDatabase.layer)), {
  excludeTestServices: true
})("a client that", (it) => {
  it.effect.each(habits)("$who is cut off, and told why", (habit) =>
    Effect.gen(function* () {
      assert.match(yield* told(habit), habit.expected)
      assert.strictEqual(yield* status, 200)
    })
  )

  it.effect("is slow takes no place from others, in whatever way and with however many of its kind", () =>
    Effect.gen(function* () {
      const slow = habits.filter(({ expected }) => expected === tooSlow)
      const all = Array.from({ length: 5 * places }, () => slow).flat()
      let open = 0
      const slowly = (habit: Habit) => told(habit, () => (open += 1))
      const waiting = yield* Effect.forkChild(Effect.forEach(all, slowly, { concurrency: "unbounded" }))
      yield* until(Effect.sync(() => open === all.length))
      let answered = 0
      for (; answered < 10 && waiting.pollUnsafe() === undefined; answered++) assert.strictEqual(yield* status, 200)
      assert.isAbove(answered, 0)
      const answers = yield* Fiber.join(waiting)
      assert.lengthOf(answers, all.length)
      for (const answer of answers) assert.match(answer, tooSlow)
      assert.strictEqual(yield* status, 200)
    })
  )
})
