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
  /** How many connections were made through it, or tried to be. */
  readonly connections: Effect.Effect<number>
}

export const make = Effect.fn("Relay.make")(function* (target: string) {
  const { hostname, port } = new URL(target)
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
      const there = connect(Number(port), hostname)
      keep(there)
      socket.pipe(there)
      if (mode === "open") there.pipe(socket)
      else there.resume()
      socket.on("close", () => there.destroy())
      there.on("close", () => mode === "open" && socket.destroy())
    }),
    (listening) =>
      Effect.sync(() => {
        for (const socket of open) socket.destroy()
        listening.close()
      })
  )

  const address = server.address()
  const ownPort = address === null || typeof address === "string" ? 0 : address.port
  const relay: Relay = {
    url: `http://127.0.0.1:${ownPort}`,
    be: (next) =>
      Effect.sync(() => {
        mode = next
        // Connections that are kept alive would go on as they were.
        for (const socket of open) socket.destroy()
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
