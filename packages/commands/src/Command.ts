/**
 * A command: an idempotent operation that one service asks of another.
 *
 * Declared once, in the contracts: its name, what it takes, what it answers, its definite refusals, and the key under
 * which it happens once. Client (`CommandClient.ts`), server (`CommandServer.ts`) and documents derive from it.
 *
 * On the wire it is a batch: `POST /commands/<name>` with `{"commands": [{key, traceparent, payload}, …]}`, answered with
 * `{"outcomes": […]}` in the same order, each a success or a failure of its own.
 */
import { digestOf } from "@ecommerce/protocol/Idempotency"
import { ServiceToken } from "@ecommerce/protocol/ServiceToken"
import { Schema } from "effect"
import { HttpApiEndpoint, OpenApi } from "effect/http-api"

import { Admission } from "./Admission.ts"
import * as Wire from "./Wire.ts"

/** The key was used for something else before, which was not touched. A definite no. */
export class KeyConflict extends Schema.TaggedError<KeyConflict>()("KeyConflict", { key: Schema.String }) {}

/** This item cannot be read, sent or stored; the others of its batch are not concerned. A definite no. */
export class BadItem extends Schema.TaggedError<BadItem>()("BadItem", { key: Schema.String, reason: Schema.String }) {}

/** No answer, or none that could be understood: it may or may not have happened. Ask again under the same key. */
export class Unavailable extends Schema.TaggedError<Unavailable>()("Unavailable", {
  command: Schema.String,
  reason: Schema.String
}) {}

/** What any command may answer besides its success and its own refusals. */
export type General = KeyConflict | BadItem | Unavailable

export interface Command<Payload, Success, Refusal> {
  readonly name: string
  readonly payload: Schema.Codec<Payload, unknown>
  readonly success: Schema.Codec<Success, unknown>
  readonly failure: Schema.Codec<Refusal | General, unknown>
  readonly keyOf: (payload: Payload) => string
  /** The same for two payloads that ask for the same. */
  readonly digestOf: (payload: Payload) => string
}

/** An item as it reaches the operation that runs it. */
export interface Received<Payload> {
  readonly key: string
  readonly digest: string
  readonly traceparent: string | null
  readonly payload: Payload
}

export const make = <
  const Name extends string,
  Payload extends Schema.Codec<unknown, unknown>,
  Success extends Schema.Codec<unknown, unknown>,
  const Errors extends ReadonlyArray<Schema.Codec<{ readonly _tag: string }, unknown>>
>(
  name: Name,
  declaration: {
    readonly description: string
    readonly payload: Payload
    readonly success: Success
    /** Definite refusals: whoever asks again is told the same, whatever has changed. */
    readonly errors: Errors
    readonly key: (payload: Payload["Type"]) => string
    /** What has to be equal for two payloads to ask for the same; all of it, unless told. */
    readonly content?: (payload: Payload["Type"]) => unknown
  }
) => {
  const { description, errors, key, payload, success } = declaration
  const failure = Schema.Union([...errors, KeyConflict, BadItem, Unavailable])
  const content = declaration.content ?? Schema.encodeUnknownSync(Schema.toCodecJson(payload))
  const endpoint = HttpApiEndpoint.post(name, `/commands/${name}`, {
    payload: Wire.batchOf(payload),
    success: Wire.answerOf(success, failure)
  })
    .middleware(Admission)
    .middleware(ServiceToken)
    .annotate(OpenApi.Description, `${description} A batch: one outcome an item, in order; a bad item fails alone.`)
  return {
    name,
    payload,
    success,
    failure,
    endpoint,
    keyOf: key,
    digestOf: (asked: Payload["Type"]) => digestOf(content(asked))
  }
}
