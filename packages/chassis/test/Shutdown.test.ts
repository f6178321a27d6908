import { connect } from "node:net"

import * as Relay from "@ecommerce/testing/Relay"
import { TestDatabase } from "@ecommerce/testing/TestDatabase"
import * as TestService from "@ecommerce/testing/TestService"
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Exit, Fiber, Layer, Redacted, Scope } from "effect"
import { HttpClient, HttpServer } from "effect/http"

import { definition } from "./fixtures/Probe.ts"

/** A running service that the test ends when it likes. */
const startService = Effect.fnUntraced(function* (settings: Readonly<Record<string, string>> = {}) {
  const scope = yield* Scope.make()
  const all = { LOG_LEVEL: "None", SHUTDOWN_TIMEOUT: "1500 millis", ...settings }
  const context = yield* Layer.buildWithScope(TestService.layer(definition, all), scope)
  const get = (path: string) =>
    Effect.provide(
      Effect.flatMap(HttpClient.HttpClient, (client) => client.get(path)),
      context
    )
  return { context, get, stop: Scope.close(scope, Exit.void) }
})

describe("a service that is told to stop", () => {
  it.live("finishes what it has begun and takes nothing new", () =>
    Effect.gen(function* () {
      const { get, stop } = yield* startService()
      const begun = yield* Effect.forkChild(get("/slow?millis=500"))
      yield* Effect.sleep("150 millis")
      const stopping = yield* Effect.forkChild(stop)
      yield* Effect.sleep("100 millis")
      assert.isTrue(Exit.isFailure(yield* Effect.exit(get("/health/live"))))
      assert.strictEqual((yield* Fiber.join(begun)).status, 200)
      yield* Fiber.join(stopping)
    }).pipe(Effect.provide(TestDatabase.layer))
  )

  it.live("does not wait for ever for a client that sends nothing, or never finishes", () =>
    Effect.gen(function* () {
      const { context, stop } = yield* startService()
      const port = yield* Effect.provide(
        HttpServer.addressFormattedWith((url) => Effect.succeed(Number(new URL(url).port))),
        context
      )
      const open = (first: string) =>
        Effect.acquireRelease(
          Effect.callback<ReturnType<typeof connect>>((resume) => {
            const socket = connect(port, "127.0.0.1", () => {
              socket.write(first)
              resume(Effect.succeed(socket))
            })
            socket.on("error", () => {})
          }),
          (socket) => Effect.sync(() => socket.destroy())
        )
      yield* open("")
      yield* open("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{")
      yield* Effect.sleep("100 millis")
      const [taken] = yield* Effect.timed(stop)
      assert.isBelow(Duration.toMillis(taken), 30_000)
    }).pipe(Effect.scoped, Effect.provide(TestDatabase.layer))
  )

  it.live.each(["away", "stuck", "silent"] as const)("does not wait for ever for a database that is %s", (trouble) =>
    Effect.gen(function* () {
      const { urlOf } = yield* TestDatabase
      const database = new URL(Redacted.value(urlOf(definition.place.name)))
      const relay = yield* Relay.make(`http://${database.host}`)
      database.port = new URL(relay.url).port
      const { get, stop } = yield* startService({ DATABASE_URL: database.href })
      const ask = Effect.all([get("/products/count"), get("/transaction?millis=200")], { concurrency: "unbounded" })
      yield* ask
      const customers = yield* Effect.forEach(Array.from({ length: 40 }), () =>
        Effect.forkChild(Effect.ignore(Effect.forever(ask)))
      )
      yield* Effect.sleep("100 millis")
      yield* relay.be(trouble)
      yield* Effect.sleep("200 millis")
      const [taken] = yield* Effect.timed(stop)
      assert.isBelow(Duration.toMillis(taken), 30_000)
      yield* Fiber.interruptAll(customers)
    }).pipe(Effect.scoped, Effect.provide(TestDatabase.layer))
  )
})
