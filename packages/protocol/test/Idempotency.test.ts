import { digestOf, IdempotencyKey, respond } from "@ecommerce/protocol/Idempotency"
import { assert, describe, it } from "@effect/vitest"
import { Exit, Schema } from "effect"
import * as fc from "fast-check"

/** The same value, its members in the opposite order, all the way down. */
const turned = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(turned)
  if (typeof value !== "object" || value === null) return value
  return Object.fromEntries(
    Object.entries(value)
      .toReversed()
      .map(([name, member]) => [name, turned(member)])
  )
}

const asSent = (value: unknown): unknown => {
  const text = JSON.stringify(value)
  return JSON.parse(text)
}

/** Without escapes: Node 24's JSON.parse reads {"\\":1} and then {"\"":1} as the same member name. */
const json = fc.jsonValue().filter((value) => !JSON.stringify(value).includes("\\"))

describe("the digest of a request", () => {
  it("is the same however its members are arranged, and survives JSON", () => {
    fc.assert(
      fc.property(json, (value) => {
        assert.strictEqual(digestOf(turned(value)), digestOf(value))
        assert.strictEqual(digestOf(asSent(value)), digestOf(value))
      })
    )
  })

  it("is another one for a request that means something else", () => {
    fc.assert(
      fc.property(json, json, (a, b) => {
        fc.pre(!sameMeaning(a, b))
        assert.notStrictEqual(digestOf(a), digestOf(b))
      })
    )
  })

  it("does not mistake a text for a number, or a list for its text", () => {
    const values = [1, "1", [1], ["1"], { a: 1 }, { a: "1" }, '{"a":1}', null, "null", [], {}, ""]
    assert.strictEqual(new Set(values.map(digestOf)).size, values.length)
  })

  it("takes an absent member for one that is undefined", () => {
    assert.strictEqual(digestOf({ a: 1, b: undefined }), digestOf({ a: 1 }))
  })
})

const sameMeaning = (a: unknown, b: unknown) => {
  try {
    // Through JSON, where 0 and -0 are one.
    assert.deepEqual(asSent(a), asSent(b))
    return true
  } catch {
    return false
  }
}

describe("an idempotency key", () => {
  it.each([
    ["order-1", true],
    ["!~", true],
    ["a".repeat(255), true],
    ["a".repeat(256), false],
    ["", false],
    ["two words", false],
    ["tab\there", false],
    ["schlüssel", false]
  ])("%j: %s", (key, isAllowed) => {
    assert.strictEqual(Exit.isSuccess(Schema.decodeUnknownExit(IdempotencyKey)(key)), isAllowed)
  })
})

describe("a stored answer", () => {
  it("says when it is given again, and keeps its kind", () => {
    const first = respond({ status: 200, body: "{}", replayed: false })
    const again = respond({ status: 409, body: "{}", replayed: true })
    assert.strictEqual(first.headers["idempotent-replayed"], undefined)
    assert.strictEqual(first.headers["content-type"], "application/json")
    assert.strictEqual(again.headers["idempotent-replayed"], "true")
    assert.strictEqual(again.headers["content-type"], "application/problem+json")
  })
})
