import { send } from "@ecommerce/testing/Asking"
import { TestDatabase } from "@ecommerce/testing/TestDatabase"
import * as TestService from "@ecommerce/testing/TestService"
import * as Witness from "@ecommerce/testing/Witness"
import { assert, layer } from "@effect/vitest"
import { Effect, Layer, Schema } from "effect"
import { HttpClient, HttpClientRequest, type HttpMethod } from "effect/http"

import { definition } from "../src/Http.ts"
import { newOrderId } from "./fixtures/Till.ts"

const running = TestService.layer(definition, { MOCK_LATENCY_MS: "0", MOCK_FAILURE_RATE: "0" }).pipe(
  Layer.provideMerge(TestDatabase.layer)
)

const request = Effect.fn("request")(function* (method: HttpMethod.HttpMethod, path: string, authorization?: string) {
  const answer = yield* HttpClient.execute(
    HttpClientRequest.make(method)(path, authorization === undefined ? {} : { headers: { authorization } })
  )
  return { status: answer.status, headers: answer.headers, body: yield* answer.json }
})

const ask = Effect.fn("ask")(function* (path: string) {
  const { serviceToken } = yield* TestDatabase
  return yield* request("GET", path, `Bearer ${serviceToken}`)
})

const problem = (status: number, error: string) => ({ type: `urn:problem:${error}`, status, error })

const decodeList = Schema.decodeUnknownEffect(Schema.Struct({ payments: Schema.Array(Schema.Unknown) }))
const decodeIds = Schema.decodeUnknownEffect(
  Schema.Struct({ authorizationId: Schema.String, history: Schema.Array(Schema.Struct({ at: Schema.String })) })
)

/** The payments of an order, in a list. */
const listed = Effect.fn("listed")(function* (orderId: string) {
  const { body, status } = yield* ask(`/payments?order_id=${orderId}`)
  assert.strictEqual(status, 200)
  return (yield* decodeList(body)).payments
})

/** An order's only payment, which is shown alone as it is in a list. */
const paymentOf = Effect.fn("paymentOf")(function* (orderId: string) {
  const [only, ...others] = yield* listed(orderId)
  assert.deepStrictEqual(others, [])
  const { authorizationId, history } = yield* decodeIds(only)
  const alone = yield* ask(`/payments/${authorizationId}`)
  assert.deepStrictEqual([alone.status, alone.body], [200, only])
  const times = history.map(({ at }) => at)
  for (const at of times) assert.match(at, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/u)
  assert.deepStrictEqual(times, times.toSorted())
  return only
})

const bill = (orderId: string, more: object = {}) => ({
  key: orderId,
  payload: { orderId, amountCents: 500, currency: "USD", token: "tok_visa_success", ...more }
})
const due = (orderId: string, more: object = {}) => ({ key: orderId, payload: { orderId, amountCents: 500, ...more } })
const end = (orderId: string, more: object = {}) => ({ key: orderId, payload: { orderId, ...more } })

const entry = (name: string, amountCents = 500, detail: string | null = null) => ({ entry: name, amountCents, detail })

