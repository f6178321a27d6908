/**
 * Lists come in pages. A page names the cursor of the next one; a cursor means something to its service alone.
 */
import { Schema } from "effect"

/** The key of the last item of a page, encoded, so that a service may change what it puts in. */
export const cursorOf = <Key extends Schema.Codec<string, string>>(key: Key) =>
  Schema.StringFromBase64Url.pipe(Schema.decodeTo(key))

export const Limit = Schema.String.check(
  Schema.isPattern(/^(?:[1-9][0-9]?|100)$/u, { expected: "a whole number from 1 to 100" })
).pipe(Schema.decodeTo(Schema.NumberFromString))

export const defaultLimit = 50
