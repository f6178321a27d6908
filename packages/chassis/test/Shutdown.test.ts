import { connect } from "node:net"

import { TestDatabase } from "@ecommerce/testing/TestDatabase"
import * as TestService from "@ecommerce/testing/TestService"
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Exit, Fiber, Layer, Scope } from "effect"
import { HttpClient, HttpServer } from "effect/http"

import { definition } from "./fixtures/Probe.ts"

/** A running service that the test ends when it likes. */
const startService = Effect.gen(function* () {
  const scope = yield* Scope.make()
  const settings = { LOG_LEVEL: "None", SHUTDOWN_TIMEOUT: "1500 millis" }
  const context = yield* Layer.buildWithScope(TestService.layer(definition, settings), scope)
  return { context, stop: Scope.close(scope, Exit.void) }
})

describe("a service that is told to stop", () => {
  it.live("finishes what it has begun and takes nothing new", () =>
    Effect.gen(function* () {
      const { context, stop } = yield* startService
      const get = (path: string) =>
        Effect.provide(
          Effect.flatMap(HttpClient.HttpClient, (client) => client.get(path)),
          context
        )
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
      const { context, stop } = yield* startService
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
})
