import { TestDatabase } from "@ecommerce/testing/TestDatabase"
import { WholeStack } from "@ecommerce/testing/WholeStack"
import { assert, layer } from "@effect/vitest"
import { Effect, Schedule, Schema } from "effect"
import { HttpClient, HttpClientRequest } from "effect/http"

import { everythingFits, newProduct, place, placeHeldUp, shop, statesOf, tracesOf } from "./fixtures/Shop.ts"

const decode = Schema.decodeUnknownEffect(Schema.Record(Schema.String, Schema.Unknown))

/** Asks the orchestrator as an operator does. */
const ask = Effect.fn("ask")(function* (method: "GET" | "POST", path: string, body?: object, token?: string) {
  const { urls } = yield* WholeStack
  const { serviceToken } = yield* TestDatabase
  const request = HttpClientRequest.make(method)(`${urls.orchestrator}${path}`).pipe(
    HttpClientRequest.bearerToken(token ?? serviceToken)
  )
  const response = yield* HttpClient.execute(
    body === undefined ? request : HttpClientRequest.bodyJsonUnsafe(request, body)
  )
  return { status: response.status, body: yield* Effect.flatMap(response.json, decode) }
})

const Sagas = Schema.Struct({
  sagas: Schema.Array(Schema.Struct({ id: Schema.String, key: Schema.String, status: Schema.String }))
})

const sagasIn = Effect.fn("sagasIn")(function* (path: string) {
  const { body } = yield* ask("GET", path)
  return (yield* Schema.decodeUnknownEffect(Sagas)(body)).sagas
})

const sagaOf = (orderId: string) => Effect.map(sagasIn(`/orders/${orderId}/sagas`), ([saga]) => saga?.id ?? "no saga")

/** An order that waits for inventory, which is away. */
const heldUp = Effect.gen(function* () {
  const { relays } = yield* WholeStack
  const { orderId } = yield* placeHeldUp("inventory")
  return { orderId, back: relays.inventory.be("open") }
})

layer(shop({ RETRY_BASE_DELAY_MS: "60000", RETRY_MAX_DELAY: "10 minutes" }), { excludeTestServices: true })(
  "the operations API",
  (it) => {
    it.effect("answers nobody without the service token", () =>
      Effect.gen(function* () {
        for (const path of ["/sagas", "/diagrams", "/dead-letters", `/orders/${crypto.randomUUID()}/sagas`]) {
          assert.strictEqual((yield* ask("GET", path, undefined, "not-the-token-at-all")).status, 401, path)
        }
      })
    )

    it.effect("refuses a consumer's name that is none", () =>
      Effect.gen(function* () {
        for (const name of ["%00", "a%00b", "%F0%9F%98%80", "A", "a".repeat(101)]) {
          const { body, status } = yield* ask("POST", `/dead-letters/${name}/redrive`)
          assert.strictEqual(status, 400, name)
          assert.containSubset(body, { error: "validation_failed", errors: [{ in: "path", field: "consumer" }] })
        }
      })
    )

    it.effect("shows sagas by their state, and one with its whole journal", () =>
      Effect.gen(function* () {
        const productId = yield* newProduct(5)
        const orderId = yield* place({ productId })
        yield* statesOf(orderId)
        const id = yield* sagaOf(orderId)
        assert.include(
          (yield* sagasIn("/sagas?state=COMPLETED")).map((saga) => saga.id),
          id
        )
        const { body } = yield* ask("GET", `/sagas/${id}`)
        assert.containSubset(body, { definition: "place-order", key: orderId, status: "COMPLETED" })
        assert.containSubset(body["journal"], [
          { kind: "run", step: "create-order", outcome: "done" },
          { kind: "run", step: "reserve-stock", outcome: "done" },
          { kind: "run", step: "capture-payment", outcome: "done" },
          { kind: "run", step: "confirm-order", outcome: "done" }
        ])
      })
    )

    it.effect("has a step sent now that would wait for a minute", () =>
      Effect.gen(function* () {
        const { back, orderId } = yield* heldUp
        const id = yield* sagaOf(orderId)
        yield* back
        const retry = Effect.map(ask("POST", `/sagas/${id}/retry`), ({ status }) => status)
        assert.strictEqual(
          yield* Effect.repeat(retry, {
            while: (status) => status === 409,
            schedule: Schedule.spaced("50 millis"),
            times: 400
          }),
          202
        )
        assert.strictEqual((yield* statesOf(orderId)).at(-1), "COMPLETED")
        assert.containSubset(yield* ask("POST", `/sagas/${id}/retry`), { status: 409, body: { error: "saga_ended" } })
      })
    )

    it.effect("cancels a saga as its customer would", () =>
      Effect.gen(function* () {
        const { back, orderId } = yield* heldUp
        yield* back
        assert.strictEqual((yield* ask("POST", `/sagas/${yield* sagaOf(orderId)}/cancel`)).status, 202)
        assert.strictEqual((yield* statesOf(orderId)).at(-1), "CANCELLED")
        assert.propertyVal(yield* tracesOf(orderId), "order", "CANCELLED")
      })
    )

    it.effect("says what is wrong with what it is asked", () =>
      Effect.gen(function* () {
        const { back, orderId } = yield* heldUp
        const id = yield* sagaOf(orderId)
        const stranger = "0192e4a0-0000-7000-8000-000000000000"
        const resolution = { by: "Grace", note: "counted them myself" }
        const resolve = ask("POST", `/sagas/${id}/resolve`, resolution)
        const refused = yield* Effect.repeat(resolve, {
          while: ({ body }) => body["error"] === "saga_busy",
          times: 200
        })
        assert.containSubset(refused, { status: 422, body: { error: "result_needed", step: "reserve-stock" } })
        assert.strictEqual((yield* ask("GET", `/sagas/${stranger}`)).status, 404)
        assert.strictEqual((yield* ask("POST", `/sagas/${stranger}/retry`)).status, 404)
        assert.strictEqual((yield* ask("POST", `/sagas/${stranger}/cancel`)).status, 404)
        assert.strictEqual((yield* ask("GET", "/sagas/nonsense")).status, 400)
        assert.strictEqual((yield* ask("GET", "/sagas?state=SOMEHOW")).status, 400)
        assert.strictEqual((yield* ask("POST", `/sagas/${id}/resolve`, { by: "" })).status, 400)
        assert.strictEqual((yield* ask("POST", "/dead-letters/nobody/redrive")).status, 404)
        yield* back
        yield* ask("POST", `/sagas/${id}/retry`)
        assert.strictEqual((yield* statesOf(orderId)).at(-1), "COMPLETED")
      })
    )

    it.effect("leaves everything such that it fits together", () => everythingFits)
  }
)
