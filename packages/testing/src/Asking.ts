/**
 * Commands over the wire, as nobody's client sends them: for tests of what a service answers to whatever comes.
 */
import type { Command } from "@ecommerce/commands/Command"
import { assert } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { HttpClient, HttpClientRequest } from "effect/http"

import { TestDatabase } from "./TestDatabase.ts"

/** A command with its payload for a key, encoded as the wire wants it. */
export interface Asked<World> {
  readonly name: string
  readonly payload: (key: string, world: World) => unknown
}

export const asked = <Payload, Success, Refusal, World = unknown>(
  command: Command<Payload, Success, Refusal>,
  payload: (key: string, world: World) => Payload
): Asked<World> => {
  const encode = Schema.encodeSync(Schema.toCodecJson(command.payload))
  return { name: command.name, payload: (key, world) => encode(payload(key, world)) }
}

/** One batch over the wire; the outcomes as they came. */
export const send = Effect.fn("send")(function* (
  name: string,
  items: ReadonlyArray<{ readonly key: string; readonly payload: unknown }>
) {
  const { serviceToken } = yield* TestDatabase
  const request = HttpClientRequest.post(`/commands/${name}`).pipe(
    HttpClientRequest.bearerToken(serviceToken),
    HttpClientRequest.bodyJsonUnsafe({ commands: items })
  )
  const response = yield* HttpClient.execute(request)
  if (response.status !== 200) return yield* Effect.fail(`${name} answered with status ${response.status}`)
  const { outcomes } = yield* Effect.flatMap(response.json, decodeAnswer)
  assert.strictEqual(outcomes.length, items.length)
  return outcomes
})

const decodeAnswer = Schema.decodeUnknownEffect(Schema.Struct({ outcomes: Schema.Array(Schema.Unknown) }))

/** What each outcome is, in one word. */
export const told = (outcomes: ReadonlyArray<unknown>) =>
  decodeOutcomes(outcomes).map((outcome) => (outcome._tag === "Success" ? "ok" : outcome.failure._tag))

const decodeOutcomes = Schema.decodeUnknownSync(
  Schema.Array(
    Schema.Union([
      Schema.Struct({ _tag: Schema.Literal("Success") }),
      Schema.Struct({ _tag: Schema.Literal("Failure"), failure: Schema.Struct({ _tag: Schema.String }) })
    ])
  )
)
