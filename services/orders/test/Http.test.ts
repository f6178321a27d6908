import { send } from "@ecommerce/testing/Asking"
import { TestDatabase } from "@ecommerce/testing/TestDatabase"
import * as TestService from "@ecommerce/testing/TestService"
import { assert, layer } from "@effect/vitest"
import { Effect, Layer, Schema } from "effect"
import { HttpClient, HttpClientRequest, type HttpMethod } from "effect/http"

import { definition } from "../src/Http.ts"
import { newOrder, newOrderId, newUserId } from "./fixtures/Desk.ts"

const running = TestService.layer(definition).pipe(Layer.provideMerge(TestDatabase.layer))

const request = Effect.fn("request")(function* (method: HttpMethod.HttpMethod, path: string, authorization?: string) {
  const answer = yield* HttpClient.execute(
    HttpClientRequest.make(method)(path, authorization === undefined ? {} : { headers: { authorization } })
  )
  return { status: answer.status, headers: answer.headers, body: yield* answer.json }
})

const ask = Effect.fn("ask")(function* (method: HttpMethod.HttpMethod, path: string) {
  const { serviceToken } = yield* TestDatabase
  return yield* request(method, path, `Bearer ${serviceToken}`)
})

/** What is in the answer to a look that has one. */
const look = Effect.fn("look")(function* (path: string) {
  const { body, status } = yield* ask("GET", path)
  assert.strictEqual(status, 200)
  return body
})

interface Payload {
  readonly orderId: string
  readonly reason?: string
}

/** Commands that succeed. */
const done = Effect.fn("done")(function* (name: string, ...payloads: ReadonlyArray<Payload>) {
  const items = payloads.map((payload) => ({ key: payload.orderId, payload }))
  for (const outcome of yield* send(name, items)) assert.containSubset(outcome, { _tag: "Success" })
})

const decodePage = Schema.decodeUnknownEffect(
  Schema.Struct({
    orders: Schema.Array(Schema.Struct({ id: Schema.String })),
    nextCursor: Schema.NullOr(Schema.String)
  })
)
const decodeOrder = Schema.decodeUnknownEffect(
  Schema.Struct({
    createdAt: Schema.String,
    updatedAt: Schema.String,
    history: Schema.Array(Schema.Struct({ at: Schema.String }))
  })
)
const encodeCursor = Schema.encodeSync(Schema.StringFromBase64Url)
const isTime = (text: string | undefined) => /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/u.test(text ?? "")

/** The ids on the user's pages, one list a page. */
const pagesOf = Effect.fn("pagesOf")(function* (userId: string, limit: number) {
  const pages: Array<ReadonlyArray<string>> = []
  let cursor: string | null = ""
  // A cursor that leads back would never end.
  while (cursor !== null && pages.length < 60) {
    const place: string = cursor === "" ? "" : `&cursor=${cursor}`
    const page: Effect.Success<ReturnType<typeof decodePage>> = yield* decodePage(
      yield* look(`/orders?user_id=${userId}&limit=${limit}${place}`)
    )
    pages.push(page.orders.map(({ id }) => id))
    cursor = page.nextCursor
  }
  return pages
})

const problem = (status: number, error: string) => ({ type: `urn:problem:${error}`, status, error })

