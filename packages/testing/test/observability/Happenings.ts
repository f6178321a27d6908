/**
 * Orders of every fate, so that all that services count has been counted; and then what they export of it.
 */
import { until } from "@ecommerce/testing/ServiceProcess"
import { TestDatabase } from "@ecommerce/testing/TestDatabase"
import { names, WholeStack } from "@ecommerce/testing/WholeStack"
import { assert } from "@effect/vitest"
import { Effect, Schedule, Schema } from "effect"
import { HttpClient, HttpClientRequest } from "effect/http"

import { OtlpReceiver } from "../../src/OtlpReceiver.ts"
import * as Exported from "./Exported.ts"

const ask = Effect.fnUntraced(function* (url: string, body: unknown, headers: Readonly<Record<string, string>> = {}) {
  const request = HttpClientRequest.post(url).pipe(
    HttpClientRequest.setHeaders(headers),
    HttpClientRequest.bodyJsonUnsafe(body)
  )
  const { json, status } = yield* HttpClient.execute(request)
  return { status, body: yield* json }
})

const decodeProduct = Schema.decodeUnknownEffect(Schema.Struct({ id: Schema.String }))
const decodeOrder = Schema.decodeUnknownEffect(Schema.Struct({ order_ledger_id: Schema.String }))

/** One order that is kept, one each that is declined, too large, and not paid in the end, and one that is taken back. */
export const orders = Effect.gen(function* () {
  const { urls } = yield* WholeStack
  const made = yield* ask(`${urls.inventory}/products`, {
    name: "Mouse",
    sku: "MOUSE",
    priceCents: 1999,
    initialStock: 5
  })
  const { id } = yield* decodeProduct(made.body)
  const place = (key: string, token: string, quantity = 1) =>
    Effect.repeat(
      ask(
        `${urls["edge-api"]}/orders`,
        {
          user_id: "550e8400-e29b-41d4-a716-446655440000",
          email: "test@example.com",
          items: [{ product_id: id, quantity }],
          payment: { method: "card", token }
        },
        { "idempotency-key": key, prefer: "wait=30" }
      ),
      // Until edge has heard of the product's price.
      { while: ({ status }) => status === 503, schedule: Schedule.spaced("200 millis"), times: 200 }
    ).pipe(Effect.tap(({ status }) => Effect.sync(() => assert.include([200, 202, 402], status))))
  yield* place("kept", "tok_visa_success")
  yield* place("declined", "tok_decline_expired")
  yield* place("too-large", "tok_visa_success", 9)
  yield* place("not-paid", "tok_capture_declined")
  const back = yield* decodeOrder((yield* place("taken-back", "tok_visa_success")).body)
  const { status } = yield* ask(`${urls["edge-api"]}/orders/${back.order_ledger_id}/cancel`, {})
  assert.strictEqual(status, 202)
}).pipe(Effect.orDie)

/** All of it, by the way that it takes to Prometheus. */
export const exported = Effect.gen(function* () {
  const { urls } = yield* WholeStack
  const { serviceToken } = yield* TestDatabase
  const { bodies } = yield* OtlpReceiver
  const pages = yield* Effect.forEach(names, (service) => {
    const request = HttpClientRequest.get(`${urls[service]}/metrics`).pipe(HttpClientRequest.bearerToken(serviceToken))
    return Effect.map(
      Effect.flatMap(HttpClient.execute(request), ({ text }) => text),
      (text) => Exported.scraped(service, text)
    )
  })
  const metrics = (yield* bodies).filter((body) => body.startsWith('{"resourceMetrics"'))
  return {
    scraped: Exported.of(pages.flat()),
    // More than one round of all services.
    received: Exported.of(metrics.slice(-3 * names.length).flatMap(Exported.received))
  }
}).pipe(Effect.orDie)

/** Until this is so of what is exported: some of it is looked at only now and then. Later it is told what is in the way. */
export const untilExported = <E, R>(isSo: Effect.Effect<boolean, E, R>) =>
  Effect.ignore(Effect.timeout(until(Effect.delay(isSo, "1 second")), "45 seconds"))
