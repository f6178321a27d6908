/**
 * What a feed reads from its tables, and an event as it travels.
 */
import { Long, rowsOf, TimeOrNull } from "@ecommerce/sets/Sets"
import { Schema } from "effect"

import { Cursor, idOf } from "./Cursor.ts"
import type { CloudEvent } from "./FeedEndpoint.ts"

const PositionRow = Schema.Struct({ generation: Long, xid: Schema.String, seq: Schema.String })
export const positionRows = rowsOf(PositionRow)
export const placeRows = rowsOf(Schema.Struct({ name: Schema.String, ...PositionRow.fields }))

const EventRow = Schema.Struct({
  ...PositionRow.fields,
  type: Schema.String,
  subject: Schema.String,
  version: Long,
  data: Schema.Unknown,
  traceparent: Schema.NullOr(Schema.String),
  createdAt: Schema.DateTimeUtcFromDate
})
export const eventRows = rowsOf(EventRow)
export const lagRows = rowsOf(
  Schema.Struct({ consumer: Schema.String, seconds: Schema.Number, seenSecondsAgo: Schema.Number })
)
export const holderRows = rowsOf(
  Schema.Struct({
    pid: Schema.NullOr(Schema.Int),
    who: Schema.String,
    since: TimeOrNull
  })
)
export const standingRows = rowsOf(
  Schema.Struct({ isGone: Schema.Boolean, isComplete: Schema.Boolean, ...PositionRow.fields })
)
export const countRows = rowsOf(Schema.Struct({ count: Long }))

export const encodeCursor = Schema.encodeSync(Cursor)

export const eventOf = (source: string, row: typeof EventRow.Type): CloudEvent => ({
  specversion: "1.0",
  id: idOf(row),
  source: `/${source}`,
  type: row.type,
  subject: row.subject,
  time: row.createdAt,
  datacontenttype: "application/json",
  data: row.data,
  version: row.version,
  cursor: encodeCursor(row),
  ...(row.traceparent === null ? {} : { traceparent: row.traceparent })
})
