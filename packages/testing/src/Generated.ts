/**
 * Values made from a JSON schema, as the text that is sent: right ones, and ones in which a few things are wrong.
 *
 * Text, because much of what is hostile has no value in JavaScript: a member that stands there twice, 1e400, half of a
 * surrogate pair written as it is escaped.
 */
import * as fc from "fast-check"

import type { JsonSchema } from "./ApiDocument.ts"

export interface Making {
  readonly schemas: Readonly<Record<string, JsonSchema>>
  /** How often of a hundred times a value gives way to a hostile one; 0 for right values alone. */
  readonly hostility: number
  /** Ids of things that are there, so that a request comes further than to "not found". */
  readonly known?: ReadonlyArray<string>
}

/** JSON texts that few expect. */
export const hostileTexts: ReadonlyArray<string> = [
  "null",
  "true",
  "{}",
  "[]",
  '""',
  "1e400",
  "-1e400",
  "1e-400",
  "-0",
  "0.1",
  "2147483648",
  "-2147483649",
  "9007199254740993",
  "9223372036854775808",
  "1".repeat(400),
  '"\\u0000"',
  '"a\\u0000b"',
  '"\\ud800"',
  '"\\udc00\\ud800"',
  '"\\u202e\\u200b\\ufeff"',
  '"e\\u0301\\ud83d\\udc69\\u200d\\ud83d\\udcbb"',
  `"${"a".repeat(5000)}"`,
  `"${"\u{1F600}".repeat(300)}"`,
  '"\'; DROP TABLE products; --"',
  '"NaN"',
  '"%00%ff"',
  '"__proto__"',
  '"00000000-0000-0000-0000-000000000000"',
  '{"__proto__":{"isAdmin":true}}',
  '{"constructor":{"prototype":{"x":1}}}',
  '{"toString":1,"valueOf":1,"hasOwnProperty":1,"then":1,"toJSON":1}',
  '{"_tag":"Success","value":1}',
  `${"[".repeat(3000)}${"]".repeat(3000)}`,
  `${'{"a":'.repeat(3000)}1${"}".repeat(3000)}`,
  `[${Array.from({ length: 5000 }, () => "0").join(",")}]`,
  `[${Array.from({ length: 600 }, () => "{}").join(",")}]`
]

const hostile = fc.constantFrom(...hostileTexts)

/** Members that nobody asked for, or that stand there already. */
const strangers = fc.constantFrom(
  '"__proto__":{"x":1}',
  '"constructor":1',
  '"toString":null',
  '"\\u0000":1',
  '"\\ud800":1',
  '"":1'
)

/** Values of this schema as JSON texts. */
export const textOf = (schema: JsonSchema, making: Making): fc.Arbitrary<string> => {
  const right = rightTextOf(resolve(schema, making), making)
  return making.hostility === 0
    ? right
    : fc.oneof({ weight: 100 - making.hostility, arbitrary: right }, { weight: making.hostility, arbitrary: hostile })
}

const rightTextOf = (schema: JsonSchema, making: Making): fc.Arbitrary<string> => {
  const { anyOf, type } = schema
  if (schema.enum !== undefined) return fc.constantFrom(...schema.enum.map((value) => JSON.stringify(value)))
  if (anyOf !== undefined) return fc.oneof(...anyOf.map((one) => textOf(one, making)))
  switch (type) {
    case "object":
      return objectOf(schema, making)
    case "array":
      return listOf(schema, making)
    case "string":
      return stringOf(schema, making.known).map((text) => JSON.stringify(text))
    case "integer":
    case "number":
      return integerOf(schema).map(String)
    case "boolean":
      return fc.boolean().map(String)
    case "null":
      return fc.constant("null")
    case undefined:
      return fc.json({ maxDepth: 2, stringUnit: "grapheme-ascii" })
    default:
      throw new Error(`No values are made yet of the type ${type}`)
  }
}

/** Without references, and what stands in `allOf` put together. */
const resolve = (schema: JsonSchema, making: Making): JsonSchema => {
  const { $ref, allOf, ...own } = schema
  const target = $ref === undefined ? undefined : making.schemas[$ref.split("/").at(-1) ?? ""]
  if ($ref !== undefined && target === undefined) throw new Error(`${$ref} is nowhere in the document`)
  const parts = [...(target === undefined ? [] : [target]), ...(allOf ?? [])]
  return Object.assign({}, ...parts.map((part) => resolve(part, making)), own)
}

const objectOf = ({ minProperties = 0, properties = {}, required = [] }: JsonSchema, making: Making) => {
  const isHostile = making.hostility > 0
  const members = Object.entries(properties).map(([name, schema]) => {
    const member = textOf(schema, making).map((text) => [`${JSON.stringify(name)}:${text}`])
    // Now and then what is needed is missing, and what is there is there twice.
    if (isHostile) {
      const twice = fc.tuple(member, member).map((both) => both.flat())
      return fc.oneof(
        { weight: 94, arbitrary: member },
        { weight: 3, arbitrary: fc.constant<Array<string>>([]) },
        { weight: 3, arbitrary: twice }
      )
    }
    return required.includes(name) ? member : fc.oneof(member, fc.constant<Array<string>>([]))
  })
  const more = isHostile
    ? fc.oneof(
        { weight: 95, arbitrary: fc.constant<Array<string>>([]) },
        strangers.map((one) => [one])
      )
    : fc.constant<Array<string>>([])
  return fc
    .tuple(...members, more)
    .map((all) => all.flat())
    .filter((all) => isHostile || all.length >= minProperties)
    .map((all) => `{${all.join(",")}}`)
}

const listOf = ({ items = {}, maxItems = 5, minItems = 0 }: JsonSchema, making: Making) =>
  fc
    .array(textOf(items, making), { minLength: minItems, maxLength: Math.min(maxItems, minItems + 4) })
    .map((all) => `[${all.join(",")}]`)

const integerOf = ({ exclusiveMinimum, maximum = Number.MAX_SAFE_INTEGER, minimum }: JsonSchema) => {
  const least = minimum ?? (exclusiveMinimum === undefined ? Number.MIN_SAFE_INTEGER : exclusiveMinimum + 1)
  return fc.oneof(fc.integer({ min: least, max: maximum }), fc.constantFrom(least, maximum))
}

/** A text of this schema. What a pattern cannot say (no NUL, no half of a pair) is true of every text that is made here. */
export const stringOf = (schema: JsonSchema, known: ReadonlyArray<string> = []): fc.Arbitrary<string> => {
  const { format, maxLength = 40, minLength = 0, pattern } = schema
  if (schema.enum !== undefined) return fc.constantFrom(...schema.enum.map(String))
  if (format === "uuid") {
    const any = fc.oneof(fc.uuid(), fc.constant("00000000-0000-0000-0000-000000000000"))
    return known.length === 0 ? any : fc.oneof(any, fc.constantFrom(...known))
  }
  if (pattern === undefined) {
    const text = fc.string({ unit: "binary", minLength, maxLength }).map((made) => made.replaceAll("\u0000", "0"))
    const longest = fc.constantFrom("a".repeat(maxLength), "\u{1F600}".repeat(maxLength))
    return fc.oneof({ weight: 9, arbitrary: text }, { weight: 1, arbitrary: longest })
  }
  return fc
    .stringMatching(new RegExp(pattern, "u"), { maxLength: Math.max(minLength, Math.min(maxLength, 100)) })
    .filter((text) => [...text].length >= minLength && text.isWellFormed() && !text.includes("\u0000"))
}
