/**
 * Points at which a service dies: before and after everything that it commits, asks and answers.
 *
 * Nothing in a service knows of them. Whatever it says to PostgreSQL and to other services passes relays that read along; at
 * the moment at which it dies nothing is handed on any more, in either direction, which is all that others can see of a
 * death. So the list of points is what was seen to pass: a new kind of transaction, command or event is on it by itself.
 */
import { connect, createServer, type Server, type Socket } from "node:net"

import { Effect } from "effect"

import { type Moment, nameOf, type Piece, type Tap } from "./CrashPoints/Tap.ts"

/** One life of a service. */
export interface Life {
  readonly service: string
  readonly isDead: () => boolean
  readonly end: () => void
}

/** Where somebody is; one without a life does not die. */
export interface Place {
  readonly life: Life | undefined
  readonly port: number
}

export interface Ends {
  readonly from: Life | undefined
  /** Looked up for each connection; `undefined` while nobody is there. */
  readonly to: () => Place | undefined
  readonly tap: () => Tap
}

interface Connection {
  readonly from: Life | undefined
  readonly to: Life | undefined
  readonly ours: Socket
  readonly theirs: Socket
}

export const make = () => {
  let seen = new Map<string, Moment>()
  const armed = new Map<string, { readonly point: string; readonly struck: () => void }>()
  const open = new Set<Connection>()

  const live = (service: string): Life => {
    let isDead = false
    const life: Life = {
      service,
      isDead: () => isDead,
      end: () => {
        isDead = true
        for (const { from, ours, theirs, to } of open) {
          if (from !== life && to !== life) continue
          const [itsOwn, other] = from === life ? [ours, theirs] : [theirs, ours]
          itsOwn.destroy()
          // What was handed on before still arrives there.
          other.end()
        }
      }
    }
    return life
  }

  /** Somebody comes to one of the points; it may be the last thing that it does. */
  const reach = (moment: Moment, { from, to }: Connection) => {
    const point = nameOf(moment)
    seen.set(point, moment)
    const fuse = armed.get(moment.service)
    if (fuse?.point !== point) return
    armed.delete(moment.service)
    for (const life of [from, to]) if (life?.service === moment.service) life.end()
    fuse.struck()
  }

  const handOn = (pieces: ReadonlyArray<Piece>, to: Socket, connection: Connection) => {
    const isOver = () => connection.from?.isDead() === true || connection.to?.isDead() === true
    // Small pieces would wait for one another.
    to.cork()
    for (const { bytes, moments } of pieces) {
      for (const moment of moments) if (!isOver()) reach(moment, connection)
      if (isOver()) break
      to.write(bytes)
    }
    to.uncork()
  }

  /** Answers the port at which one end finds the other, for as long as the scope is open. */
  const line = Effect.fn("CrashPoints.line")(function* ({ from, tap: makeTap, to }: Ends) {
    const server = yield* Effect.acquireRelease(
      listen((ours) => {
        ours.on("error", () => ours.destroy())
        const place = to()
        if (place === undefined || from?.isDead() === true || place.life?.isDead() === true) {
          return void ours.resetAndDestroy()
        }
        const theirs = connect({ port: place.port, host: "127.0.0.1", noDelay: true })
        theirs.on("error", () => theirs.destroy())
        const connection: Connection = { from, to: place.life, ours, theirs }
        open.add(connection)
        const tap = makeTap()
        ours.on("data", (chunk) => handOn(tap.sent(chunk), theirs, connection))
        theirs.on("data", (chunk) => handOn(tap.answered(chunk), ours, connection))
        ours.on("close", () => {
          open.delete(connection)
          theirs.destroy()
        })
        theirs.on("close", () => ours.end())
      }),
      (listening) => Effect.sync(() => void listening.close())
    )
    const address = server.address()
    return address === null || typeof address === "string" ? 0 : address.port
  })

  return {
    live,
    line,
    /** All points to which somebody has come since this was asked, by their names. */
    takeSeen: (): ReadonlyMap<string, Moment> => {
      const taken = seen
      seen = new Map()
      return taken
    },
    /** The service ends when it comes there, once. */
    arm: (point: Moment, struck: () => void) => void armed.set(point.service, { point: nameOf(point), struck }),
    disarm: (service: string) => void armed.delete(service)
  }
}

const listen = (onConnection: (socket: Socket) => void) =>
  Effect.callback<Server>((resume) => {
    const server = createServer({ allowHalfOpen: false, noDelay: true }, onConnection)
    server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
  })
