/**
 * One HTTP connection that is kept, with one request on it at a time.
 *
 * By hand over a socket, and no client library: what the load itself costs is taken away from what is measured.
 */
import { connect } from "node:net"

export interface Answer {
  readonly status: number
  readonly body: string
}

export interface Connection {
  /** The other side may have closed one that was kept. */
  readonly isOpen: () => boolean
  readonly send: (request: string) => Promise<Answer>
  readonly close: () => void
}

const headEnd = "\r\n\r\n"
const lengthField = /\r\ncontent-length: *(\d+)/i

export const open = (port: number): Promise<Connection> =>
  new Promise((resolve, reject) => {
    let received = Buffer.alloc(0)
    let waiting: { readonly resolve: (answer: Answer) => void; readonly reject: (error: Error) => void } | undefined

    const fail = (error: Error) => {
      reject(error)
      waiting?.reject(error)
      waiting = undefined
    }

    const read = () => {
      const end = received.indexOf(headEnd)
      if (end === -1) return
      const head = received.toString("latin1", 0, end)
      const length = lengthField.exec(head)?.[1]
      if (length === undefined) return fail(new Error(`An answer without a length: ${head}`))
      const whole = end + headEnd.length + Number(length)
      if (received.length < whole) return
      const answer = { status: Number(head.slice(9, 12)), body: received.toString("utf8", end + headEnd.length, whole) }
      received = received.subarray(whole)
      const asked = waiting
      waiting = undefined
      asked?.resolve(answer)
    }

    const socket = connect({ port, host: "127.0.0.1", noDelay: true }, () =>
      resolve({
        isOpen: () => !socket.destroyed && socket.writable,
        send: (request) =>
          new Promise((answered, refused) => {
            if (socket.destroyed) {
              refused(new Error("The connection was closed"))
            } else {
              waiting = { resolve: answered, reject: refused }
              socket.write(request)
            }
          }),
        close: () => socket.destroy()
      })
    )
    socket.on("data", (bytes) => {
      received = received.length === 0 ? bytes : Buffer.concat([received, bytes])
      read()
    })
    socket.on("error", fail)
    socket.on("close", () => fail(new Error("The connection was closed")))
  })
