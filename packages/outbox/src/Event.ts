/**
 * An event: something that happened to a subject, told once and for all.
 *
 * Declared in the contracts with its type and the shape of its data, so that the service that appends it and those that
 * read it agree.
 */
import { Schema } from "effect"

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

export interface Event<Type extends string, Data extends Schema.Codec<unknown, unknown>> {
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
  const encode = Schema.encodeUnknownSync(Schema.toCodecJson(data))
  return {
    type,
    data,
    of: ({ data, subject, traceparent, version }) => ({
      type,
      subject,
      version,
      data: encode(data),
      traceparent: traceparent ?? null
    })
  }
}
