import { once } from "node:events"
import { createServer, type RequestListener } from "node:http"
import type { AddressInfo } from "node:net"
import { setTimeout } from "node:timers/promises"

import { assert, describe, it } from "vitest"

import * as Arrivals from "../src/load/Arrivals.ts"
import type { Arrived } from "../src/load/Plan.ts"

const isAddress = (address: AddressInfo | string | null): address is AddressInfo => typeof address === "object"

/** A stream of orders for whoever answers like this, and what has become of it when the last one is answered. */
const stream = async (
  answer: RequestListener,
  load: { readonly perSecond: number; readonly seconds: number },
  meanwhile: (take: () => Arrived) => Promise<void> = async () => {}
) => {
  const server = createServer(answer)
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  const address = server.address()
  const port = isAddress(address) ? address.port : 0
  const arrivals = Arrivals.start({ port, products: ["a product"], key: "key", ...load })
  await meanwhile(arrivals.take)
  const all: Array<Arrived> = []
  // oxlint-disable-next-line no-await-in-loop -- it is asked until it is over
  while (all.push(arrivals.take()) && all.at(-1)?.isOver !== true) await setTimeout(10)
  server.closeAllConnections()
  server.close()
  return {
    accepted: all.flatMap(({ accepted }) => accepted),
    millis: all.flatMap(({ millis }) => millis),
    refused: all.map(({ refused }) => refused).filter((refused) => Object.keys(refused).length > 0)
  }
}

const accept: RequestListener = (request, response) => {
  const body = JSON.stringify({ order_ledger_id: `order of ${String(request.headers["idempotency-key"])}` })
  response.writeHead(202, { "content-length": Buffer.byteLength(body) }).end(body)
}

describe("orders at their own pace", () => {
  it("The first is due at once, the others evenly, and none after the end.", () => {
    const load = { perSecond: 50, seconds: 2 }
    assert.deepStrictEqual(
      [0, 19, 20, 39, 40, 1000, 1979, 1980, 5000].map((millis) => Arrivals.dueBy(millis, load)),
      [1, 1, 2, 2, 3, 51, 99, 100, 100]
    )
    assert.deepStrictEqual(
      [0, 1, 50].map((number) => Arrivals.dueAt(number, 50)),
      [0, 20, 1000]
    )
  })

  it("Each is sent once, and told with the id that it was given.", async () => {
    const { accepted, refused } = await stream(accept, { perSecond: 500, seconds: 0.1 })
    assert.sameMembers(
      accepted,
      Array.from({ length: 50 }, (_, number) => `order of key-${number}`)
    )
    assert.deepStrictEqual(refused, [])
  })

  it("They come though nobody is answered, and their waits count from when they were due.", async () => {
    const held: Array<() => void> = []
    const { accepted, millis } = await stream(
      (request, response) => held.push(() => accept(request, response)),
      { perSecond: 200, seconds: 0.1 },
      async (take) => {
        // oxlint-disable-next-line no-await-in-loop -- it is waited for all of them
        while (held.length < 20) await setTimeout(10)
        const arrived = take()
        assert.deepStrictEqual([arrived.sent, arrived.waiting, arrived.isOver], [20, 20, false])
        await setTimeout(200)
        for (const release of held) release()
      }
    )
    assert.lengthOf(accepted, 20)
    for (const waited of millis) assert.isAtLeast(waited, 190)
  })

  it("A connection that was closed while it was kept costs no order.", async () => {
    const { accepted, refused } = await stream(
      (request, response) => {
        accept(request, response)
        response.once("finish", () => request.socket.destroySoon())
      },
      { perSecond: 200, seconds: 0.2 }
    )
    assert.lengthOf(accepted, 40)
    assert.deepStrictEqual(refused, [])
  })

  it("What is said instead is counted by status and code.", async () => {
    const { accepted, refused } = await stream(
      (_request, response) => {
        const body = JSON.stringify({ error: "overloaded" })
        response.writeHead(503, { "content-length": body.length }).end(body)
      },
      { perSecond: 100, seconds: 0.01 }
    )
    assert.deepStrictEqual([accepted, refused], [[], [{ "503 overloaded": 1 }]])
    assert.strictEqual(Arrivals.refusalOf({ status: 502, body: "?" }), "502 without a code")
  })
})
