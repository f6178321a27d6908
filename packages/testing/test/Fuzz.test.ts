import { EdgeApi } from "@ecommerce/contracts/Edge"
import { isTerminal } from "@ecommerce/contracts/Edge/Ledger"
import { ProductId, UserId } from "@ecommerce/contracts/Ids"
import { InventoryApi } from "@ecommerce/contracts/Inventory"
import { topology } from "@ecommerce/stack/topology"
import * as ApiDocument from "@ecommerce/testing/ApiDocument"
import * as FuzzedRequests from "@ecommerce/testing/FuzzedRequests"
import * as RawHttp from "@ecommerce/testing/RawHttp"
import { until } from "@ecommerce/testing/ServiceProcess"
import { TestDatabase } from "@ecommerce/testing/TestDatabase"
import { type Name, names, WholeStack } from "@ecommerce/testing/WholeStack"
import { NodeHttpClient } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Effect, Layer, Redacted, References } from "effect"
import { HttpClient } from "effect/http"
import { HttpApiClient } from "effect/http-api"
import * as fc from "fast-check"

/** What fails names its operation, its request and the path to it: the same seed makes the same requests again. */
const seed = 20_261_125
const rightRuns = 12
const hostileRuns = 60

const stack = WholeStack.layer().pipe(
  Layer.provideMerge(TestDatabase.layer),
  Layer.provideMerge(NodeHttpClient.layerUndici),
  Layer.provideMerge(Layer.succeed(References.MinimumLogLevel, "None"))
)

/** An order that goes all the way, and the ids of what it has left. */
const ordinaryOrder = Effect.fn("ordinaryOrder")(function* (name: string) {
  const { urls } = yield* WholeStack
  const inventory = yield* HttpApiClient.make(InventoryApi, { baseUrl: urls.inventory })
  const edge = yield* HttpApiClient.make(EdgeApi, { baseUrl: urls["edge-api"] })
  const product = yield* inventory.products.create({
    payload: { name: "A lamp", sku: name, priceCents: 500, initialStock: 5 }
  })
  const user_id = UserId.make(crypto.randomUUID())
  const { order_ledger_id } = yield* edge.checkout.place({
    headers: { "idempotency-key": name },
    payload: {
      user_id,
      email: "test@example.com",
      items: [{ product_id: ProductId.make(product.id), quantity: 2 }],
      payment: { method: "card", token: Redacted.make("tok_visa_success") }
    }
  })
  const order = edge.ledger.get({ params: { id: order_ledger_id } })
  yield* until(Effect.map(order, ({ status }) => isTerminal(status)))
  assert.strictEqual((yield* order).status, "COMPLETED")
  return [product.id, user_id, order_ledger_id]
})

const documentOf = Effect.fn("documentOf")(function* (name: Name) {
  const { urls } = yield* WholeStack
  const response = yield* HttpClient.get(`${urls[name]}/openapi.json`)
  return yield* Effect.flatMap(response.json, ApiDocument.decode)
})

/** Each operation of the service is asked so many times, and every answer is looked at. */
const ask = Effect.fn("ask")(function* (
  name: Name,
  { hostility, numRuns }: { readonly hostility: number; readonly numRuns: number },
  check: (answer: FuzzedRequests.Answer) => void = () => {}
) {
  const { urls } = yield* WholeStack
  const { serviceToken } = yield* TestDatabase
  const document = yield* documentOf(name)
  const known = yield* ordinaryOrder(`known-${name}-${hostility}`)
  const context = yield* Effect.context()
  const port = Number(new URL(urls[name]).port)
  for (const operation of ApiDocument.operationsOf(document)) {
    const making = { schemas: document.components.schemas, hostility, known, token: serviceToken }
    const requests = FuzzedRequests.requestsOf(operation, making)
    const answered = (request: RawHttp.RawRequest) =>
      Effect.map(RawHttp.sendTo(port, request), (answer) => {
        FuzzedRequests.assertAllowed(operation, answer)
        // Documents allow it, for what is away; here everybody is there.
        assert.notStrictEqual(answer.status, 503, answer.body)
        check(answer)
      })
    yield* Effect.promise(() =>
      fc.assert(
        fc.asyncProperty(requests, (request) => Effect.runPromiseWith(context)(answered(request))),
        { seed, numRuns, interruptAfterTimeLimit: 90_000, markInterruptAsFailure: true }
      )
    ).pipe(Effect.timeout("100 seconds"))
  }
})

const isReady = Effect.fn("isReady")(function* (name: Name) {
  const { urls } = yield* WholeStack
  const { status } = yield* HttpClient.get(`${urls[name]}/health`)
  return status === 200
})

layer(stack, { excludeTestServices: true })("whatever is sent", (it) => {
  it.effect("goes to every service that there is", () =>
    Effect.sync(() => {
      assert.sameMembers(
        topology.map(({ name }) => name),
        [...names]
      )
    })
  )

  it.effect.each(names)("to %s as its document asks is never refused as something else than that", (name) =>
    ask(name, { hostility: 0, numRuns: rightRuns }, (answer) => {
      assert.notMatch(answer.body, /validation_failed|malformed_request|missing_idempotency_key/u)
      assert.notInclude([401, 405, 413, 415], answer.status)
    })
  )

  it.effect.each(names)("to %s, hostile or nearly right, gets an answer that may be, and nobody falls over", (name) =>
    Effect.gen(function* () {
      yield* ask(name, { hostility: 12, numRuns: hostileRuns })
      assert.isTrue((yield* Effect.all(names.map(isReady))).every(Boolean))
      yield* ordinaryOrder(`after-${name}`)
    })
  )
})
