import { cursorOf, Limit } from "@ecommerce/protocol/Page"
import { Uuid } from "@ecommerce/protocol/Validation"
import { assert, describe, it } from "@effect/vitest"
import { Exit, Schema } from "effect"
import * as fc from "fast-check"

const Cursor = cursorOf(Uuid)
const isRefused = (cursor: unknown) => Exit.isFailure(Schema.decodeUnknownExit(Cursor)(cursor))

describe("a cursor", () => {
  it("leads back to the key it was made of", () => {
    fc.assert(
      fc.property(fc.uuid(), (key) => {
        assert.strictEqual(Schema.decodeSync(Cursor)(Schema.encodeSync(Cursor)(key)), key)
      })
    )
  })

  it("needs no escaping in a URL", () => {
    fc.assert(
      fc.property(fc.uuid(), (key) => {
        const cursor = Schema.encodeSync(Cursor)(key)
        assert.strictEqual(encodeURIComponent(cursor), cursor)
      })
    )
  })

  it("does not show the key", () => {
    fc.assert(
      fc.property(fc.uuid(), (key) => {
        assert.isTrue(isRefused(key))
        assert.notInclude(Schema.encodeSync(Cursor)(key), key)
      })
    )
  })

  it("is refused when it is made up", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (garbage) => {
        assert.isTrue(isRefused(garbage))
      })
    )
  })

  it("is refused when it is well encoded and leads to no key", () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        assert.isTrue(isRefused(Buffer.from(text).toString("base64url")))
      })
    )
  })

  it("is refused when it is cut short", () => {
    fc.assert(
      fc.property(fc.uuid(), fc.nat(47), (key, length) => {
        assert.isTrue(isRefused(Schema.encodeSync(Cursor)(key).slice(0, length)))
      })
    )
  })
})

describe("the limit of a page", () => {
  it.each([
    ["0", false],
    ["1", true],
    ["100", true],
    ["101", false],
    ["1.5", false],
    ["1e1", false],
    ["", false]
  ])("%s: %s", (limit, isAllowed) => {
    assert.strictEqual(Exit.isSuccess(Schema.decodeUnknownExit(Limit)(limit)), isAllowed)
  })
})
