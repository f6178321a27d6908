/**
 * An event: something that happened to a subject, told once and for all.
 *
 * Declared in the contracts with its type and the shape of its data, so that the service that appends it and those that
 * read it agree.
 */
import { type DateTime, Result, Schema } from "effect"

/** An event as it goes into the outbox: its data encoded. */
export interface NewEvent {
  readonly type: string
  /** What it happened to: a product's id, an order's id. */
  readonly subject: string
  /** Of the subject, raised under its row's lock: readers apply only what is newer than what they have. */
  readonly version: number
  readonly data: unknown
  readonly traceparent: string | null
}

/** An event as it came out of a feed: its data encoded. */
export interface ToldEvent extends NewEvent {
  readonly time: DateTime.Utc
}

/** An event as a reader has it. */
export interface Delivered<Type extends string, Data> {
  readonly type: Type
  readonly subject: string
  readonly version: number
  /** When the transaction began that made it happen, by the clock of its database. */
  readonly time: DateTime.Utc
  readonly traceparent: string | null
  readonly data: Data
}

/** What somebody wants to hear of: `productCreated.or(productUpdated)`. */
export interface Reading<Delivery> {
  readonly types: ReadonlySet<string>
  /** For events of these types. */
  readonly deliver: (event: ToldEvent) => Result.Result<Delivery, Schema.SchemaError>
  readonly or: <Other>(other: Reading<Other>) => Reading<Delivery | Other>
}

export interface Event<Type extends string, Data extends Schema.Codec<unknown, unknown>> extends Reading<
  Delivered<Type, Data["Type"]>
> {
  readonly type: Type
  readonly data: Data
  readonly of: (event: {
    readonly subject: string
    readonly version: number
    readonly data: Data["Type"]
    /** Of the request that made it happen, where it is known. */
    readonly traceparent?: string | null | undefined
  }) => NewEvent
}

export const make = <const Type extends string, Data extends Schema.Codec<unknown, unknown>>(
  type: Type,
  data: Data
): Event<Type, Data> => {
  const codec = Schema.toCodecJson(data)
  const encode = Schema.encodeUnknownSync(codec)
  const decode = Schema.decodeUnknownResult(codec)
  return {
    type,
    data,
    of: ({ data, subject, traceparent, version }) => ({
      type,
      subject,
      version,
      data: encode(data),
      traceparent: traceparent ?? null
    }),
    ...reading(new Set([type]), ({ data: encoded, subject, time, traceparent, version }) =>
      Result.map(decode(encoded), (decoded) => ({ type, subject, version, time, traceparent, data: decoded }))
    )
  }
}

const reading = <Delivery>(types: ReadonlySet<string>, deliver: Reading<Delivery>["deliver"]): Reading<Delivery> => ({
  types,
  deliver,
  or: <Other>(other: Reading<Other>) =>
    reading<Delivery | Other>(new Set([...types, ...other.types]), (event) =>
      types.has(event.type) ? deliver(event) : other.deliver(event)
    )
})
