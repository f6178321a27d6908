/**
 * Bad requests, each with its answer, and what the answer to every one of them must be: a problem that names the field at
 * fault, and nothing of the service's inside.
 */
import { hostname } from "node:os"

import { assert } from "@effect/vitest"
import { Effect, Schema } from "effect"

import { type RawRequest, send } from "./RawHttp.ts"

/** What is wrong, what is sent, and what comes back. */
export interface BadRequest {
  readonly what: string
  readonly request: RawRequest
  readonly status: number
  readonly error: string
  /** `body priceCents`: the place and the field that the answer must name. */
  readonly at?: string
}

export const bad =
  (status: number, error: string) =>
  (what: string, request: RawRequest, at?: string): BadRequest => ({
    what,
    request,
    status,
    error,
    ...(at === undefined ? {} : { at })
  })
export const invalid = bad(400, "validation_failed")
export const noJson = bad(415, "unsupported_media_type")
export const tooLarge = bad(413, "body_too_large")
export const unreadable = bad(400, "malformed_request")
export const nowhere = bad(404, "unknown_route")
export const wrongMethod = bad(405, "method_not_allowed")

export const json = "content-type: application/json"

export const get = (path: string, ...headers: ReadonlyArray<string>): RawRequest => ({ line: `GET ${path}`, headers })

/** A text goes as it is, everything else as JSON. */
export const withBody = (line: string, body: unknown, ...headers: ReadonlyArray<string>): RawRequest => ({
  line,
  headers,
  body: typeof body === "string" ? body : JSON.stringify(body)
})
export const post = (path: string, body: unknown, ...headers: ReadonlyArray<string>) =>
  withBody(`POST ${path}`, body, ...headers)

/** Bodies that are nothing like the object that is expected. */
export const notAnObject = (what: string, request: (body: unknown) => RawRequest) => [
  invalid(`${what} from JSON that breaks off`, request('{"a": "b", '), "body body"),
  invalid(`${what} from JavaScript`, request("{a: 'b'}"), "body body"),
  invalid(`${what} from UTF-16`, request(Buffer.from('{"a":1}', "utf16le").toString()), "body body"),
  invalid(`${what} from nothing`, request(""), "body body"),
  invalid(`${what} from null`, request("null"), "body body"),
  invalid(`${what} from a text`, request('"a"'), "body body"),
  invalid(`${what} from a number`, request("7"), "body body"),
  invalid(`${what} from a list`, request("[{}]"), "body body"),
  invalid(`${what} from 10,000 lists in each other`, request(nested("[", "]", 10_000)), "body body"),
  invalid(`${what} from 100,000 lists that never end`, request("[".repeat(100_000)), "body body"),
  invalid(
    `${what} from 40,000 objects in each other`,
    request(`${'{"a":'.repeat(40_000)}1${"}".repeat(40_000)}`),
    "body a"
  )
]

export const nested = (open: string, close: string, depth: number) => open.repeat(depth) + close.repeat(depth)

/** Bodies of a wrong type or size; `headers` are what the request needs besides. */
export const unwelcomeBodies = (path: string, body: unknown, ...headers: ReadonlyArray<string>) => {
  const typed = (type: string, content: unknown) => post(path, content, `content-type: ${type}`, ...headers)
  return [
    noJson("text", typed("text/plain", body), "header content-type"),
    noJson("XML", typed("application/xml", "<lamp/>"), "header content-type"),
    noJson("a form", typed("application/x-www-form-urlencoded", "a=1"), "header content-type"),
    noJson("files", typed("multipart/form-data; boundary=b", "--b--"), "header content-type"),
    noJson("a type that is none", typed("json", body), "header content-type"),
    noJson("a body of no type", post(path, body, ...headers), "header content-type"),
    tooLarge("a body a byte too long", post(path, "a".repeat(256 * 1024 + 1), json, ...headers), "body body"),
    tooLarge("a body of 20 MB", post(path, "a".repeat(20_000_000), json, ...headers), "body body"),
    tooLarge(
      "a body in chunks that does not say how long it is",
      post(path, `50000\r\n${"a".repeat(0x5_0000)}\r\n0\r\n\r\n`, json, "transfer-encoding: chunked", ...headers),
      "body body"
    ),
    unreadable("a length below 0", post(path, "{}", json, "content-length: -1", ...headers)),
    unreadable("chunks that are none", post(path, "zz\r\n", json, "transfer-encoding: chunked", ...headers))
  ]
}

/** Values of an `Idempotency-Key` that are none; `request` puts the header on a request that is right otherwise. */
export const noKeys = (request: (...headers: ReadonlyArray<string>) => RawRequest) =>
  [
    invalid("an empty key", request("idempotency-key: ")),
    invalid("a key of 256 characters", request(`idempotency-key: ${"k".repeat(256)}`)),
    invalid("a key with a blank", request("idempotency-key: a b")),
    invalid("a key with a tab", request("idempotency-key: a\tb")),
    invalid("a key with an umlaut", request("idempotency-key: schlüssel")),
    invalid("two keys", request("idempotency-key: a", "idempotency-key: b"))
  ].map((key): BadRequest => ({ ...key, at: "header idempotency-key" }))

/** Wrong limits and cursors of the list at this address, which may have a query already. */
export const noPages = (path: string) => {
  const asked = (query: string) => get(`${path}${path.includes("?") ? "&" : "?"}${query}`)
  return [
    invalid("a limit of 0", asked("limit=0"), "query limit"),
    invalid("a limit of 101", asked("limit=101"), "query limit"),
    invalid("a limit of 1e1", asked("limit=1e1"), "query limit"),
    invalid("an empty limit", asked("limit="), "query limit"),
    invalid("two limits", asked("limit=1&limit=2"), "query limit"),
    invalid("a limit that cannot be decoded", asked("limit=%zz"), "query limit"),
    invalid("a cursor that is none", asked("cursor=%ff"), "query cursor"),
    invalid("a cursor to something else", asked("cursor=YWJj"), "query cursor"),
    invalid("an empty cursor", asked("cursor="), "query cursor")
  ]
}

export const decodeProblem = Schema.decodeUnknownSync(
  Schema.fromJsonString(Schema.Record(Schema.String, Schema.Unknown))
)

/** What no answer may tell. */
export const internals =
  /select|insert|update|node_modules|pg_|postgres|schema\.|\.[jt]s\b|file:|127\.0\.0\.1|localhost|\n/iu

/** What a problem of any service may say. */
const members = ["type", "title", "status", "error", "errors", "maximumBytes", "allowed", "trace_id"]

/** Sends the request and looks at its answer, which may have these members besides. */
export const assertRefused = Effect.fn("BadRequests.assertRefused")(function* (
  { at, error, request, status }: BadRequest,
  further: ReadonlyArray<string> = []
) {
  const answer = yield* send(request)
  assert.strictEqual(answer.status, status, answer.body)
  assert.strictEqual(answer.headers["content-type"], "application/problem+json")

  const problem = decodeProblem(answer.body)
  assert.containSubset(problem, { type: `urn:problem:${error}`, status, error })
  assert.match(String(problem["title"]), /^[A-Z].+\.$/u)
  if (at !== undefined) {
    const [place, field] = at.split(" ")
    assert.containSubset(problem, { errors: [{ in: place, field }] })
  }

  const known = new Set([...members, ...further])
  assert.isEmpty(Object.keys(problem).filter((member) => !known.has(member)))
  assert.notMatch(answer.body, internals)
  assert.notInclude(answer.body, hostname())
  return answer
})
