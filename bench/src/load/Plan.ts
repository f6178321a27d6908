/**
 * What is asked of the load's process, and what it answers.
 */
import { Schema } from "effect"

/** So many orders over so many connections, each of which sends its next one when it has the answer to its last. */
export const Plan = Schema.Struct({
  port: Schema.Int,
  products: Schema.Array(Schema.String),
  connections: Schema.Int,
  orders: Schema.Int,
  /** What the idempotency keys of this run begin with. */
  key: Schema.String,
  /** Whether the answer is waited for until the order has come to its end. */
  waits: Schema.Boolean,
  /** Between an answer and the next order. */
  pauseMillis: Schema.Number
})
export type Plan = typeof Plan.Type

export const Tally = Schema.Struct({
  /** Of the machine's clock, which is the database's too. */
  startedAt: Schema.Number,
  endedAt: Schema.Number,
  /** How long each order that was taken has waited for its answer. */
  millis: Schema.Array(Schema.Number),
  /** Of those that were not taken: what was said instead. */
  refusals: Schema.Array(Schema.String)
})
export type Tally = typeof Tally.Type

/** Orders that come at their own pace for so long, whether those before them are answered or not. */
export const Stream = Schema.Struct({
  port: Schema.Int,
  products: Schema.Array(Schema.String),
  key: Schema.String,
  perSecond: Schema.Number,
  seconds: Schema.Number
})
export type Stream = typeof Stream.Type

/** What has become of a stream since it was last asked. */
export const Arrived = Schema.Struct({
  /** Whether the last order has its answer. */
  isOver: Schema.Boolean,
  /** So many have no answer yet. */
  waiting: Schema.Int,
  sent: Schema.Int,
  accepted: Schema.Array(Schema.String),
  /** Of each that was accepted, from the moment at which it should have been sent: a late sender shortens no wait. */
  millis: Schema.Array(Schema.Number),
  /** Of those that were not: what was said instead, and how often. */
  refused: Schema.Record(Schema.String, Schema.Int)
})
export type Arrived = typeof Arrived.Type
