/**
 * Places orders in a closed loop, and notes how long each has waited.
 */
import { randomUUID } from "node:crypto"
import { setTimeout } from "node:timers/promises"

import * as Connection from "./Connection.ts"
import type { Plan, Tally } from "./Plan.ts"

export const requestOf = (
  { key, products, waits }: Pick<Plan, "key" | "products" | "waits">,
  number: number
): string => {
  const body = JSON.stringify({
    user_id: randomUUID(),
    email: `customer${number}@example.com`,
    items: [{ product_id: products[number % products.length], quantity: 1 }],
    payment: { method: "card", token: "tok_visa_success" }
  })
  const preference = waits ? "prefer: wait=30\r\n" : ""
  return `POST /orders HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\nidempotency-key: ${key}-${number}\r\n${preference}content-length: ${body.length}\r\n\r\n${body}`
}

/** One that was waited for is answered with the order itself. */
const isWanted = ({ waits }: Plan, { body, status }: Connection.Answer) =>
  waits ? status === 200 && body.includes('"status":"COMPLETED"') : status === 202

export const place = async (plan: Plan): Promise<Tally> => {
  const millis: Array<number> = []
  const refusals: Array<string> = []
  let next = 0

  const keepSending = async (connection: Connection.Connection) => {
    while (next < plan.orders) {
      const request = requestOf(plan, next++)
      const sentAt = performance.now()
      // oxlint-disable-next-line no-await-in-loop -- a connection carries one order at a time
      const answer = await connection.send(request)
      const waited = performance.now() - sentAt
      if (isWanted(plan, answer)) millis.push(waited)
      else refusals.push(`${answer.status} ${answer.body}`)
      // oxlint-disable-next-line no-await-in-loop -- the pause lies between one order and the next
      if (plan.pauseMillis > 0) await setTimeout(plan.pauseMillis)
    }
  }

  const connections = await Promise.all(Array.from({ length: plan.connections }, () => Connection.open(plan.port)))
  const startedAt = performance.timeOrigin + performance.now()
  await Promise.all(connections.map(keepSending))
  const endedAt = performance.timeOrigin + performance.now()
  for (const connection of connections) connection.close()
  return { startedAt, endedAt, millis, refusals }
}
