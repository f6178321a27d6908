/**
 * Ports, tried out before anybody listens on them for good: a server's own complaint would come later and say less.
 */
import { createServer } from "node:net"

import { Effect, Schema } from "effect"

export class PortRefused extends Schema.TaggedError<PortRefused>()("PortRefused", {
  port: Schema.Int,
  host: Schema.String,
  /** EADDRINUSE, EACCES, EADDRNOTAVAIL, … */
  reason: Schema.String
}) {
  get isTaken() {
    return this.reason === "EADDRINUSE"
  }

  /** What to tell the person whose setting it is. */
  sentence(setting: string) {
    if (this.isTaken)
      return `Port ${this.port} is taken by another process: stop it, or choose another with ${setting}.`
    if (this.reason === "EACCES")
      return `Port ${this.port} is for the superuser alone: choose one above 1023 with ${setting}.`
    if (this.reason === "EADDRNOTAVAIL")
      return `Nobody can listen on ${this.host} here (${this.reason}): choose another HOST.`
    return `Nobody can listen on ${this.host}:${this.port} here (${this.reason}): choose another HOST or ${setting}.`
  }
}

/** The port itself when it can be had, or some free port for 0. */
export const claimPort = Effect.fn("Port.claimPort")(function* (port: number, host: string) {
  return yield* Effect.callback<number, PortRefused>((resume) => {
    // Node's own socket: Effect's socket servers accept connections, and this one only asks and closes.
    const server = createServer()
    server.once("error", (error) =>
      resume(new PortRefused({ port, host, reason: "code" in error ? String(error.code) : error.message }))
    )
    server.listen(port, host, () => {
      const address = server.address()
      server.close(() => resume(Effect.succeed(address === null || typeof address === "string" ? port : address.port)))
    })
    return Effect.sync(() => server.close())
  })
})
