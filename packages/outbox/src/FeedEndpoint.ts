/**
 * `GET /feed`: a service's events, as every service offers them to others.
 *
 * A batch of CloudEvents in their order. Each carries the cursor behind it: asking with the last one's acknowledges all of
 * them, and answers what comes next. With `wait` the answer is held back until there is something.
 */
import { Problem } from "@ecommerce/protocol/Problem"
import { ServiceToken } from "@ecommerce/protocol/ServiceToken"
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, HttpApiSchema, OpenApi } from "effect/http-api"

import { Cursor } from "./Cursor.ts"
import type { ToldEvent } from "./Event.ts"

export const CloudEvent = Schema.Struct({
  specversion: Schema.Literal("1.0"),
  /** The row's place in the outbox, unique in this service. */
  id: Schema.String,
  source: Schema.String,
  type: Schema.String,
  subject: Schema.String,
  time: Schema.DateTimeUtc,
  datacontenttype: Schema.Literal("application/json"),
  data: Schema.Unknown,
  version: Schema.Int.annotate({
    description: "Of the subject: a reader applies only what is newer than what it has."
  }),
  cursor: Schema.String.annotate({ description: "Ask after this one for what comes next." }),
  traceparent: Schema.optionalKey(Schema.String)
}).annotate({ identifier: "CloudEvent" })
export type CloudEvent = typeof CloudEvent.Type

/** The event that came with it, its data encoded still. */
export const toldIn = ({ data, subject, time, traceparent, type, version }: CloudEvent): ToldEvent => ({
  type,
  subject,
  version,
  time,
  data,
  traceparent: traceparent ?? null
})

/** Tells that nothing had been committed behind these events when they were read: not even what has to wait. */
export const completeHeader = "feed-complete"

/**
 * Where a reader is when it has used these events. Where nothing is behind them, that is in the history that is written now,
 * although no event may be of it yet: so that a reader hears of another server before anything happens there.
 */
export const cursorHeader = "feed-cursor"

export const Batch = HttpApiSchema.WithHeaders(
  Schema.Array(CloudEvent).pipe(HttpApiSchema.asJson({ contentType: "application/cloudevents-batch+json" })),
  { [completeHeader]: Schema.Literals(["true", "false"]), [cursorHeader]: Schema.String }
)
export type Batch = typeof Batch.Type

/** Rows that this cursor has not read are gone: whoever asks has missed something, and must begin anew. */
export class CursorGone extends Problem<CursorGone>()(
  "CursorGone",
  { code: "cursor_gone", status: 410, title: "What came after this cursor is not kept any more." },
  {}
) {}

/** By a pattern, so that documents say the bounds too. */
const wholeNumber = (pattern: RegExp, expected: string) =>
  Schema.String.check(Schema.isPattern(pattern, { expected })).pipe(Schema.decodeTo(Schema.NumberFromString))

export const ConsumerName = Schema.String.check(
  Schema.isPattern(/^[a-z0-9][a-z0-9._-]{0,99}$/u, { expected: "a name such as edge-api.prices" })
)

/** So many types no service has. */
const Types = Schema.String.check(
  Schema.isPattern(/^[a-z0-9._-]{1,100}(?:,[a-z0-9._-]{1,100}){0,49}$/u, {
    expected: "types such as order.created,order.confirmed"
  })
).annotate({ description: "Events of these types alone; `feed-cursor` tells how far others were passed over." })

export const FeedQuery = Schema.Struct({
  consumer: ConsumerName,
  after: Schema.optionalKey(Cursor),
  types: Schema.optionalKey(Types),
  limit: Schema.optionalKey(wholeNumber(/^(?:[1-9][0-9]{0,2}|1000)$/u, "a whole number from 1 to 1000")),
  wait: Schema.optionalKey(wholeNumber(/^(?:[12]?[0-9]|30)$/u, "a whole number from 0 to 30"))
})
export type FeedQuery = typeof FeedQuery.Type

export const feedGroup = HttpApiGroup.make("feed")
  .add(
    HttpApiEndpoint.get("read", "/feed", { query: FeedQuery.fields, success: Batch, error: CursorGone }).annotate(
      OpenApi.Description,
      "What happened here, in order, after a cursor. Asking after it says that everything up to it has been used."
    )
  )
  .middleware(ServiceToken)
  .annotate(OpenApi.Description, "What happened to this service's data, for other services.")
