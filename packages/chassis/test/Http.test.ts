import { connect } from "node:net"

import { TestDatabase } from "@ecommerce/testing/TestDatabase"
import * as TestService from "@ecommerce/testing/TestService"
import { assert, layer } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { HttpClient, HttpClientRequest, type HttpClientResponse, HttpServer } from "effect/http"

import { definition } from "./fixtures/Probe.ts"

const token = "the-token-in-use-0001"
const nextToken = "the-token-to-come-0002"
const settings = { SERVICE_TOKEN: `${token},${nextToken}`, LOG_LEVEL: "None" }

const json = (body: string) =>
  HttpClientRequest.post("/echo").pipe(HttpClientRequest.bodyText(body, "application/json"))

const answerTo = (request: HttpClientRequest.HttpClientRequest) =>
  Effect.flatMap(HttpClient.HttpClient, (client) => client.execute(request))

/** What comes back for these bytes, until the server closes the connection. */
const rawAnswerTo = Effect.fn("rawAnswerTo")(function* (bytes: string) {
  const port = yield* HttpServer.addressFormattedWith((url) => Effect.succeed(Number(new URL(url).port)))
  return yield* Effect.callback<string>((resume) => {
    const socket = connect(port, "127.0.0.1", () => socket.write(bytes))
    let answer = ""
    socket.setEncoding("utf8")
    socket.on("data", (text) => (answer += String(text)))
    socket.on("close", () => resume(Effect.succeed(answer)))
    socket.on("error", () => {})
    return Effect.sync(() => socket.destroy())
  })
})

const problemIn = (answer: HttpClientResponse.HttpClientResponse) =>
  Effect.gen(function* () {
    assert.strictEqual(answer.headers["content-type"], "application/problem+json")
    const problem: unknown = yield* answer.json
    return problem
  })

