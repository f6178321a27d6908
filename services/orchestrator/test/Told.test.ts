import * as OtlpReceiver from "@ecommerce/testing/OtlpReceiver"
import { until } from "@ecommerce/testing/ServiceProcess"
import { TestDatabase } from "@ecommerce/testing/TestDatabase"
import { type Name, names, WholeStack } from "@ecommerce/testing/WholeStack"
import { assert, layer } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import { HttpClient, HttpClientRequest } from "effect/http"

import { cancel, newProduct, place, shop, statesOf, untilState } from "./fixtures/Shop.ts"

const told = (settings: Readonly<Record<string, string>> = {}) =>
  Layer.unwrap(
    Effect.map(OtlpReceiver.settings, (own) => shop({ ...own, LOG_LEVEL: "Info", LOG_FORMAT: "json", ...settings }))
  ).pipe(Layer.provideMerge(OtlpReceiver.OtlpReceiver.layer))

/** What a service's `/metrics` says, by name and labels. */
const metricsOf = Effect.fn("metricsOf")(function* (service: Name) {
  const { urls } = yield* WholeStack
  const { serviceToken } = yield* TestDatabase
  const request = HttpClientRequest.get(`${urls[service]}/metrics`).pipe(HttpClientRequest.bearerToken(serviceToken))
  const text = yield* Effect.flatMap(HttpClient.execute(request), (response) => response.text)
  return new Map(
    text
      .split("\n")
      .filter((line) => line !== "" && !line.startsWith("#"))
      .map((line) => [line.slice(0, line.lastIndexOf(" ")), Number(line.slice(line.lastIndexOf(" ") + 1))])
  )
}, Effect.orDie)

const post = (url: string, body: string, headers: Readonly<Record<string, string>>) =>
  Effect.orDie(
    HttpClient.execute(
      HttpClientRequest.post(url).pipe(
        HttpClientRequest.setHeaders(headers),
        HttpClientRequest.bodyText(body, "application/json")
      )
    )
  )

