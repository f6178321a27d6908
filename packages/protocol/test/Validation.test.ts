import { Int4, Text, Uuid } from "@ecommerce/protocol/Validation"
import { assert, describe, it } from "@effect/vitest"
import { Exit, Schema } from "effect"
import * as fc from "fast-check"

const accepts = (schema: Schema.Codec<unknown, unknown>, value: unknown) =>
  Exit.isSuccess(Schema.decodeUnknownExit(schema)(value))

/** Every character there is, a pair of surrogates counting as one. */
const wellFormed = fc.string({ unit: "binary", maxLength: 40 }).map((text) => text.replaceAll("\u0000", ""))
const loneSurrogate = fc.integer({ min: 0xd800, max: 0xdfff }).map((unit) => String.fromCharCode(unit))

describe("Text", () => {
  it("takes every well-formed text without NUL, as it is", () => {
    fc.assert(
      fc.property(wellFormed, (text) => {
        assert.strictEqual(Schema.decodeUnknownSync(Text)(text), text)
      })
    )
  })

  it("refuses a NUL wherever it stands", () => {
    fc.assert(
      fc.property(wellFormed, wellFormed, (before, after) => {
        assert.isFalse(accepts(Text, `${before}\u0000${after}`))
      })
    )
  })

  it("refuses half of a surrogate pair wherever it stands", () => {
    fc.assert(
      fc.property(wellFormed, loneSurrogate, wellFormed, (before, half, after) => {
        assert.isFalse(accepts(Text, `${before}${half}${after}`))
      })
    )
  })

  it("takes both halves together", () => {
    assert.isTrue(accepts(Text, "\ud83d\ude00"))
    assert.isFalse(accepts(Text, "\ude00\ud83d"))
  })

  it("refuses what is no text", () => {
    for (const value of [1, true, null, undefined, ["a"], {}]) assert.isFalse(accepts(Text, value), String(value))
  })
})

describe("Int4", () => {
  it("takes every number that an integer column can hold, as it is", () => {
    fc.assert(
      fc.property(fc.integer({ min: -2_147_483_648, max: 2_147_483_647 }), (number) => {
        assert.strictEqual(Schema.decodeUnknownSync(Int4)(number), number)
      })
    )
    assert.isTrue(accepts(Int4, -2_147_483_648))
    assert.isTrue(accepts(Int4, 2_147_483_647))
  })

  it("refuses every number beyond", () => {
    const beyond = fc.oneof(
      fc.maxSafeInteger().filter((number) => Math.abs(number) > 2_147_483_648),
      fc.constant(2 ** 31)
    )
    fc.assert(
      fc.property(beyond, (number) => {
        assert.isFalse(accepts(Int4, number))
      })
    )
    assert.isFalse(accepts(Int4, -2_147_483_649))
  })

  it.each([1.5, Number.NaN, Number.POSITIVE_INFINITY, "1", null])("refuses %s, which is no whole number", (value) => {
    assert.isFalse(accepts(Int4, value))
  })
})

describe("Uuid", () => {
  const decode = Schema.decodeUnknownSync(Uuid)

  it("is read in any case and kept in lower case", () => {
    fc.assert(
      fc.property(fc.uuid(), fc.mixedCase(fc.uuid()), (lower, mixed) => {
        assert.strictEqual(decode(lower), lower)
        assert.strictEqual(decode(mixed), mixed.toLowerCase())
      })
    )
  })

  it("has one spelling: what was read and written again is the same however it was sent", () => {
    fc.assert(
      fc.property(fc.uuid(), (uuid) => {
        assert.strictEqual(Schema.encodeSync(Uuid)(decode(uuid.toUpperCase())), uuid)
      })
    )
  })

  it("takes the ids that PostgreSQL makes: versions 4 and 7", () => {
    assert.isTrue(accepts(Uuid, "01a1fd3d-51e8-7bff-b746-d089b67cdc6b"))
    assert.isTrue(accepts(Uuid, "3B241101-E2BB-4255-8CAF-4136C566A962"))
  })

  it.each([
    "",
    "abc",
    "01a1fd3d51e87bffb746d089b67cdc6b",
    "{01a1fd3d-51e8-7bff-b746-d089b67cdc6b}",
    " 01a1fd3d-51e8-7bff-b746-d089b67cdc6b",
    "01a1fd3d-51e8-7bff-b746-d089b67cdc6b\n",
    "01a1fd3d-51e8-7bff-b746-d089b67cdc6",
    "01a1fd3d-51e8-7bff-b746-d089b67cdc6g",
    "01a1fd3d-51e8-7bff-b746-d089b67cdc6b' OR 1=1"
  ])("refuses %j, also where PostgreSQL would understand it", (text) => {
    assert.isFalse(accepts(Uuid, text))
  })
})
