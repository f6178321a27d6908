/**
 * A batch of commands as it travels.
 *
 * The envelope must be right, or the whole batch is refused with 400. Its items are judged one by one: one that cannot be
 * read is kept as it came, so that it alone can be answered with what is wrong with it.
 */
import { Text } from "@ecommerce/protocol/Validation"
import { Option, Result, Schema, SchemaGetter } from "effect"

/** What one batch may hold; together with the envelope the bytes stay below what a service reads of a body. */
export const mostItems = 500
export const mostBytes = 240 * 1024

/** PostgreSQL would store two keys with lone surrogates as one. */
const Key = Text.check(Schema.isBetweenLength(1, 255))

const itemOf = <Payload extends Schema.Constraint>(payload: Payload) =>
  Schema.Struct({
    key: Key.annotate({ description: "The item happens once for its key, however often it is sent." }),
    traceparent: Schema.optionalKey(
      Schema.Unknown.annotate({ description: "The trace to which this item belongs: a text as in W3C Trace Context." })
    ),
    payload
  })

const Unreadable = Schema.Unknown.annotate({ description: "Anything else fails alone, with BadItem." }).pipe(
  Schema.decodeTo(Schema.Struct({ unreadable: Schema.Unknown }), {
    decode: SchemaGetter.transform((unreadable: unknown) => ({ unreadable })),
    encode: SchemaGetter.transform(({ unreadable }: { readonly unreadable: unknown }) => unreadable)
  })
)

/** An item as it was read, or as it came. */
export type Item<Payload> =
  | { readonly key: string; readonly traceparent?: unknown; readonly payload: Payload }
  | { readonly unreadable: unknown }

export interface Batch<Payload> {
  readonly commands: ReadonlyArray<Item<Payload>>
}

export const batchOf = <Payload extends Schema.Constraint>(payload: Payload) =>
  Schema.Struct({
    commands: Schema.Array(Schema.Union([itemOf(payload), Unreadable])).check(Schema.isBetweenLength(1, mostItems))
  })

export const answerOf = <Success extends Schema.Constraint, Failure extends Schema.Constraint>(
  success: Success,
  failure: Failure
) => Schema.Struct({ outcomes: Schema.Array(Schema.Result(success, failure)) })

/** The client's side: every item is encoded once, and its bytes are known before it joins a batch. */
export const itemJson = (key: string, payload: string, traceparent: Option.Option<string>) => {
  const trace = Option.match(traceparent, { onNone: () => "", onSome: (value) => `"traceparent":"${value}",` })
  return `{"key":${JSON.stringify(key)},${trace}"payload":${payload}}`
}

export const bodyOf = (items: ReadonlyArray<string>) => `{"commands":[${items.join(",")}]}`

/** Says of an item that could not be read under which key it came, as far as that can be told, and what is wrong. */
export const complaintOf = <Payload>(payload: Schema.Codec<Payload, unknown>) => {
  const decode = Schema.decodeUnknownResult(Schema.toCodecJson(itemOf(payload)), {
    errors: "all",
    onExcessProperty: "error"
  })
  return (unreadable: unknown) => ({
    key: Option.getOrElse(keyIn(unreadable), () => ""),
    reason: Result.match(decode(unreadable), {
      onFailure: ({ message }) => message.slice(0, longestReason),
      onSuccess: () => "It cannot be read."
    })
  })
}

const keyIn = (unreadable: unknown) => Option.map(decodeKeyed(unreadable), ({ key }) => key)
const decodeKeyed = Schema.decodeUnknownOption(Schema.Struct({ key: Key }))
const longestReason = 1000
