/**
 * Stands between a service and another one, and gets in the way when a test says so.
 */
import { connect, createServer, type Server, type Socket } from "node:net"

import { Effect } from "effect"

/**
 * `open`: everything passes. `away`: nobody answers at this address. `silent`: what is sent gets through, and no answer comes
 * back. `stuck`: connections are taken, and nothing passes.
 */
export type Mode = "open" | "away" | "silent" | "stuck"

export interface Relay {
  readonly url: string
  readonly be: (mode: Mode) => Effect.Effect<void>
  /** Leads there from now on: to one that was started after those that know it by this address, or to another one. */
  readonly leadTo: (target: string) => Effect.Effect<void>
  /** How many connections were made through it, or tried to be. */
  readonly connections: Effect.Effect<number>
}

export const make = Effect.fn("Relay.make")(function* (target: string) {
  let there = new URL(target)
  const open = new Set<Socket>()
  let mode: Mode = "open"
  let connections = 0

  const keep = (socket: Socket) => {
    open.add(socket)
    socket.on("error", () => socket.destroy())
    socket.on("close", () => open.delete(socket))
  }

  const server = yield* Effect.acquireRelease(
    listen((socket) => {
      connections += 1
      keep(socket)
      if (mode === "away") return void socket.resetAndDestroy()
      if (mode === "stuck") return
      const onward = connect(Number(there.port), there.hostname)
      keep(onward)
      socket.pipe(onward)
      if (mode === "open") onward.pipe(socket)
      else onward.resume()
      socket.on("close", () => onward.destroy())
      onward.on("close", () => mode === "open" && socket.destroy())
    }),
    (listening) =>
      Effect.sync(() => {
        for (const socket of open) socket.destroy()
        listening.close()
      })
  )

  const address = server.address()
  const ownPort = address === null || typeof address === "string" ? 0 : address.port
  // Connections that are kept alive would go on as they were.
  const cut = () => {
    for (const socket of open) socket.destroy()
  }
  const relay: Relay = {
    url: `http://127.0.0.1:${ownPort}`,
    be: (next) =>
      Effect.sync(() => {
        mode = next
        cut()
      }),
    leadTo: (other) =>
      Effect.sync(() => {
        there = new URL(other)
        cut()
      }),
    connections: Effect.sync(() => connections)
  }
  return relay
})

const listen = (onConnection: (socket: Socket) => void) =>
  Effect.callback<Server>((resume) => {
    const server = createServer({ allowHalfOpen: false }, onConnection)
    server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
  })