layer(TestService.layer(definition, settings).pipe(Layer.provideMerge(TestDatabase.layer)))("the HTTP server", (it) => {
  it.effect.each([
    { sent: '{"text": ', field: "body", message: "Expected a valid JSON body" },
    { sent: "", field: "body", message: "Expected object" },
    { sent: "[]", field: "body", message: "Expected object" },
    { sent: "null", field: "body", message: "Expected object" },
    { sent: '{"text": 1, "count": 1}', field: "text", message: "Expected string" },
    { sent: '{"count": 1}', field: "text", message: "Missing key" },
    { sent: '{"text": "a", "count": "1"}', field: "count", message: "Expected number" },
    { sent: '{"text": "a", "count": 1.5}', field: "count", message: "Expected an integer" },
    { sent: '{"text": "a", "count": 1, "colour": "red"}', field: "colour", message: "Expected no excess property" },
    { sent: '{"text": "a", "count": 1, "tags": ["ok", 7]}', field: "tags.1", message: "Expected string" },
    { sent: '{"text": "a\\u0000b", "count": 1}', field: "text", message: "without NUL" },
    { sent: '{"text": "\\ud800", "count": 1}', field: "text", message: "lone surrogates" },
    { sent: '{"text": "a", "count": 1, "__proto__": {"admin": true}}', field: "__proto__", message: "excess" }
  ])("answers $sent with 400 and the field's name", ({ field, message, sent }) =>
    Effect.gen(function* () {
      const answer = yield* answerTo(json(sent))
      assert.strictEqual(answer.status, 400)
      const problem = yield* problemIn(answer)
      assert.containSubset(problem, { error: "validation_failed", status: 400, errors: [{ in: "body", field }] })
      assert.include(JSON.stringify(problem), message)
    })
  )

  it.effect("tells all that is wrong at once", () =>
    Effect.gen(function* () {
      const problem = yield* problemIn(yield* answerTo(json('{"count": "1", "colour": 1}')))
      assert.containSubset(problem, { errors: [{ field: "colour" }, { field: "text" }, { field: "count" }] })
    })
  )

  it.effect("does not answer a request of nothing but mistakes with a list longer than itself", () =>
    Effect.gen(function* () {
      const members = Array.from({ length: 5000 }, (_, index) => `"x${index}":1`).join(",")
      const answer = yield* answerTo(json(`{${members}}`))
      assert.strictEqual(answer.status, 400)
      const problem = yield* problemIn(answer)
      assert.isBelow(JSON.stringify(problem).length, 6000)
      assert.containSubset(problem, { detail: "And 4952 more." })
    })
  )

  it.effect("refuses a number that the database's integer cannot hold with 422", () =>
    Effect.gen(function* () {
      const answer = yield* answerTo(json('{"text": "a", "count": 2147483648}'))
      assert.strictEqual(answer.status, 422)
      assert.containSubset(yield* problemIn(answer), { error: "number_out_of_range", errors: [{ field: "count" }] })
      for (const count of ["9007199254740993", "1e30", "1e400", "-2147483649"]) {
        assert.strictEqual((yield* answerTo(json(`{"text": "a", "count": ${count}}`))).status, 422)
      }
      assert.strictEqual((yield* answerTo(json('{"text": "a", "count": 2147483647}'))).status, 200)
    })
  )

  it.effect("names path and query parameters as such", () =>
    Effect.gen(function* () {
      const inPath = yield* problemIn(yield* answerTo(HttpClientRequest.get("/things/abc")))
      assert.containSubset(inPath, { error: "validation_failed", errors: [{ in: "path", field: "id" }] })
      const inQuery = yield* problemIn(yield* answerTo(HttpClientRequest.get("/slow")))
      assert.containSubset(inQuery, { error: "validation_failed", errors: [{ in: "query", field: "millis" }] })
    })
  )

  it.effect("answers an unknown address with 404, and a wrong method with 405 and the right ones", () =>
    Effect.gen(function* () {
      const unknown = yield* answerTo(HttpClientRequest.get("/nowhere"))
      assert.strictEqual(unknown.status, 404)
      assert.containSubset(yield* problemIn(unknown), { error: "unknown_route" })

      const wrong = yield* answerTo(HttpClientRequest.delete("/things/1"))
      assert.strictEqual(wrong.status, 405)
      assert.strictEqual(wrong.headers["allow"], "GET")
      assert.containSubset(yield* problemIn(wrong), { error: "method_not_allowed", allowed: ["GET"] })
    })
  )

  it.effect("knows an address that only looks like one of its own, and one that cannot be read", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* answerTo(HttpClientRequest.delete("/openapiXjson"))).status, 404)
      assert.strictEqual((yield* answerTo(HttpClientRequest.delete("/things/1/2"))).status, 404)
      const unreadable = yield* answerTo(HttpClientRequest.get("/things/%zz"))
      assert.strictEqual(unreadable.status, 400)
      assert.containSubset(yield* problemIn(unreadable), { error: "malformed_request" })
    })
  )

  it.effect("matches addresses as its router does, and gives an over-long parameter to the schema", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* answerTo(HttpClientRequest.delete("/THINGS/1"))).status, 405)
      const long = yield* answerTo(HttpClientRequest.get(`/things/${"a".repeat(1000)}`))
      assert.strictEqual(long.status, 400)
      assert.containSubset(yield* problemIn(long), { errors: [{ in: "path", field: "id" }] })
    })
  )

  it.effect.each([
    ["garbage", "GARBAGE\r\n\r\n", 400, "malformed_request"],
    ["headers that are too long", `GET /${"a".repeat(20_000)} HTTP/1.1\r\nHost: x\r\n\r\n`, 431, "malformed_request"],
    [
      "a body that it announces as too long, without waiting for it",
      "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n\r\n{",
      413,
      "body_too_large"
    ],
    [
      "a body that it asks about beforehand",
      "POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n\r\n",
      413,
      "body_too_large"
    ]
  ] as const)("refuses %s with a problem", ([, sent, status, code]) =>
    Effect.gen(function* () {
      const answer = yield* rawAnswerTo(sent)
      assert.match(answer, new RegExp(`^HTTP/1.1 ${status} `))
      assert.include(answer, "content-type: application/problem+json")
      assert.include(answer, `"error":"${code}"`)
    })
  )

  it.effect("takes a body of 256 KiB and refuses a longer one with 413 and a body that says so", () =>
    Effect.gen(function* () {
      const bodyOf = (bytes: number) => `{"count":1,"text":"${"a".repeat(bytes - 21)}"}`
      assert.strictEqual((yield* answerTo(json(bodyOf(256 * 1024)))).status, 200)
      const answer = yield* answerTo(json(bodyOf(256 * 1024 + 1)))
      assert.strictEqual(answer.status, 413)
      assert.containSubset(yield* problemIn(answer), { error: "body_too_large", maximumBytes: 262_144 })
    })
  )

  it.effect("refuses bytes that are no UTF-8, and does not put something else in their place", () =>
    Effect.gen(function* () {
      const bytes = new Uint8Array([...new TextEncoder().encode('{"count":1,"text":"'), 0xff, 0xfe, 0x22, 0x7d])
      const request = HttpClientRequest.post("/echo").pipe(HttpClientRequest.bodyUint8Array(bytes, "application/json"))
      const answer = yield* answerTo(request)
      assert.strictEqual(answer.status, 400)
      assert.containSubset(yield* problemIn(answer), { error: "malformed_request" })
    })
  )

  it.effect("refuses what is not JSON with 415", () =>
    Effect.gen(function* () {
      const answer = yield* answerTo(
        HttpClientRequest.post("/echo").pipe(HttpClientRequest.bodyText("a=1", "text/csv"))
      )
      assert.strictEqual(answer.status, 415)
      const expected = { error: "unsupported_media_type", errors: [{ in: "header", field: "content-type" }] }
      assert.containSubset(yield* problemIn(answer), expected)
    })
  )

  it.effect.each(["/boom", "/bad-answer"])("says nothing of its inside when it fails: %s", (path) =>
    Effect.gen(function* () {
      const answer = yield* answerTo(HttpClientRequest.get(path))
      assert.strictEqual(answer.status, 500)
      const traceId = answer.headers["trace-id"]
      assert.match(traceId ?? "", /^[0-9a-f]{32}$/u)
      assert.deepStrictEqual(yield* problemIn(answer), {
        trace_id: traceId,
        error: "internal_error",
        status: 500,
        title: "Something went wrong on our side.",
        type: "urn:problem:internal_error"
      })
    })
  )

  it.effect("lets in only who shows one of the service tokens", () =>
    Effect.gen(function* () {
      const secret = HttpClientRequest.get("/secret")
      const statusWith = (shown: string) =>
        Effect.map(answerTo(HttpClientRequest.bearerToken(secret, shown)), (answer) => answer.status)
      assert.strictEqual(yield* statusWith(token), 200)
      assert.strictEqual(yield* statusWith(nextToken), 200)
      assert.strictEqual(yield* statusWith(`${token}x`), 401)
      assert.strictEqual(yield* statusWith(`${token},${nextToken}`), 401)

      const answer = yield* answerTo(secret)
      assert.strictEqual(answer.status, 401)
      assert.strictEqual(answer.headers["www-authenticate"], "Bearer")
      assert.containSubset(yield* problemIn(answer), { error: "unauthorized" })
    })
  )

  it.effect(
    "describes itself: an OpenAPI document with its problems, and a page that needs nothing from elsewhere",
    () =>
      Effect.gen(function* () {
        const document: unknown = yield* (yield* answerTo(HttpClientRequest.get("/openapi.json"))).json
        assert.containSubset(document, {
          paths: { "/echo": { post: { responses: { 400: { content: { "application/problem+json": {} } } } } } },
          components: { securitySchemes: { bearer: { scheme: "Bearer" } } }
        })
        const page = yield* (yield* answerTo(HttpClientRequest.get("/docs"))).text
        assert.notMatch(page.slice(0, 2000) + page.slice(-20_000), /<(script|link)[^>]+(src|href)="?https?:/)
      })
  )

  it.effect("is ready when its database is, and says which check fails when it is not", () =>
    Effect.gen(function* () {
      const { administrator } = yield* TestDatabase
      const ready = yield* answerTo(HttpClientRequest.get("/health"))
      assert.strictEqual(ready.status, 200)
      assert.containSubset(yield* ready.json, { status: "ready", checks: { database: "ok", migrations: "ok" } })

      yield* administrator`DELETE FROM inventory.schema_migrations`
      const unready = yield* answerTo(HttpClientRequest.get("/health/ready"))
      assert.strictEqual(unready.status, 503)
      const problem = yield* problemIn(unready)
      assert.containSubset(problem, { error: "not_ready", checks: { database: "ok" } })
      assert.match(JSON.stringify(problem), /not applied yet: npm run migrate/)
      assert.strictEqual((yield* answerTo(HttpClientRequest.get("/health/live"))).status, 200)
    })
  )
})