layer(running, { excludeTestServices: true })("payments over HTTP", (it) => {
  it.effect("are shown with everything that happened to them, through their life", () =>
    Effect.gen(function* () {
      const orderId = newOrderId()
      yield* send("authorize-payment", [bill(orderId)])
      const held = yield* paymentOf(orderId)
      const about = { orderId, amountCents: 500, currency: "USD" }
      assert.containSubset(held, {
        ...about,
        status: "AUTHORIZED",
        captureId: null,
        cancelledAt: null,
        history: [entry("authorized")]
      })
      yield* send("capture-payment", [due(orderId, { amountCents: 200 })])
      const taken = { ...about, history: [entry("authorized"), entry("captured", 200)] }
      assert.containSubset(yield* paymentOf(orderId), { ...taken, status: "CAPTURED" })
      yield* send("cancel-payment", [end(orderId)])
      const back = yield* paymentOf(orderId)
      const history = [entry("authorized"), entry("captured", 200), entry("refunded", 200)]
      assert.containSubset(back, { ...about, status: "REFUNDED", history })
      assert.match(JSON.stringify(back), /"captureId":"cap_[0-9a-f]{32}"/u)
      assert.notMatch(JSON.stringify(back), /tok_|digest|"cancelledAt":null/u)
    })
  )

  it.effect.each([
    ["tok_decline_expired", "DECLINED", [entry("declined", 500, "card_expired")], "DECLINED"],
    [
      "tok_capture_declined",
      "AUTHORIZED",
      [entry("authorized"), entry("capture_refused", 500, "capture_declined")],
      "VOIDED"
    ]
  ] as const)("with %s are shown as %s, and why", ([token, status, history, cancelled]) =>
    Effect.gen(function* () {
      const orderId = newOrderId()
      yield* send("authorize-payment", [bill(orderId, { token })])
      if (status === "AUTHORIZED") yield* send("capture-payment", [due(orderId)])
      const shown = yield* paymentOf(orderId)
      assert.containSubset(shown, { status, history })
      assert.strictEqual((yield* decodeIds(shown)).history.length, history.length)
      yield* send("cancel-payment", [end(orderId)])
      assert.containSubset(yield* paymentOf(orderId), { status: cancelled })
    })
  )

  it.effect("are not listed where there is none: a tombstone or a refused capture is no payment", () =>
    Effect.gen(function* () {
      const [unknown, cancelled, refused] = [newOrderId(), newOrderId(), newOrderId()]
      yield* send("cancel-payment", [end(cancelled)])
      yield* send("capture-payment", [due(refused)])
      for (const orderId of [unknown, cancelled, refused]) assert.deepStrictEqual(yield* listed(orderId), [])
    })
  )

  it.effect("are not found under an id that nobody has", () =>
    Effect.gen(function* () {
      const authorizationId = `auth_${"0".repeat(32)}`
      const { body, headers, status } = yield* ask(`/payments/${authorizationId}`)
      assert.strictEqual(status, 404)
      assert.strictEqual(headers["content-type"], "application/problem+json")
      assert.containSubset(body, { ...problem(404, "payment_not_found"), authorizationId })
    })
  )

  it.effect.each([
    ["/payments", "query", "order_id"],
    ["/payments?order_id=", "query", "order_id"],
    ["/payments?order_id=1", "query", "order_id"],
    ["/payments/1", "path", "authorizationId"],
    [`/payments/auth_${"0".repeat(31)}`, "path", "authorizationId"],
    [`/payments/auth_${"0".repeat(33)}`, "path", "authorizationId"],
    [`/payments/AUTH_${"0".repeat(32)}`, "path", "authorizationId"],
    ["/payments/auth_%00", "path", "authorizationId"],
    [`/payments/cap_${"0".repeat(32)}`, "path", "authorizationId"]
  ] as const)("refuse a look at %s and name what is wrong in the %s: %s", ([path, place, field]) =>
    Effect.gen(function* () {
      const { body, status } = yield* ask(path)
      assert.strictEqual(status, 400)
      assert.containSubset(body, { ...problem(400, "validation_failed"), errors: [{ in: place, field }] })
    })
  )

  it.effect.each([
    ["GET", `/payments/auth_${"0".repeat(32)}`],
    ["GET", `/payments?order_id=${newOrderId()}`],
    // Of what is wrong besides, strangers are told nothing.
    ["GET", "/payments/1"],
    ["GET", "/payments"],
    ["POST", "/commands/authorize-payment"],
    ["POST", "/commands/capture-payment"],
    ["POST", "/commands/cancel-payment"]
  ] as const)("answer %s %s with 401 without the service's token", ([method, path]) =>
    Effect.forEach([undefined, "Bearer wrong-token-wrong-token-wrong-token", "Basic eDp5"], (authorization) =>
      Effect.gen(function* () {
        const { body, status } = yield* request(method, path, authorization)
        assert.strictEqual(status, 401)
        assert.containSubset(body, problem(401, "unauthorized"))
      })
    )
  )

  it.effect("are documented, with every command and every look at them", () =>
    Effect.gen(function* () {
      const document = yield* request("GET", "/openapi.json")
      assert.strictEqual(document.status, 200)
      const secured = { security: [{ bearer: [] }] }
      assert.containSubset(document.body, {
        info: { title: "Payment" },
        paths: {
          "/payments": { get: secured },
          "/payments/{authorizationId}": { get: secured },
          "/commands/authorize-payment": { post: secured },
          "/commands/capture-payment": { post: secured },
          "/commands/cancel-payment": { post: secured }
        }
      })
    })
  )

  it.effect("can be asked for as soon as the service says that it is ready", () =>
    Effect.gen(function* () {
      const ready = yield* request("GET", "/health/ready")
      assert.containSubset(ready, { status: 200, body: { status: "ready", checks: { processor: "ok" } } })
    })
  )
})

const orderId = newOrderId()
const [beyond, card] = [Number.MAX_SAFE_INTEGER + 1, "tok_visa_success"]

