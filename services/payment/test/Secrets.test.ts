import { TestDatabase } from "@ecommerce/testing/TestDatabase"
import * as TestService from "@ecommerce/testing/TestService"
import * as Witness from "@ecommerce/testing/Witness"
import { assert, layer } from "@effect/vitest"
import { Console, Context, Effect, Layer, Schedule } from "effect"
import { HttpClient, HttpClientRequest } from "effect/http"

import { definition } from "../src/Http.ts"
import { newOrderId } from "./fixtures/Till.ts"

/** Everything that the service has written to its console, at any level. */
class Printed extends Context.Service<Printed, { readonly lines: Array<string> }>()("@ecommerce/payment/test/Printed") {
  static readonly layer = Layer.sync(Printed, () => ({ lines: [] }))

  static readonly layerConsole = Layer.effect(
    Console.Console,
    Effect.map(Printed, ({ lines }) => {
      const print = (...words: ReadonlyArray<unknown>) => {
        lines.push(words.map((word) => (typeof word === "string" ? word : JSON.stringify(word))).join(" "))
      }
      const written = { log: print, error: print, warn: print, info: print, debug: print, trace: print }
      return Object.assign(Object.create(globalThis.console) satisfies Console.Console, written)
    })
  )
}

const running = TestService.layer(definition, {
  LOG_LEVEL: "Trace",
  LOG_FORMAT: "json",
  MOCK_LATENCY_MS: "0",
  MOCK_FAILURE_RATE: "0.2",
  MOCK_LOST_REPLY_RATE: "0.2",
  PROCESSOR_TIMEOUT: "300 millis",
  PROCESSOR_BREAKER_FAILURES: "2",
  PROCESSOR_BREAKER_PAUSE: "1 millis",
  RECONCILE_EVERY: "200 millis",
  RECONCILE_AFTER: "1 millis"
}).pipe(Layer.provide(Printed.layerConsole), Layer.provideMerge(Printed.layer), Layer.provideMerge(TestDatabase.layer))

/** What is never to be seen again, wherever it was put. */
const secret = /tok_|4111111111111111/u
const tokens = [
  "tok_visa_4111111111111111",
  "tok_decline_4111111111111111",
  "tok_decline_stolen",
  "tok_lost_reply",
  "tok_slow_700",
  "tok_capture_declined"
]

const post = Effect.fn("post")(function* (name: string, body: string) {
  const { serviceToken } = yield* TestDatabase
  const response = yield* HttpClient.execute(
    HttpClientRequest.post(`/commands/${name}`).pipe(
      HttpClientRequest.bearerToken(serviceToken),
      HttpClientRequest.bodyText(body, "application/json")
    )
  )
  return `${response.status} ${JSON.stringify(response.headers)} ${yield* response.text}`
})
const send = (name: string, ...items: ReadonlyArray<object>) => post(name, JSON.stringify({ commands: items }))

const billed = (orderId: string, token: unknown, more: object = {}) => ({
  key: orderId,
  payload: { orderId, amountCents: 500, currency: "USD", token, ...more }
})
const named = (orderId: string, more: object = {}) => ({ key: orderId, payload: { orderId, ...more } })

/** Authorized, captured and cancelled, each several times, and with another card in between. */
const lifeWith = (token: string) =>
  Effect.gen(function* () {
    const orderId = newOrderId()
    const bill = billed(orderId, token)
    const turns = [
      send("authorize-payment", bill, bill, billed(orderId, `${token}_other`)),
      send("authorize-payment", bill),
      send("authorize-payment", billed(orderId, `${token}_other`)),
      send("capture-payment", named(orderId, { amountCents: 400 })),
      send("capture-payment", named(orderId, { amountCents: 400 })),
      send("cancel-payment", named(orderId)),
      send("cancel-payment", named(orderId)),
      send("authorize-payment", bill)
    ]
    return yield* Effect.forEach(turns, (turn) => turn)
  })

