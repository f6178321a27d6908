import * as CommandServer from "@ecommerce/commands/CommandServer"
import { assert, layer } from "@effect/vitest"
import { Effect, Redacted, Schema } from "effect"
import { HttpClient } from "effect/http"

import { address, callGuest, callOf, clientOf, commandOf, gone, post, theatre } from "./fixtures/Theatre.ts"

const globe = theatre()

const decodeAnswer = Schema.decodeUnknownSync(Schema.Struct({ outcomes: Schema.Array(Schema.Unknown) }))

/** The item of a call of this guest, with these members changed. */
const item = (guest: string, changed: object = {}) => {
  const key = `call of ${guest}`
  return { key, payload: { call: key, guest, at: "2026-11-21T19:30:00.000Z" }, ...changed }
}

const success = (guest: string) => ({
  _tag: "Success",
  success: { call: `call of ${guest}`, said: `${guest}!`, at: "2026-11-21T19:30:00.000Z" }
})

/** The outcomes of a batch of these items. */
const outcomesOf = Effect.fnUntraced(function* (...commands: ReadonlyArray<unknown>) {
  const answer = yield* post(callGuest, JSON.stringify({ commands }))
  assert.strictEqual(answer.status, 200, JSON.stringify(answer.json))
  return decodeAnswer(answer.json).outcomes
})

const ofAda = { call: "call of Ada", guest: "Ada", at: "2026-11-21T19:30:00.000Z" }
const wrongLength = 'Expected a value with a length between 1 and 255\n  at ["key"]'
const notStorable = 'Expected text without NUL characters and lone surrogates\n  at ["key"]'

/** What is wrong, the item, the key under which it is answered, and what its caller is told. */
const badItems: ReadonlyArray<readonly [what: string, item: unknown, key: string, reason: string]> = [
  [
    "a member of a wrong type",
    item("Ada", { payload: { ...ofAda, guest: 7 } }),
    "call of Ada",
    'Expected string\n  at ["payload"]["guest"]'
  ],
  [
    "a text that is no time",
    item("Ada", { payload: { ...ofAda, at: "tonight" } }),
    "call of Ada",
    'Expected a valid UTC DateTime string\n  at ["payload"]["at"]'
  ],
  [
    "a member that nobody knows",
    item("Ada", { payload: { ...ofAda, colour: "red" } }),
    "call of Ada",
    'Expected no excess property\n  at ["payload"]["colour"]'
  ],
  [
    "a member that nobody knows beside its payload",
    item("Ada", { urgent: true }),
    "call of Ada",
    'Expected no excess property\n  at ["urgent"]'
  ],
  [
    "missing members, all of which are named",
    item("Ada", { payload: { call: "call of Ada" } }),
    "call of Ada",
    'Missing key\n  at ["payload"]["guest"]\nMissing key\n  at ["payload"]["at"]'
  ],
  ["no payload", { key: "call of Ada" }, "call of Ada", 'Missing key\n  at ["payload"]'],
  ["a payload that is null", item("Ada", { payload: null }), "call of Ada", 'Expected object\n  at ["payload"]'],
  ["no key", { payload: ofAda }, "", 'Missing key\n  at ["key"]'],
  ["an empty key", item("Ada", { key: "" }), "", wrongLength],
  ["a key of 256 characters", item("Ada", { key: "k".repeat(256) }), "", wrongLength],
  ["a key that PostgreSQL cannot store", item("Ada", { key: "a\u0000" }), "", notStorable],
  ["a key that it would store as another one", item("Ada", { key: "\ud800" }), "", notStorable],
  ["a key that is no text", item("Ada", { key: 7 }), "", 'Expected string\n  at ["key"]'],
  [
    "a key that is not its payload's",
    item("Ada", { key: "mine" }),
    "mine",
    "Its key is not that of its payload, call of Ada."
  ],
  ["a number for an item", 7, "", "Expected object"],
  ["null for an item", null, "", "Expected object"],
  ["a list for an item", [item("Ada")], "", "Expected object"],
  [
    "what looks as an item that could not be read looks inside",
    { unreadable: item("Ada") },
    "",
    'Expected no excess property\n  at ["unreadable"]\nMissing key\n  at ["key"]\nMissing key\n  at ["payload"]'
  ]
]