/** Of which command, what is wrong, the item, and the word by which the answer names it. */
const badItems = [
  ["authorize-payment", "an id that is no UUID", { ...bill(orderId, { orderId: "1" }), key: "1" }, "orderId"],
  ["authorize-payment", "another key than its order", { ...bill(orderId), key: newOrderId() }, "key"],
  ["authorize-payment", "an amount of 0", bill(orderId, { amountCents: 0 }), "amountCents"],
  ["authorize-payment", "an amount below 0", bill(orderId, { amountCents: -5 }), "amountCents"],
  ["authorize-payment", "half a cent", bill(orderId, { amountCents: 0.5 }), "amountCents"],
  ["authorize-payment", "an amount that is no exact number", bill(orderId, { amountCents: beyond }), "amountCents"],
  ["authorize-payment", "a text for an amount", bill(orderId, { amountCents: "500" }), "amountCents"],
  ["authorize-payment", "a currency in small letters", bill(orderId, { currency: "usd" }), "currency"],
  ["authorize-payment", "a currency of four letters", bill(orderId, { currency: "USDT" }), "currency"],
  ["authorize-payment", "a token with spaces", bill(orderId, { token: "tok_visa success" }), "token"],
  ["authorize-payment", "a card's number for a token", bill(orderId, { token: "4111111111111111" }), "token"],
  ["authorize-payment", "a token with NUL", bill(orderId, { token: `${card}\u0000` }), "token"],
  ["authorize-payment", "a token of 105 characters", bill(orderId, { token: `tok_${"a".repeat(101)}` }), "token"],
  ["authorize-payment", "no token", due(orderId, { currency: "USD" }), "token"],
  ["authorize-payment", "a field that nobody knows", bill(orderId, { tip: 5 }), "tip"],
  ["capture-payment", "an amount of 0", due(orderId, { amountCents: 0 }), "amountCents"],
  ["capture-payment", "half a cent", due(orderId, { amountCents: 1.5 }), "amountCents"],
  ["capture-payment", "an amount that is no exact number", due(orderId, { amountCents: beyond }), "amountCents"],
  ["capture-payment", "no amount", end(orderId), "amountCents"],
  ["capture-payment", "another key than its order", { ...due(orderId), key: newOrderId() }, "key"],
  ["cancel-payment", "an id that is no UUID", { ...end(orderId, { orderId: "1" }), key: "1" }, "orderId"],
  ["cancel-payment", "another key than its order", { ...end(orderId), key: newOrderId() }, "key"],
  ["cancel-payment", "a field that nobody knows", end(orderId, { amountCents: 5 }), "amountCents"]
] as const

const goodItem = Effect.fn("goodItem")(function* (command: "authorize-payment" | "capture-payment" | "cancel-payment") {
  const order = newOrderId()
  if (command === "authorize-payment") return bill(order)
  yield* send("authorize-payment", [bill(order)])
  return command === "capture-payment" ? due(order) : end(order)
})

const decodeComplaint = Schema.decodeUnknownEffect(
  Schema.Struct({
    _tag: Schema.Literal("Failure"),
    failure: Schema.Struct({ _tag: Schema.Literal("BadItem"), key: Schema.String, reason: Schema.String })
  })
)

layer(running, { excludeTestServices: true })("an item of a batch", (it) => {
  it.effect.each(badItems)("of %s with %s fails alone, and is told why", ([command, , item, field]) =>
    Effect.gen(function* () {
      const { mentions } = yield* Witness.make("payment")
      const [before, after] = [yield* goodItem(command), yield* goodItem(command)]
      const [first, refused, last] = yield* send(command, [before, item, after])
      assert.containSubset(first, { _tag: "Success", success: { orderId: before.key } })
      assert.containSubset(last, { _tag: "Success", success: { orderId: after.key } })
      const { failure } = yield* decodeComplaint(refused)
      assert.include(failure.reason, field)
      assert.isEmpty((yield* mentions(orderId)).filter((place) => !place.endsWith(" 0")))
    })
  )

  it.effect("may be of the greatest amount that is an exact number", () =>
    Effect.gen(function* () {
      const order = newOrderId()
      const amountCents = Number.MAX_SAFE_INTEGER
      yield* send("authorize-payment", [bill(order, { amountCents })])
      const [taken] = yield* send("capture-payment", [due(order, { amountCents })])
      assert.containSubset(taken, { _tag: "Success", success: { amountCents } })
      const [back] = yield* send("cancel-payment", [end(order)])
      assert.containSubset(back, { success: { returned: "refunded", amountCents } })
    })
  )
})
