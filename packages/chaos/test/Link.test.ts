import { connect, createServer, type Socket } from "node:net"

import * as Link from "@ecommerce/chaos/Link"
import { assert, layer } from "@effect/vitest"
import { Deferred, Effect, Layer, Queue, Schedule } from "effect"

/** Somebody who answers every piece with itself, and tells what came. */
const echo = Effect.gen(function* () {
  const came = yield* Queue.unbounded<string>()
  const server = createServer((socket) => {
    socket.on("error", () => socket.destroy())
    socket.on("data", (bytes) => {
      Queue.offerUnsafe(came, bytes.toString())
      socket.write(`answer to ${bytes.toString()}`)
    })
  })
  yield* Effect.acquireRelease(
    Effect.callback<void>((resume) => void server.listen(0, "127.0.0.1", () => resume(Effect.void))),
    () => Effect.sync(() => server.close())
  )
  const address = server.address()
  const target = address === null || typeof address === "string" ? 0 : address.port
  return { came, link: yield* Link.make({ name: "a → b", target, listenFor: ["answer to late"] }) }
})

/** A caller, and what comes back to it. */
const call = Effect.fnUntraced(function* (port: number) {
  const replies = yield* Queue.unbounded<string>()
  const closed = yield* Deferred.make<void>()
  const socket = yield* Effect.acquireRelease(
    Effect.callback<Socket>((resume) => {
      const made = connect(port, "127.0.0.1", () => resume(Effect.succeed(made)))
      made.on("error", () => made.destroy())
      made.on("data", (bytes) => void Queue.offerUnsafe(replies, bytes.toString()))
      made.on("close", () => Deferred.doneUnsafe(closed, Effect.void))
    }),
    (made) => Effect.sync(() => made.destroy())
  )
  return {
    say: (text: string) => Effect.sync(() => void socket.write(text)),
    hangUp: Effect.sync(() => void socket.destroy()),
    reply: Queue.take(replies),
    closed: Deferred.await(closed),
    replies
  }
})

layer(Layer.empty, { excludeTestServices: true })("a link", (it) => {
  it.effect("passes on what comes, both ways, until it is cut", () =>
    Effect.gen(function* () {
      const { link } = yield* echo
      const caller = yield* call(link.port)
      yield* caller.say("one")
      assert.strictEqual(yield* caller.reply, "answer to one")
      assert.strictEqual(yield* link.cut, 1)
      yield* caller.closed
    })
  )

  it.effect("delays in both directions and keeps the order, also when the delay ends in between", () =>
    Effect.gen(function* () {
      const { came, link } = yield* echo
      const caller = yield* call(link.port)
      const began = Date.now()
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* link.delayed(200)
          yield* caller.say("one")
          yield* Effect.sleep("50 millis")
        })
      )
      yield* caller.say("two")
      // They may come in one piece.
      let all = yield* Queue.take(came)
      assert.isAtLeast(Date.now() - began, 190)
      while (all.length < 6) all += yield* Queue.take(came)
      assert.strictEqual(all, "onetwo")
    })
  )

  it.effect("loses replies while the requests pass, and then cuts who has lost one", () =>
    Effect.gen(function* () {
      const { came, link } = yield* echo
      const [unlucky, lucky] = [yield* call(link.port), yield* call(link.port)]
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* link.losingReplies
          yield* unlucky.say("pay")
          assert.strictEqual(yield* Queue.take(came), "pay")
          yield* Effect.sleep("100 millis")
        })
      )
      yield* unlucky.closed
      assert.strictEqual(yield* Queue.size(unlucky.replies), 0)
      yield* lucky.say("hello")
      assert.strictEqual(yield* lucky.reply, "answer to hello")
    })
  )

  it.effect("holds back what has a word in it, also when its sender is gone, and hears the answer", () =>
    Effect.gen(function* () {
      const { came, link } = yield* echo
      const [caller, other] = [yield* call(link.port), yield* call(link.port)]
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* link.holding("late")
          yield* caller.say("late run")
          yield* other.say("undo")
          assert.strictEqual(yield* other.reply, "answer to undo")
          yield* caller.hangUp
          yield* caller.closed
        })
      )
      assert.strictEqual(yield* Queue.take(came), "undo")
      assert.strictEqual(yield* Queue.take(came), "late run")
      yield* Effect.repeat(link.heard, { until: (times) => times === 1, schedule: Schedule.spaced("10 millis") })
    })
  )
})
