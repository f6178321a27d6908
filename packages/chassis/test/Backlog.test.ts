/**
 * More clients at one moment than a process comes to: they wait at its door, and are not sent away by the kernel, whose clients
 * try again after seconds and then after twice as long.
 */
import { readFileSync } from "node:fs"
import { connect } from "node:net"

import * as ServiceProcess from "@ecommerce/testing/ServiceProcess"
import { TestDatabase } from "@ecommerce/testing/TestDatabase"
import { NodeServices } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { FetchHttpClient } from "effect/http"

const clients = 1500
/** What the kernel lets a process have, whatever that asks for. */
const mostWaiting = () => {
  try {
    return Number(readFileSync("/proc/sys/net/core/somaxconn", "utf8"))
  } catch {
    return 0
  }
}

const world = TestDatabase.layer.pipe(Layer.provideMerge(Layer.mergeAll(NodeServices.layer, FetchHttpClient.layer)))

/** The first line of what each is told, once it is connected and `then` has been done. */
const askAll = Effect.fnUntraced(function* (port: number, then: Effect.Effect<void>) {
  const opened = yield* Effect.forEach(Array.from({ length: clients }), () =>
    Effect.acquireRelease(
      Effect.sync(() => connect({ port, host: "127.0.0.1" })),
      (socket) => Effect.sync(() => socket.destroy())
    )
  )
  yield* ServiceProcess.until(Effect.sync(() => opened.every(({ connecting }) => !connecting)))
  yield* then
  return yield* Effect.forEach(
    opened,
    (socket) =>
      Effect.callback<string, Error>((resume) => {
        socket.setEncoding("latin1")
        socket.once("data", (text) => resume(Effect.succeed(String(text).split("\r\n", 1)[0] ?? "")))
        socket.once("error", (error) => resume(Effect.fail(error)))
        socket.write("GET /health/live HTTP/1.1\r\nhost: localhost\r\n\r\n")
      }),
    { concurrency: "unbounded" }
  )
})

layer(world, { excludeTestServices: true })("a crowd that comes while a process stands still", (it) => {
  it.effect.skipIf(mostWaiting() < clients)("is let in as a whole, and each is answered when it goes on", () =>
    Effect.gen(function* () {
      const { signal, url } = yield* ServiceProcess.start("inventory")
      yield* signal("SIGSTOP")
      const answers = yield* askAll(Number(new URL(url).port), signal("SIGCONT"))
      assert.deepStrictEqual([...new Set(answers)], ["HTTP/1.1 200 OK"])
      assert.lengthOf(answers, clients)
    }).pipe(Effect.scoped)
  )
})