const badEnvelopes = [
  { what: "no commands", body: "{}", field: "commands" },
  { what: "commands that are no list", body: '{"commands": {}}', field: "commands" },
  { what: "an empty list", body: '{"commands": []}', field: "commands" },
  {
    what: "501 items",
    body: JSON.stringify({ commands: Array.from({ length: 501 }, () => item("Ada")) }),
    field: "commands"
  },
  {
    what: "a member that nobody knows",
    body: JSON.stringify({ commands: [item("Ada")], mode: "fast" }),
    field: "mode"
  },
  { what: "a list", body: JSON.stringify([item("Ada")]), field: "body" },
  { what: "null", body: "null", field: "body" },
  { what: "what is no JSON", body: '{"commands": [', field: "body" }
]

const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

layer(globe.layer(), { excludeTestServices: true })("a batch on the wire", (it) => {
  it.effect("is answered with one outcome an item, in the order of the items", () =>
    Effect.gen(function* () {
      const guests = Array.from({ length: 500 }, (_, index) => `guest ${(index * 7919) % 500}`)
      assert.deepStrictEqual(yield* outcomesOf(...guests.map((guest) => item(guest))), guests.map(success))
    })
  )

  it.effect("has its outcomes in that order also where some items are bad, refused, or there twice", () =>
    Effect.gen(function* () {
      const before = globe.sets.length
      const outcomes = yield* outcomesOf(7, item("Cid"), item(gone), item("Ada"), null, item("Cid"), item("Bob"))
      assert.containSubset(outcomes, [
        { failure: { _tag: "BadItem" } },
        success("Cid"),
        { _tag: "Failure", failure: { _tag: "GuestLeft", guest: gone } },
        success("Ada"),
        { failure: { _tag: "BadItem" } },
        success("Cid"),
        success("Bob")
      ])
      assert.strictEqual(outcomes.length, 7)
      const keys = globe.sets.slice(before).map((set) => set.map(({ key }) => key))
      assert.deepStrictEqual(keys, [["call of Cid", "call of Banquo", "call of Ada", "call of Bob"]])
    })
  )

  it.effect.each(badItems)("fails alone, and says why, for %s", ([, bad, key, reason]) =>
    Effect.gen(function* () {
      const expected = { _tag: "Failure", failure: { _tag: "BadItem", key, reason } }
      assert.deepStrictEqual(yield* outcomesOf(item("Bob"), bad, item("Cid")), [
        success("Bob"),
        expected,
        success("Cid")
      ])
    })
  )

  it.effect("does not say at any length what is wrong with an item", () =>
    Effect.gen(function* () {
      const members = Object.fromEntries(Array.from({ length: 1000 }, (_, index) => [`x${index}`, 1]))
      const [many] = yield* outcomesOf(item("Ada", { payload: { ...ofAda, ...members } }))
      assert.strictEqual(decodeBadItem(many).failure.reason.length, 1000)
    })
  )

  it.effect("of nothing but bad items is answered, and nothing is run", () =>
    Effect.gen(function* () {
      const before = globe.sets.length
      const outcomes = yield* outcomesOf(1, 2, 3)
      assert.deepStrictEqual(
        outcomes.map((outcome) => decodeBadItem(outcome).failure._tag),
        ["BadItem", "BadItem", "BadItem"]
      )
      assert.strictEqual(globe.sets.length, before)
    })
  )

  it.effect.each(badEnvelopes)("is refused as a whole for $what", ({ body, field }) =>
    Effect.gen(function* () {
      const before = globe.sets.length
      const { headers, json, status } = yield* post(callGuest, body)
      assert.strictEqual(status, 400)
      assert.strictEqual(headers["content-type"], "application/problem+json")
      assert.containSubset(json, { error: "validation_failed", errors: [{ in: "body", field }] })
      assert.strictEqual(globe.sets.length, before)
    })
  )

  it.effect.each([
    ["another token", { authorization: "Bearer another-token-than-ours" }],
    ["no token", { authorization: "" }],
    ["a token of another kind", { authorization: "Basic c2VjcmV0" }]
  ] as const)("is refused with 401 for %s", ([, headers]) =>
    Effect.gen(function* () {
      const before = globe.sets.length
      const answer = yield* post(callGuest, JSON.stringify({ commands: [item("Ada")] }), headers)
      assert.strictEqual(answer.status, 401)
      assert.strictEqual(answer.headers["www-authenticate"], "Bearer")
      assert.containSubset(answer.json, { error: "unauthorized" })
      assert.strictEqual(globe.sets.length, before)
    })
  )

  it.effect("that is refused for its token is Unavailable to whoever asked", () =>
    Effect.gen(function* () {
      const { url } = yield* address
      const call = yield* clientOf(callGuest, { url, token: Redacted.make("another-token-than-ours") })
      const { _tag, ...error } = yield* Effect.flip(call(callOf("Ada")))
      assert.strictEqual(_tag, "Unavailable")
      assert.containSubset(error, { command: "call-guest", reason: "The answer had the status 401." })
    })
  )

  it.effect("carries with each item its key and its trace, and what is no trace is left out", () =>
    Effect.gen(function* () {
      const before = globe.sets.length
      const traces = [
        traceparent,
        "",
        "tomorrow",
        traceparent.slice(1),
        `${traceparent}\n`,
        traceparent.toUpperCase(),
        traceparent.replace("00", "ff"),
        traceparent.replace(/-[0-9a-f]{32}-/u, `-${"0".repeat(32)}-`),
        traceparent.replace(/-[0-9a-f]{16}-/u, `-${"0".repeat(16)}-`)
      ]
      const items = traces.map((trace, index) => item(`guest ${index}`, { traceparent: trace }))
      const outcomes = yield* outcomesOf(...items, item("Ada"))
      assert.deepStrictEqual(outcomes, [...traces.map((_, index) => success(`guest ${index}`)), success("Ada")])
      const [set] = globe.sets.slice(before)
      assert.deepStrictEqual(
        set?.map(({ key, traceparent }) => [key, traceparent]),
        [...items, item("Ada")].map(({ key }, index) => [key, index === 0 ? traceparent : null])
      )
      const byKey = CommandServer.tracesOf(set ?? [])
      assert.deepStrictEqual([byKey.get("call of guest 0"), byKey.get("call of Ada")], [traceparent, null])
    })
  )

  it.effect(
    "carries the trace of each caller, also of two callers in one batch, and no trace of one that has none",
    () =>
      Effect.gen(function* () {
        const before = globe.sets.length
        const call = yield* commandOf(callGuest)
        const traced = (guest: string) =>
          Effect.gen(function* () {
            const { traceId } = yield* Effect.currentSpan
            yield* call(callOf(guest, `traced ${guest}`))
            return traceId
          }).pipe(Effect.withSpan(`order of ${guest}`))
        const untraced = Effect.as(call(callOf("Cid", "untraced")), null)
        const expected = yield* Effect.all([traced("Ada"), traced("Bob"), untraced], { concurrency: "unbounded" })
        const [set, ...others] = globe.sets.slice(before)
        assert.isEmpty(others)
        assert.deepStrictEqual(
          set?.map(({ traceparent }) => traceparent?.split("-")[1] ?? null),
          expected
        )
        assert.strictEqual(new Set(expected).size, 3)
      })
  )

  it.effect("is described where the service describes itself, with all that it may answer", () =>
    Effect.gen(function* () {
      const document: unknown = yield* (yield* HttpClient.get("/openapi.json")).json
      const responses = { 200: {}, 400: {}, 401: {}, 503: {} }
      assert.containSubset(document, { paths: { "/commands/call-guest": { post: { responses } } } })
      for (const text of ["Calls a guest to the stage.", "GuestLeft", "KeyConflict", "BadItem", "traceparent"]) {
        assert.include(JSON.stringify(document), text)
      }
    })
  )
})

const decodeBadItem = Schema.decodeUnknownSync(
  Schema.Struct({ failure: Schema.Struct({ _tag: Schema.String, reason: Schema.String }) })
)
