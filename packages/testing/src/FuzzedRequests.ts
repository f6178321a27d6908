/**
 * Requests that are made from an operation of an OpenAPI document, right ones and hostile ones, and what has to be true of
 * the answer to any of them.
 */
import { hostname } from "node:os"

import { assert } from "@effect/vitest"
import * as fc from "fast-check"

import type * as ApiDocument from "./ApiDocument.ts"
import { decodeProblem, internals } from "./BadRequests.ts"
import * as Generated from "./Generated.ts"
import type { RawRequest } from "./RawHttp.ts"

export interface Asking extends Generated.Making {
  readonly token: string
}

/** What an address or a query may be made of besides what the schema says; as it stands on the wire. */
const otherPieces = fc.constantFrom(
  "%ff",
  "%ed%a0%80",
  "%zz",
  "%",
  "..",
  "%2e%2e%2fetc%2fpasswd",
  "__proto__",
  "constructor",
  "a".repeat(3000),
  "%F0%9F%98%80",
  "1e400",
  "-1",
  "9999999999999999999999",
  "'%20OR%201=1--",
  "null",
  "%0d%0aset-cookie:%20a=b",
  "%5B%5D",
  ""
)

/** NUL comes often: it is what PostgreSQL cannot store, in any text. */
const hostilePieces = fc.oneof(
  { weight: 1, arbitrary: fc.constantFrom("%00", "a%00b") },
  { weight: 3, arbitrary: otherPieces }
)

/** Values of headers that few expect; no line break, which would be another header. */
const hostileHeaders = fc.constantFrom(
  "",
  " ",
  "\t",
  "\u0001",
  "\u007f",
  "\u00ff\u00fe",
  "schl\u00fcssel",
  "a, b",
  "__proto__",
  "a".repeat(256),
  "a".repeat(20_000),
  "1e400",
  "-1",
  "99999999999999999999",
  "wait=-1",
  "wait=1e400",
  "wait=1, wait=0",
  "respond-async;;;=",
  "00-00000000000000000000000000000000-0000000000000000-01",
  "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
  "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-zz",
  "Bearer",
  "Basic YTpi",
  "text/plain",
  "application/json; charset=utf-16",
  'application/json; charset="',
  "multipart/form-data; boundary=b"
)

/** Headers that every operation may be sent, whatever its document says. */
const anybodysHeaders = [
  "idempotency-key",
  "prefer",
  "last-event-id",
  "traceparent",
  "tracestate",
  "content-type",
  "authorization",
  "accept",
  "x-forwarded-for"
]

/** A parameter that lets its service wait is kept short: the time of a test is spent on asking. */
const isWait = ({ name }: ApiDocument.Parameter) => name === "wait"

const pieceOf = (parameter: ApiDocument.Parameter, { hostility, known }: Asking) => {
  const right = isWait(parameter) ? fc.constantFrom("0", "1", "20") : Generated.stringOf(parameter.schema, known)
  const encoded = parameter.in === "header" ? right : right.map(encodeURIComponent)
  const hostile = parameter.in === "header" ? hostileHeaders : hostilePieces
  // A request has fewer of these than its body has members.
  const often = Math.min(3 * hostility, 100)
  return fc.oneof({ weight: 100 - often, arbitrary: encoded }, { weight: often, arbitrary: hostile })
}

/** What the document leaves open, such as what a cursor looks like, is left out where everything is to be right. */
const isSaid = ({ required, schema }: ApiDocument.Parameter) =>
  required || schema.pattern !== undefined || schema.enum !== undefined

/** Requests to this operation. */
export const requestsOf = (operation: ApiDocument.Operation, asking: Asking): fc.Arbitrary<RawRequest> => {
  const isRight = asking.hostility === 0
  const piecesIn = (place: ApiDocument.Parameter["in"]) =>
    fc
      .tuple(
        ...operation.parameters
          .filter((parameter) => parameter.in === place && (!isRight || isSaid(parameter)))
          .map((parameter) => {
            const named = pieceOf(parameter, asking).map((piece) => [[parameter.name, piece] as const])
            const isThere = parameter.required && (isRight || place === "path")
            return isThere ? named : fc.oneof({ weight: 4, arbitrary: named }, fc.constant([]))
          })
      )
      .map((pieces) => pieces.flat())
  const strange = fc.array(fc.tuple(fc.constantFrom(...anybodysHeaders), hostileHeaders), {
    maxLength: isRight ? 0 : 2
  })
  const body = operation.body === undefined ? fc.constant(undefined) : Generated.textOf(operation.body, asking)
  return fc
    .record({ path: piecesIn("path"), query: piecesIn("query"), headers: piecesIn("header"), strange, body })
    .map(({ body, headers, path, query, strange }) => {
      const pieces = new Map<string, string>(path)
      const address = operation.path.replaceAll(/\{(\w+)\}/gu, (_, name: string) => pieces.get(name) ?? "")
      const asked = query.map(([name, piece]) => `${name}=${piece}`).join("&")
      const own = [
        ...(operation.takesToken ? [["authorization", `Bearer ${asking.token}`] as const] : []),
        ...(body === undefined ? [] : [["content-type", "application/json"] as const]),
        ...headers
      ]
      // A strange header stands in the place of the right one.
      const kept = own.filter(([name]) => !strange.some(([other]) => other === name))
      return {
        line: `${operation.method} ${address}${asked === "" ? "" : `?${asked}`}`,
        headers: [...kept, ...strange].map(([name, value]) => `${name}: ${value}`),
        ...(body === undefined ? {} : { body })
      }
    })
}

export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** What any address may answer, because it comes before what the document tells of. */
const general: ReadonlyArray<number> = [400, 404, 405, 408, 413, 415, 431]

/** A status that may be, and where something is wrong, a problem that tells nothing of the service's inside. */
export const assertAllowed = (operation: ApiDocument.Operation, { body, headers, status }: Answer) => {
  assert.notStrictEqual(status, 500, body)
  assert.include([...operation.statuses, ...general], status, body)
  if (status < 400) return
  assert.strictEqual(headers["content-type"], "application/problem+json", body)
  const problem = decodeProblem(body)
  assert.strictEqual(problem["status"], status)
  assert.strictEqual(problem["type"], `urn:problem:${String(problem["error"])}`)
  assert.match(String(problem["title"]), /^[A-Z].+\.$/u)
  assert.notMatch(body, internals)
  assert.notInclude(body, hostname())
}
