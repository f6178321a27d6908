/**
 * A port for the server, tried out before PostgreSQL is: its own log would name the trouble less clearly, and later.
 */
import { createServer } from "node:net"

import { StartupError } from "@ecommerce/chassis/StartupError"
import { Effect } from "effect"

/** The port itself when it is free, or some free port for 0. */
export const claimPort = Effect.fn("Port.claimPort")(function* (port: number, host: string) {
  return yield* Effect.callback<number, StartupError>((resume) => {
    // Node's own socket: Effect's socket servers accept connections, and this one only asks and closes.
    const server = createServer()
    server.once("error", (error) =>
      resume(
        Effect.fail(
          new StartupError({
            message: `PostgreSQL cannot have port ${port} on ${host}, ${
              "code" in error && error.code === "EADDRINUSE" ? "something else is listening there" : error.message
            }: choose another port.`
          })
        )
      )
    )
    server.listen(port, host, () => {
      const address = server.address()
      server.close(() => resume(Effect.succeed(address === null || typeof address === "string" ? port : address.port)))
    })
    return Effect.sync(() => server.close())
  })
})
