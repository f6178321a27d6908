/**
 * The load's own process: it places orders when it is asked to, and takes what services export, to throw it away.
 *
 * Run by the bench with the port to listen on. It ends when its standard input does.
 */
import { createServer, type IncomingMessage } from "node:http"
import { text } from "node:stream/consumers"

import { Schema } from "effect"

import * as Arrivals from "./Arrivals.ts"
import * as Orders from "./Orders.ts"
import { Arrived, Plan, Stream, Tally } from "./Plan.ts"

const readPlan = Schema.decodeUnknownSync(Schema.fromJsonString(Plan))
const writeTally = Schema.encodeSync(Schema.fromJsonString(Tally))
const readStream = Schema.decodeUnknownSync(Schema.fromJsonString(Stream))
const writeArrived = Schema.encodeSync(Schema.fromJsonString(Arrived))

let exported = 0
let arrivals = Arrivals.none

const take = async (request: IncomingMessage) => {
  for await (const bytes of request) exported += Buffer.byteLength(bytes)
}

const answer = async (request: IncomingMessage): Promise<string> => {
  if (request.url === "/orders") return writeTally(await Orders.place(readPlan(await text(request))))
  if (request.url === "/arrivals") {
    if (request.method === "POST") arrivals = Arrivals.start(readStream(await text(request)))
    return writeArrived(arrivals.take())
  }
  if (request.method === "POST") await take(request)
  return JSON.stringify({ exported })
}

const server = createServer((request, response) => {
  answer(request).then(
    (body) => response.writeHead(200, { "content-type": "application/json" }).end(body),
    (error: unknown) => response.writeHead(500).end(String(error))
  )
})
server.listen(Number(process.argv[2]), "127.0.0.1")
process.stdin.on("end", () => process.exit(0)).resume()
