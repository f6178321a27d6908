/**
 * A TCP proxy between two processes, or between one and the database: it gets in their way when it is told to.
 *
 * It knows nothing of what passes, but for words: those by which a request is held back, and those that are counted in replies.
 */
import { connect, createServer, type Server, type Socket } from "node:net"

import { Effect, type Scope } from "effect"

export interface Link {
  /** Who asks whom: `orchestrator-1 → payment`. */
  readonly name: string
  readonly port: number
  /** Ends every connection, in the middle of whatever passes. Answers how many there were. */
  readonly cut: Effect.Effect<number>
  /** For as long as the scope is open, everything comes later by so much, in both directions. */
  readonly delayed: (millis: number) => Effect.Effect<void, never, Scope.Scope>
  /** For as long as the scope is open, requests pass and replies do not; then the connections that lost one are cut. */
  readonly losingReplies: Effect.Effect<void, never, Scope.Scope>
  /**
   * For as long as the scope is open, requests with this word are kept here; then they go where they were sent to, also where
   * whoever sent them has hung up by then.
   */
  readonly holding: (word: string) => Effect.Effect<void, never, Scope.Scope>
  /** In how many pieces of replies the words stood so far. */
  readonly heard: Effect.Effect<number>
}

export interface Options {
  readonly name: string
  /** On this machine. */
  readonly target: number
  readonly listenFor: ReadonlyArray<string>
}

interface Held {
  readonly near: Socket
  readonly request: Array<Buffer>
}

const host = "127.0.0.1"

/** As long as what was held may take to be answered before its connection is closed. */
const answerWithin = 3000

export const make = Effect.fn("Link.make")(function* ({ listenFor, name, target }: Options) {
  const open = new Set<Socket>()
  const lossy = new Set<Socket>()
  const held: Array<Held> = []
  let delay = 0
  let losesReplies = false
  let heldWord: string | undefined
  let heard = 0

  const keep = (socket: Socket) => {
    open.add(socket)
    socket.setNoDelay(true)
    socket.on("error", () => socket.destroy())
    socket.on("close", () => {
      open.delete(socket)
      lossy.delete(socket)
    })
  }

  const listenTo = (bytes: Buffer) => {
    if (listenFor.some((word) => bytes.includes(word))) heard += 1
  }

  const onConnection = (near: Socket) => {
    const far = connect(target, host)
    keep(near)
    keep(far)
    const passOn = pipe(near, far, () => delay)
    const passBack = pipe(far, near, () => delay)
    let request: Array<Buffer> | undefined
    near.on("data", (bytes) => {
      if (request === undefined && heldWord !== undefined && bytes.includes(heldWord)) {
        request = []
        held.push({ near, request })
      }
      if (request === undefined) passOn(bytes)
      else request.push(bytes)
    })
    far.on("data", (bytes) => {
      listenTo(bytes)
      if (losesReplies) lossy.add(near)
      if (!lossy.has(near)) passBack(bytes)
    })
    near.on("close", () => far.destroySoon())
    far.on("close", () => near.destroySoon())
  }

  /** On a connection of its own: the one that it came on may be gone. */
  const deliver = ({ near, request }: Held) => {
    const late = connect(target, host)
    keep(late)
    late.write(Buffer.concat(request))
    late.on("data", (bytes) => {
      listenTo(bytes)
      if (!near.destroyed) near.write(bytes)
    })
    late.setTimeout(answerWithin, () => late.destroy())
    late.on("close", () => near.destroySoon())
  }

  const server = yield* Effect.acquireRelease(listen(onConnection), (listening) =>
    Effect.sync(() => {
      for (const socket of open) socket.destroy()
      listening.close()
    })
  )
  const address = server.address()

  const forNow = (begin: () => void, end: () => void) =>
    Effect.asVoid(Effect.acquireRelease(Effect.sync(begin), () => Effect.sync(end)))

  const link: Link = {
    name,
    port: address === null || typeof address === "string" ? 0 : address.port,
    cut: Effect.sync(() => {
      const count = open.size
      for (const socket of open) socket.destroy()
      return Math.ceil(count / 2)
    }),
    delayed: (millis) =>
      forNow(
        () => (delay = millis),
        () => (delay = 0)
      ),
    losingReplies: forNow(
      () => (losesReplies = true),
      () => {
        losesReplies = false
        for (const socket of lossy) socket.destroy()
      }
    ),
    holding: (word) =>
      forNow(
        () => (heldWord = word),
        () => {
          heldWord = undefined
          for (const one of held.splice(0)) deliver(one)
        }
      ),
    heard: Effect.sync(() => heard)
  }
  return link
})

/** Passes bytes on in their order, each after the delay that held when it came. */
const pipe = (from: Socket, to: Socket, delayNow: () => number) => {
  const waiting: Array<{ readonly at: number; readonly bytes: Buffer }> = []
  const flush = () => {
    for (let next = waiting[0]; next !== undefined; next = waiting[0]) {
      if (to.destroyed) return
      const early = next.at - Date.now()
      if (early > 0) return void setTimeout(flush, early)
      waiting.shift()
      if (!to.write(next.bytes)) {
        from.pause()
        to.once("drain", () => from.resume())
      }
    }
  }
  return (bytes: Buffer) => {
    waiting.push({ at: Math.max(Date.now() + delayNow(), waiting.at(-1)?.at ?? 0), bytes })
    if (waiting.length === 1) flush()
  }
}

const listen = (onConnection: (socket: Socket) => void) =>
  Effect.callback<Server>((resume) => {
    const server = createServer(onConnection)
    server.listen(0, host, () => resume(Effect.succeed(server)))
  })