layer(told(), { excludeTestServices: true })("what services tell", (it) => {
  it.effect("counts exactly what has happened", () =>
    Effect.gen(function* () {
      const productId = yield* newProduct(5)
      const done = yield* Effect.forEach([1, 2, 3], () => place({ productId }), { concurrency: 3 })
      const short = yield* place({ productId, quantity: 9 })
      const refused = yield* place({ productId, token: "tok_capture_declined" })
      for (const id of [...done, short, refused]) yield* statesOf(id)
      yield* cancel(done[0] ?? "")
      yield* untilState(done[0] ?? "", "CANCELLED")
      const edge = yield* metricsOf("edge-api")
      const counted = (name: string) => edge.get(name) ?? 0
      assert.deepStrictEqual(
        [
          counted("orders_created_total"),
          counted("orders_completed_total"),
          counted("orders_cancelled_total"),
          counted('orders_failed_total{reason="insufficient_stock"}'),
          counted('orders_failed_total{reason="capture_declined"}'),
          counted('order_duration_seconds_count{outcome="completed"}'),
          counted('order_duration_seconds_count{outcome="failed"}')
        ],
        [5, 3, 1, 1, 1, 3, 2]
      )
      const stock = yield* metricsOf("inventory")
      assert.strictEqual(stock.get('inventory_reservation_failures_total{reason="insufficient_stock"}'), 1)
      const payment = yield* metricsOf("payment")
      assert.strictEqual(payment.get('payment_failures_total{operation="capture",reason="capture_declined"}'), 1)
      const sagas = yield* metricsOf("orchestrator")
      const stepsDone = (step: string) =>
        sagas.get(`saga_step_duration_seconds_count{saga="place-order",step="${step}",direction="run",outcome="done"}`)
      assert.deepStrictEqual(
        ["create-order", "reserve-stock", "capture-payment", "confirm-order"].map(stepsDone),
        [5, 4, 3, 3]
      )
      assert.strictEqual(sagas.get('sagas_ended_total{saga="cancel-order",outcome="completed"}'), 1)
      const posts =
        'http_server_request_duration_seconds_count{http_request_method="POST",http_route="/orders",http_response_status_code="202"}'
      assert.strictEqual(counted(posts), 5)
    })
  )

  it.effect("shows its counts only to whoever has a service token, with how the process is", () =>
    Effect.gen(function* () {
      const { urls } = yield* WholeStack
      for (const service of names) {
        assert.strictEqual((yield* Effect.orDie(HttpClient.get(`${urls[service]}/metrics`))).status, 401)
        const told = [...(yield* metricsOf(service)).keys()]
        assert.includeMembers(told, [
          "process_resident_memory_bytes",
          "process_cpu_seconds_total",
          "nodejs_eventloop_delay_p99_seconds",
          "db_transactions_open",
          "db_pool_connections_max",
          'telemetry_dropped_total{signal="traces"}'
        ])
      }
    })
  )

  it.effect("names the trace in every answer, and continues the caller's", () =>
    Effect.gen(function* () {
      const { urls } = yield* WholeStack
      const traceId = "0af7651916cd43dd8448eb211c80319c"
      const answer = yield* post(`${urls["edge-api"]}/orders`, "{}", {
        "idempotency-key": "no order",
        traceparent: `00-${traceId}-b7ad6b7169203331-01`
      }).pipe(Effect.provideService(HttpClient.TracerPropagationEnabled, false))
      assert.strictEqual(answer.status, 400)
      assert.strictEqual(answer.headers["trace-id"], traceId)
      assert.propertyVal(yield* Effect.orDie(answer.json), "trace_id", traceId)
    })
  )

  it.effect(
    "writes a line for each thing that becomes of an order, with its ids, and none for a step that goes well",
    () =>
      Effect.gen(function* () {
        const productId = yield* newProduct(5)
        const orderId = yield* place({ productId, token: "tok_capture_declined" })
        yield* statesOf(orderId)
        const { lines, spans } = yield* OtlpReceiver.OtlpReceiver
        const ofOrder = Effect.map(lines, (all) => all.filter(({ attributes }) => attributes["order.id"] === orderId))
        yield* until(Effect.map(ofOrder, (some) => some.some(({ text }) => text.includes("failed"))))
        const some = yield* ofOrder
        assert.deepStrictEqual(
          some.map(({ service, text }) => `${service}: ${text.replace(` ${orderId}`, "")}`).toSorted(),
          [
            "edge-api: order: authorized",
            "orchestrator: place-order: compensating (capture-payment), capture_declined",
            "orchestrator: place-order: failed (capture-payment), capture_declined"
          ]
        )
        const traces = (yield* spans)
          .filter(({ attributes, name }) => name === "POST /orders" && attributes["order.id"] === orderId)
          .map(({ traceId }) => traceId)
        assert.deepStrictEqual([...new Set(some.map(({ traceId }) => traceId))], traces)
      })
  )

  it.effect("holds no secret, whatever is sent", () =>
    Effect.gen(function* () {
      const { urls } = yield* WholeStack
      const { serviceToken, urlOf } = yield* TestDatabase
      const productId = yield* newProduct(5)
      const order = (more: object) =>
        JSON.stringify({
          user_id: "550e8400-e29b-41d4-a716-446655440000",
          email: "grace.secret@example.com",
          items: [{ product_id: productId, quantity: 1 }],
          payment: { method: "card", token: "tok_visa_success" },
          ...more
        })
      const key = (place: number) => ({ "idempotency-key": `very-private-key-${place}` })
      const card = (token: string) => ({ payment: { method: "card", token } })
      const url = `${urls["edge-api"]}/orders`
      const bodies = [
        order({}),
        order(card("tok_insufficient_funds")),
        order(card("tok_private_card")),
        order({ email: "not an e-mail of grace.secret" }),
        order({ items: [] }),
        order({ user_id: "\u0000" }),
        "{ no json grace.secret@example.com"
      ]
      yield* Effect.forEach(bodies, (body, place) => post(url, body, key(place)), { concurrency: 4 })
      yield* post(url, order({}), key(1))
      yield* post(`${urls.payment}/commands/authorize-payment`, '{"commands":[{"key":"tok_private_card"}]}', {
        authorization: `Bearer ${serviceToken}`
      })
      yield* post(`${urls.payment}/commands/authorize-payment`, "{}", { authorization: "Bearer a-wrong-private-token" })
      const { bodies: sent, spans } = yield* OtlpReceiver.OtlpReceiver
      const authorizations = Effect.map(spans, (all) => all.filter(({ name }) => name === "authorize-payment").length)
      yield* until(Effect.map(authorizations, (count) => count >= 4))
      yield* Effect.sleep("500 millis")
      const everything = (yield* sent).join("\n")
      const secrets = [
        "grace.secret",
        "very-private-key",
        "tok_visa",
        "tok_insufficient",
        "tok_private_card",
        "a-wrong-private-token",
        serviceToken,
        new URL(Redacted.value(urlOf("payment"))).password,
        "test@example.com"
      ]
      assert.deepStrictEqual(
        secrets.filter((secret) => everything.includes(secret)),
        []
      )
      assert.include(everything, "order.id")
    })
  )

  it.effect("may be taken by nobody, or badly: orders are completed all the same", () =>
    Effect.gen(function* () {
      const { answer, requests } = yield* OtlpReceiver.OtlpReceiver
      yield* answer(500)
      const before = yield* requests
      const productId = yield* newProduct(50)
      const ids = yield* Effect.forEach(Array.from({ length: 20 }), () => place({ productId }), { concurrency: 5 })
      for (const id of ids) assert.strictEqual((yield* statesOf(id)).at(-1), "COMPLETED")
      assert.isAbove(yield* requests, before)
      yield* answer(200)
    })
  )
})

const sampledOut = { OTEL_TRACES_SAMPLER: "parentbased_traceidratio", OTEL_TRACES_SAMPLER_ARG: "0" }

layer(told(sampledOut), { excludeTestServices: true })("traces that the sampler leaves out", (it) => {
  it.effect("are kept of orders that fail, by every service that had to do with it, and of no others", () =>
    Effect.gen(function* () {
      const productId = yield* newProduct(5)
      const orderId = yield* place({ productId })
      yield* statesOf(orderId)
      const failing = yield* place({ productId, token: "tok_capture_declined" })
      yield* statesOf(failing)
      const { spans } = yield* OtlpReceiver.OtlpReceiver
      const of = (id: string) =>
        Effect.map(
          spans,
          (all) => new Set(all.filter(({ attributes }) => attributes["order.id"] === id).map(({ service }) => service))
        )
      yield* until(Effect.map(of(failing), (some) => names.every((service) => some.has(service))))
      const root = (yield* spans).find(
        ({ attributes, name }) => name === "POST /orders" && attributes["order.id"] === failing
      )
      assert.isDefined(root)
      assert.strictEqual((yield* of(orderId)).size, 0)
    }).pipe(Effect.provideService(HttpClient.TracerPropagationEnabled, false))
  )
})
