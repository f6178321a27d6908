import { Cursor, type Position } from "@ecommerce/outbox/Cursor"
import { assert, describe, it } from "@effect/vitest"
import { Exit, Schema } from "effect"
import * as fc from "fast-check"

const encode = Schema.encodeSync(Cursor)
const decode = Schema.decodeUnknownExit(Cursor)
const encoded = (place: string) => Buffer.from(place).toString("base64url")

const positions: fc.Arbitrary<Position> = fc.record({
  generation: fc.maxSafeNat(),
  xid: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map(String),
  seq: fc.bigInt({ min: 0n, max: 2n ** 63n - 1n }).map(String)
})

describe("a cursor", () => {
  it("comes back as the place that it was made of, however large the numbers", () => {
    fc.assert(
      fc.property(positions, (position) => {
        assert.deepStrictEqual(decode(encode(position)), Exit.succeed(position))
      })
    )
  })

  it("goes into a URL as it is", () => {
    fc.assert(
      fc.property(positions, (position) => {
        assert.match(encode(position), /^[\w-]+$/u)
      })
    )
  })

  it.each([
    ["nothing", ""],
    ["a word", "garbage"],
    ["what is no base64", "%%%%"],
    ["a place as it is", "1.2.3"],
    ["two numbers", encoded("1.2")],
    ["four numbers", encoded("1.2.3.4")],
    ["a number below 0", encoded("1.-2.3")],
    ["a fraction", encoded("1.2e3.4")],
    ["a line break", encoded("1.2.3\n")],
    ["SQL", encoded("1.2.3);--")],
    ["a generation that no number holds exactly", encoded("9007199254740992.1.1")],
    ["a transaction id of more than 64 bits", encoded("1.18446744073709551616.1")],
    ["a place in it that no bigint holds", encoded("1.1.9223372036854775808")]
  ])("is not made of %s", (_, text) => {
    assert.isTrue(Exit.isFailure(decode(text)), text)
  })
})