/** Requests that cannot be read, each with a card in it. */
const unreadable = Effect.suspend(() => {
  const [orderId, card] = [newOrderId(), "tok_visa_4111111111111111"]
  const item = billed(orderId, card)
  return Effect.all([
    send("authorize-payment", billed(orderId, `${card} with spaces`)),
    send("authorize-payment", billed(orderId, card.repeat(10))),
    send("authorize-payment", billed(orderId, [card])),
    send("authorize-payment", billed(orderId, { card })),
    send("authorize-payment", billed(orderId, 4_111_111_111_111_111)),
    send("authorize-payment", billed(orderId, card, { amountCents: 0 })),
    send("authorize-payment", billed(orderId, card, { currency: "usd" })),
    send("authorize-payment", billed(orderId, card, { note: card })),
    send("authorize-payment", billed(orderId, undefined, { cardToken: card })),
    send("authorize-payment", { ...item, key: newOrderId() }),
    send("authorize-payment", { key: orderId, payload: card }),
    send("authorize-payment", { key: orderId, payload: [item.payload] }),
    send("capture-payment", named(orderId, { amountCents: 5, token: card })),
    send("cancel-payment", named(orderId, { token: card })),
    post("authorize-payment", JSON.stringify({ commands: card })),
    post("authorize-payment", JSON.stringify(item)),
    post("authorize-payment", `{"commands": [${JSON.stringify(item).slice(0, -3)}`)
  ])
})

const showing = (lines: ReadonlyArray<string>) => lines.filter((line) => secret.test(line))

layer(running, { excludeTestServices: true })("a card's token", (it) => {
  it.effect.each(tokens)("is in no answer, whatever becomes of the payment: %s", (token) =>
    Effect.gen(function* () {
      const answers = yield* lifeWith(token)
      assert.deepStrictEqual(showing(answers), [])
    })
  )

  it.effect("is in no complaint about what cannot be read", () =>
    Effect.gen(function* () {
      const answers = yield* unreadable
      assert.isTrue(answers.every((answer) => /BadItem|problem\+json/u.test(answer)))
      assert.deepStrictEqual(showing(answers), [])
    })
  )

  it.effect("is in no complaint about what cannot be stored", () =>
    Effect.gen(function* () {
      const { poison } = yield* Witness.make("payment")
      const orderId = newOrderId()
      yield* poison(orderId)
      const answer = yield* send("authorize-payment", billed(orderId, "tok_visa_4111111111111111"))
      assert.include(answer, "BadItem")
      assert.deepStrictEqual(showing([answer]), [])
    })
  )

  it.effect("is in no answer when the database goes away", () =>
    Effect.gen(function* () {
      const { cutConnections } = yield* TestDatabase
      const lives = Effect.forEach(tokens, lifeWith, { concurrency: "unbounded" })
      const cuts = Effect.forEach([5, 10, 20, 40], (millis) => Effect.delay(cutConnections, millis))
      const [answers] = yield* Effect.all([lives, cuts], { concurrency: "unbounded" })
      assert.deepStrictEqual(showing(answers.flat()), [])
    })
  )

  it.effect("is in no event and in no row, neither of ours nor of the processor's", () =>
    Effect.gen(function* () {
      const { mentions } = yield* Witness.make("payment")
      yield* Effect.forEach(tokens, lifeWith)
      yield* unreadable
      const places = [...(yield* mentions("tok_")), ...(yield* mentions("4111111111111111"))]
      assert.isAtLeast(places.length, 2 * 9)
      assert.deepStrictEqual(
        places.filter((place) => !place.endsWith(" 0")),
        []
      )
    })
  )

  it.effect("is in no line of the log, at whatever level", () =>
    Effect.gen(function* () {
      const { lines } = yield* Printed
      yield* unreadable
      // Both of these come sooner or later, or nothing is heard of what the service says.
      const isHeard = Effect.sync(() =>
        ["circuit breaker", "were late"].every((words) => lines.some((line) => line.includes(words)))
      )
      const lives = Effect.forEach(tokens, lifeWith, { concurrency: "unbounded" })
      yield* Effect.repeat(Effect.andThen(lives, isHeard), {
        until: (is) => is,
        schedule: Schedule.spaced("50 millis")
      })
      assert.deepStrictEqual(showing(lines), [])
    })
  )
})
