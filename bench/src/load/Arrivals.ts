/**
 * Orders in an open loop: each is sent when it is due, however many wait for their answers still.
 *
 * A closed loop sends less as soon as it is answered late, and so never asks for more than there is. Customers do.
 */
import * as Connection from "./Connection.ts"
import { requestOf } from "./Orders.ts"
import type { Arrived, Stream } from "./Plan.ts"

/** How many are due after so long, the first one at once. */
export const dueBy = (elapsedMillis: number, { perSecond, seconds }: Pick<Stream, "perSecond" | "seconds">): number =>
  Math.min(Math.floor((elapsedMillis * perSecond) / 1000) + 1, Math.ceil(perSecond * seconds))

/** When the order of this number is due, after the first one. */
export const dueAt = (number: number, perSecond: number): number => (number * 1000) / perSecond

export interface Arrivals {
  /** Everything since it was last asked. */
  readonly take: () => Arrived
}

const nothing = (): { accepted: Array<string>; millis: Array<number>; refused: Record<string, number> } => ({
  accepted: [],
  millis: [],
  refused: {}
})

export const none: Arrivals = { take: () => ({ isOver: true, waiting: 0, sent: 0, ...nothing() }) }

const orderId = /"order_ledger_id":"([^"]+)"/
const errorCode = /"error":"([^"]+)"/

/** What is said of an answer that is no order: its status and its code, which are few. */
export const refusalOf = ({ body, status }: Connection.Answer): string =>
  `${status} ${errorCode.exec(body)?.[1] ?? "without a code"}`

export const start = (stream: Stream): Arrivals => {
  const idle: Array<Connection.Connection> = []
  let found = nothing()
  let [next, taken, answered] = [0, 0, 0]
  const total = dueBy(Infinity, stream)
  const startedAt = performance.now()

  const kept = (): Connection.Connection | undefined => {
    const connection = idle.pop()
    return connection === undefined || connection.isOpen() ? connection : kept()
  }

  const sendOn = async (connection: Connection.Connection, request: string) => {
    const answer = await connection.send(request)
    idle.push(connection)
    return answer
  }
  const sendAnew = async (request: string) => sendOn(await Connection.open(stream.port), request)

  /** One that was kept may be closed by the other side at this very moment: then again, under the same key. */
  const send = (request: string) => {
    const connection = kept()
    return connection === undefined ? sendAnew(request) : sendOn(connection, request).catch(() => sendAnew(request))
  }

  const note = (answer: Connection.Answer, number: number) => {
    const id = answer.status === 202 ? orderId.exec(answer.body)?.[1] : undefined
    if (id === undefined) return count(refusalOf(answer))
    found.accepted.push(id)
    found.millis.push(performance.now() - startedAt - dueAt(number, stream.perSecond))
  }
  const count = (refusal: string) => {
    found.refused[refusal] = (found.refused[refusal] ?? 0) + 1
  }

  const order = (number: number) =>
    send(requestOf({ ...stream, waits: false }, number))
      .then((answer) => note(answer, number))
      .catch((error: unknown) => count(`no answer: ${String(error)}`))
      .finally(() => {
        answered += 1
        if (answered === total) for (const connection of idle) connection.close()
      })

  const timer = setInterval(() => {
    const due = dueBy(performance.now() - startedAt, stream)
    while (next < due) void order(next++)
    if (next === total) clearInterval(timer)
  }, 1)

  return {
    take: () => {
      const arrived = { isOver: answered === total, waiting: next - answered, sent: next - taken, ...found }
      taken = next
      found = nothing()
      return arrived
    }
  }
}
