/**
 * Ports, tried out before anybody listens on them for good: a server's own complaint would come later and say less.
 */
import { createServer } from "node:net"

import { Effect, Random, Schema } from "effect"

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

/** Beneath those that Linux and macOS give to whoever connects: such a one may be taken while its owner is being started again. */
const given = { lowest: 20_000, highest: 32_000 }

/** The port itself when it can be had; for 0 some free one, which nobody else is given by chance. */
export const claimPort = Effect.fn("Port.claimPort")(function* (port: number, host: string) {
  if (port !== 0) return yield* tryOut(port, host)
  return yield* Random.nextIntBetween(given.lowest, given.highest).pipe(
    Effect.flatMap((some) => tryOut(some, host)),
    Effect.retry({ while: ({ isTaken }) => isTaken, times: 1000 })
  )
})

const tryOut = (port: number, host: string) =>
  Effect.callback<number, PortRefused>((resume) => {
    // Node's own socket: Effect's socket servers accept connections, and this one only asks and closes.
    const server = createServer()
    server.once("error", (error) =>
      resume(new PortRefused({ port, host, reason: "code" in error ? String(error.code) : error.message }))
    )
    server.listen(port, host, () => server.close(() => resume(Effect.succeed(port))))
    return Effect.sync(() => server.close())
  })