layer(running)("orders over HTTP", (it) => {
  it.effect("are shown with their lines, their total and their whole history", () =>
    Effect.gen(function* () {
      const order = newOrder()
      yield* done("create-order", order)
      yield* done("confirm-order", { orderId: order.orderId })
      const body = yield* look(`/orders/${order.orderId.toUpperCase()}`)
      const { createdAt, history, updatedAt } = yield* decodeOrder(body)
      assert.deepStrictEqual(body, {
        id: order.orderId,
        userId: order.userId,
        email: order.email,
        status: "CONFIRMED",
        items: order.items.map((item, place) => ({ ...item, lineTotalCents: [20, 30][place] ?? 0 })),
        totalCents: 50,
        version: 2,
        createdAt,
        updatedAt,
        history: [
          { version: 1, previousStatus: null, status: "CREATED", cause: "create-order", at: history[0]?.at ?? "" },
          { version: 2, previousStatus: "CREATED", status: "CONFIRMED", cause: "confirm-order", at: updatedAt }
        ]
      })
      for (const time of [createdAt, history[0]?.at, updatedAt]) assert.isTrue(isTime(time), time)
    })
  )

  it.effect("are shown as far as they are known if they were cancelled before they were created", () =>
    Effect.gen(function* () {
      const orderId = newOrderId()
      yield* done("cancel-order", { orderId, reason: "nobody paid" })
      const body = yield* look(`/orders/${orderId}`)
      const { createdAt, updatedAt } = yield* decodeOrder(body)
      assert.deepStrictEqual(body, {
        id: orderId,
        userId: null,
        email: null,
        status: "CANCELLED",
        items: [],
        totalCents: 0,
        version: 1,
        createdAt,
        updatedAt,
        history: [{ version: 1, previousStatus: null, status: "CANCELLED", cause: "nobody paid", at: updatedAt }]
      })
    })
  )

  it.effect("are not found if nobody has created them, also if somebody wanted to confirm them", () =>
    Effect.gen(function* () {
      const [unknown, refused] = [newOrderId(), newOrderId()]
      const [outcome] = yield* send("confirm-order", [{ key: refused, payload: { orderId: refused } }])
      assert.containSubset(outcome, { failure: { _tag: "UnknownOrder" } })
      for (const orderId of [unknown, refused]) {
        const { body, headers, status } = yield* ask("GET", `/orders/${orderId}`)
        assert.strictEqual(status, 404)
        assert.strictEqual(headers["content-type"], "application/problem+json")
        assert.containSubset(body, { ...problem(404, "order_not_found"), orderId })
      }
    })
  )

  it.effect("of a user come page by page, the newest first, each once, and nobody else's", () =>
    Effect.gen(function* () {
      const [userId, another] = [newUserId(), newUserId()]
      const orders = Array.from({ length: 25 }, () => newOrder({ userId }))
      yield* Effect.forEach(orders, (order) => done("create-order", order, newOrder({ userId: another })))
      const pages = yield* pagesOf(userId, 10)
      assert.deepStrictEqual(
        pages.map((page) => page.length),
        [10, 10, 5]
      )
      assert.deepStrictEqual(pages.flat(), orders.map(({ orderId }) => orderId).toReversed())
      // A page that ends with the last order is the last page.
      assert.deepStrictEqual(
        (yield* pagesOf(another, 5)).map((page) => page.length),
        [5, 5, 5, 5, 5]
      )
      assert.deepStrictEqual(yield* pagesOf(newUserId(), 5), [[]])
    })
  )

  it.effect("of a user come without tombstones and refusals, and stay on their place whatever becomes of them", () =>
    Effect.gen(function* () {
      const userId = newUserId()
      const [first, second] = [newOrder({ userId }), newOrder({ userId })]
      yield* done("create-order", first)
      yield* done("create-order", second)
      yield* done("cancel-order", { orderId: first.orderId, reason: "lost" }, { orderId: newOrderId(), reason: "lost" })
      assert.deepStrictEqual(yield* pagesOf(userId, 1), [[second.orderId], [first.orderId]])
      const listed = yield* look(`/orders?user_id=${userId}`)
      assert.containSubset(listed, { orders: [{ status: "CREATED" }, { status: "CANCELLED", version: 2 }] })
    })
  )

  it.effect("of a user are as new as they were created, also if somebody wanted to confirm them before", () =>
    Effect.gen(function* () {
      const userId = newUserId()
      const [late, early] = [newOrder({ userId }), newOrder({ userId })]
      yield* send("confirm-order", [{ key: late.orderId, payload: { orderId: late.orderId } }])
      yield* done("create-order", early)
      yield* done("create-order", late)
      assert.deepStrictEqual(yield* pagesOf(userId, 5), [[late.orderId, early.orderId]])
    })
  )

  it.effect("in a list are without anything that is somebody's own", () =>
    Effect.gen(function* () {
      const order = newOrder({ email: "secret@example.com" })
      yield* done("create-order", order)
      const body = yield* look(`/orders?user_id=${order.userId.toUpperCase()}`)
      const { createdAt, updatedAt } = yield* decodeOrder(yield* look(`/orders/${order.orderId}`))
      const { orderId: id, userId } = order
      assert.deepStrictEqual(body, {
        orders: [{ id, userId, status: "CREATED", totalCents: 50, version: 1, createdAt, updatedAt }],
        nextCursor: null
      })
      assert.notMatch(JSON.stringify(body), /secret|email|@/u)
    })
  )

  it.effect("in a list are 50 at most, unless told", () =>
    Effect.gen(function* () {
      const userId = newUserId()
      yield* done("create-order", ...Array.from({ length: 51 }, () => newOrder({ userId })))
      const lengthOf = (query: string) =>
        Effect.map(Effect.flatMap(look(`/orders?user_id=${userId}${query}`), decodePage), ({ orders }) => orders.length)
      assert.strictEqual(yield* lengthOf(""), 50)
      assert.strictEqual(yield* lengthOf("&limit=100"), 51)
    })
  )

  const somebody = newUserId()
  const cursorTo = (place: string) => `/orders?user_id=${somebody}&cursor=${encodeCursor(place)}`

  it.effect.each([
    ["/orders", "query", "user_id"],
    ["/orders?user_id=", "query", "user_id"],
    ["/orders?user_id=1", "query", "user_id"],
    [`/orders?user_id=${somebody}&limit=0`, "query", "limit"],
    [`/orders?user_id=${somebody}&limit=101`, "query", "limit"],
    [`/orders?user_id=${somebody}&limit=ten`, "query", "limit"],
    [`/orders?user_id=${somebody}&cursor=`, "query", "cursor"],
    [`/orders?user_id=${somebody}&cursor=*`, "query", "cursor"],
    [cursorTo("first"), "query", "cursor"],
    [cursorTo("0"), "query", "cursor"],
    [cursorTo("-1"), "query", "cursor"],
    [cursorTo("9999999999999999999"), "query", "cursor"],
    [cursorTo("1; DROP TABLE orders"), "query", "cursor"],
    ["/orders/1", "path", "id"],
    ["/orders/%00", "path", "id"]
  ] as const)("refuses a look at %s and names what is wrong in the %s: %s", ([path, place, field]) =>
    Effect.gen(function* () {
      const { body, status } = yield* ask("GET", path)
      assert.strictEqual(status, 400)
      assert.containSubset(body, { ...problem(400, "validation_failed"), errors: [{ in: place, field }] })
    })
  )

  it.effect.each([
    ["GET", `/orders/${newOrderId()}`],
    ["GET", `/orders?user_id=${newUserId()}`],
    // Of what is wrong besides, strangers are told nothing.
    ["GET", "/orders/1"],
    ["GET", "/orders"],
    ["POST", "/commands/create-order"],
    ["POST", "/commands/confirm-order"],
    ["POST", "/commands/cancel-order"]
  ] as const)("answers %s %s with 401 without the service's token", ([method, path]) =>
    Effect.forEach([undefined, "Bearer wrong-token-wrong-token-wrong-token", "Basic eDp5"], (authorization) =>
      Effect.gen(function* () {
        const { body, status } = yield* request(method, path, authorization)
        assert.strictEqual(status, 401)
        assert.containSubset(body, problem(401, "unauthorized"))
      })
    )
  )

  it.effect.each([
    ["POST", "/orders", "GET"],
    ["DELETE", `/orders/${newOrderId()}`, "GET"],
    ["PATCH", `/orders/${newOrderId()}`, "GET"],
    ["GET", "/commands/create-order", "POST"]
  ] as const)("answers %s %s with 405, and allows %s", ([method, path, allowed]) =>
    Effect.gen(function* () {
      const { body, headers, status } = yield* ask(method, path)
      assert.strictEqual(status, 405)
      assert.strictEqual(headers["allow"], allowed)
      assert.containSubset(body, { ...problem(405, "method_not_allowed"), allowed: [allowed] })
    })
  )

  it.effect("are documented, with every command and every look at them", () =>
    Effect.gen(function* () {
      const document = yield* request("GET", "/openapi.json")
      assert.strictEqual(document.status, 200)
      const secured = { security: [{ bearer: [] }] }
      assert.containSubset(document.body, {
        info: { title: "Orders" },
        paths: {
          "/orders": { get: secured },
          "/orders/{id}": { get: secured },
          "/commands/create-order": { post: secured },
          "/commands/confirm-order": { post: secured },
          "/commands/cancel-order": { post: secured }
        }
      })
    })
  )

  it.effect("can be asked for as soon as the service says that it is ready", () =>
    Effect.gen(function* () {
      assert.containSubset(yield* request("GET", "/health/ready"), { status: 200, body: { status: "ready" } })
    })
  )
})
