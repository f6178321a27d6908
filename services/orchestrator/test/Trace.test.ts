import * as OtlpReceiver from "@ecommerce/testing/OtlpReceiver"
import { until } from "@ecommerce/testing/ServiceProcess"
import { TestDatabase } from "@ecommerce/testing/TestDatabase"
import { anotherOrchestrator, names, WholeStack } from "@ecommerce/testing/WholeStack"
import { assert, layer } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { expect } from "vitest"

import { outlineOf } from "./fixtures/Outline.ts"
import { cancel, journalOf, newProduct, place, placeHeldUp, shop, statesOf, untilState } from "./fixtures/Shop.ts"

const told = Layer.unwrap(
  Effect.map(OtlpReceiver.settings, (settings) => shop({ ...settings, SAGA_LEASE: "1 minute", LOG_LEVEL: "Info" }))
).pipe(Layer.provideMerge(OtlpReceiver.OtlpReceiver.layer))

const isAsIn = (text: string, name: string) =>
  Effect.promise(() => expect(text).toMatchFileSnapshot(`./outlines/${name}.txt`))

layer(told, { excludeTestServices: true })("an order is one trace", (it) => {
  it.effect("when it goes all the way: in all services, through batches, commands and feeds", () =>
    Effect.gen(function* () {
      const productId = yield* newProduct(5)
      yield* Effect.flatMap(place({ productId }), statesOf)
      const orderId = yield* place({ productId, quantity: 2 })
      assert.strictEqual((yield* statesOf(orderId)).at(-1), "COMPLETED")
      const { spans, text } = yield* outlineOf(orderId)
      yield* isAsIn(text, "completed")
      assert.sameMembers([...new Set(spans.map(({ service }) => service))], [...names])
      // Alone in its batches, it has their statements in its trace too.
      const statements = spans.filter(({ attributes }) => attributes["db.query.text"] !== undefined)
      assert.includeMembers(
        statements.map(({ name, service }) => `${service} ${name}`),
        ["edge-api INSERT order_ledger", "inventory INSERT reservations", "orders INSERT outbox"]
      )
    })
  )

  it.effect("when its money cannot be taken and everything is undone", () =>
    Effect.gen(function* () {
      const productId = yield* newProduct(5)
      yield* Effect.flatMap(place({ productId }), statesOf)
      const orderId = yield* place({ productId, token: "tok_capture_declined" })
      assert.strictEqual((yield* statesOf(orderId)).at(-1), "FAILED")
      yield* isAsIn((yield* outlineOf(orderId)).text, "compensated")
    })
  )

  it.effect("when a step is tried again", () =>
    Effect.gen(function* () {
      const { relays } = yield* WholeStack
      const { orderId } = yield* placeHeldUp("inventory")
      yield* until(Effect.map(journalOf(orderId), (lines) => lines.length > 2))
      yield* relays.inventory.be("open")
      assert.strictEqual((yield* statesOf(orderId)).at(-1), "COMPLETED")
      yield* isAsIn((yield* outlineOf(orderId)).text, "retried")
    })
  )

  it.effect("and its cancellation, which is another one, is linked with it", () =>
    Effect.gen(function* () {
      const productId = yield* newProduct(5)
      const orderId = yield* place({ productId })
      assert.strictEqual((yield* statesOf(orderId)).at(-1), "COMPLETED")
      assert.strictEqual(yield* cancel(orderId), 202)
      yield* untilState(orderId, "CANCELLED")
      const { text, traceId } = yield* outlineOf(orderId)
      yield* isAsIn(text, "cancelled")
      const { spans } = yield* OtlpReceiver.OtlpReceiver
      const request = (yield* spans).find(
        ({ attributes, name }) => name === "POST /orders/:id/cancel" && attributes["order.id"] === orderId
      )
      assert.notStrictEqual(request?.traceId, traceId)
      const linked = (yield* spans)
        .filter((span) => span.traceId === request?.traceId)
        .flatMap(({ links }) => links.map((link) => link.traceId))
      assert.include(linked, traceId)
    })
  )

  it.effect("when another orchestrator takes it over", () =>
    Effect.gen(function* () {
      const { relays, urls } = yield* WholeStack
      const { administrator } = yield* TestDatabase
      const productId = yield* newProduct(5)
      yield* Effect.flatMap(place({ productId }), statesOf)
      yield* relays.inventory.be("stuck")
      const orderId = yield* place({ productId })
      yield* untilState(orderId, "ORDER_CREATED")
      // It finds inventory past the relay, where the first is still waiting.
      yield* anotherOrchestrator({ SAGA_LEASE: "1 second", INVENTORY_URL: urls.inventory })
      // As if the first had not said for too long that it lives.
      yield* administrator`UPDATE orchestrator.saga_workers SET lease_until = now() - interval '1 second'
        WHERE id = (SELECT owner FROM orchestrator.sagas WHERE key = ${orderId})`
      assert.strictEqual((yield* statesOf(orderId)).at(-1), "COMPLETED")
      yield* relays.inventory.be("open")
      yield* isAsIn((yield* outlineOf(orderId)).text, "taken-over")
    })
  )
})
