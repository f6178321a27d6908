/**
 * Asking commands of another service: written for one, sent in batches.
 *
 * A call answers its command's success or one of its failures, and nothing else: what goes wrong on the way (no connection,
 * no answer in time, a status other than 200, an answer that cannot be understood) is `Unavailable`, which means that it
 * may or may not have happened. Whoever calls again under the same key has it once.
 */
import * as Traceparent from "@ecommerce/protocol/Traceparent"
import * as Batcher from "@ecommerce/sets/Batcher"
import * as Trace from "@ecommerce/telemetry/Trace"
import { Duration, Effect, Metric, type Redacted, Result, Schema } from "effect"
import { HttpClient, HttpClientRequest } from "effect/http"

import { BadItem, type Command, type General, Unavailable } from "./Command.ts"
import * as Wire from "./Wire.ts"

/** Where a service's commands are served. */
export interface Server {
  /** Without the path: `http://localhost:3001`. */
  readonly url: string
  /** One of those that the server knows. */
  readonly token: Redacted.Redacted<string>
  /** How long a batch may take, whoever still waits for it, and how long a call may wait for its batch. Ten seconds unless told. */
  readonly timeout?: Duration.Input
  /** How many items go into one request at most. 256 unless told. */
  readonly mostItems?: number
}

/**
 * A command of this server as a function: `const reserveStock = yield* CommandClient.to(server)(Inventory.reserveStock)`.
 * Its batches live in the scope in which it is made.
 */
export const to = (server: Server) =>
  Effect.fnUntraced(function* <Payload, Success, Refusal>(command: Command<Payload, Success, Refusal>) {
    type Outcome = Result.Result<Success, Refusal | General>
    const client = yield* HttpClient.HttpClient
    const timeout = Duration.fromInputUnsafe(server.timeout ?? "10 seconds")
    const encode = Schema.encodeUnknownResult(Schema.fromJsonString(Schema.toCodecJson(command.payload)))
    const decode = Schema.decodeUnknownResult(Schema.toCodecJson(Schema.Result(command.success, command.failure)))
    const request = HttpClientRequest.post(new URL(`/commands/${command.name}`, server.url)).pipe(
      HttpClientRequest.bearerToken(server.token)
    )

    const unavailable = (reason: string) => Result.fail(new Unavailable({ command: command.name, reason }))
    const understood = (outcome: unknown): Outcome =>
      Result.getOrElse(decode(outcome), () => unavailable("The outcome cannot be understood."))

    const send = Effect.fnUntraced(function* (items: ReadonlyArray<string>) {
      const response = yield* client.execute(
        HttpClientRequest.bodyText(request, Wire.bodyOf(items), "application/json")
      )
      if (response.status !== 200) {
        // Not a matter of load: somebody has to set something right.
        if (response.status < 500) yield* Effect.logWarning(`${request.url} answered with status ${response.status}`)
        // Until its answer is read, a connection serves no other request.
        yield* Effect.ignore(response.arrayBuffer)
        return yield* Effect.fail(`The answer had the status ${response.status}.`)
      }
      const { outcomes } = yield* Effect.mapError(
        Effect.flatMap(response.json, decodeAnswer),
        () => "The answer cannot be understood."
      )
      if (outcomes.length !== items.length) return yield* Effect.fail("The answer has another number of outcomes.")
      return outcomes.map(understood)
    })

    const { hostname, port } = new URL(server.url)
    const where = { "rpc.method": command.name, "server.address": hostname, "server.port": Number(port) }
    const requests = Metric.withAttributes(duration, { command: command.name, server: `${hostname}:${port}` })

    const timed = <A, E>(sent: Effect.Effect<A, E>) =>
      Effect.flatMap(Effect.timed(Effect.exit(sent)), ([took, exit]) =>
        Effect.andThen(
          Metric.update(Metric.withAttributes(requests, { outcome: exit._tag }), Duration.toSeconds(took)),
          exit
        )
      )

    const ask = yield* Batcher.make<string, Outcome>({
      name: command.name,
      workers: 2,
      linger: "2 millis",
      mostItems: Math.min(server.mostItems ?? 256, Wire.mostItems),
      mostBytes: Wire.mostBytes,
      bytesOf: (item) => Buffer.byteLength(item),
      run: (items) =>
        timed(
          Effect.timeoutOrElse(send(items), {
            duration: timeout,
            orElse: () => Effect.fail(`There was no answer within ${Duration.format(timeout)}.`)
          })
        ).pipe(
          Effect.catchTag("HttpClientError", () => Effect.fail("The service cannot be reached.")),
          Effect.catch((reason) => Effect.succeed(items.map(() => unavailable(reason)))),
          Effect.tapDefect((defect) => Effect.logError(`A batch of ${command.name} died`, defect))
        ),
      mostWaiting: 10_000,
      patience: timeout,
      lost: (_item, why) => unavailable(reasons[why])
    })

    const call = Effect.fnUntraced(function* (payload: Payload) {
      const key = command.keyOf(payload)
      const encoded = encode(payload)
      if (Result.isFailure(encoded)) return yield* new BadItem({ key, reason: encoded.failure.message })
      // Of the order's own span, so that its work is found there and not under its batch.
      const item = Wire.itemJson(key, encoded.success, yield* Traceparent.current)
      if (Buffer.byteLength(item) > Wire.mostBytes) {
        return yield* new BadItem({ key, reason: `It is larger than ${Wire.mostBytes} bytes.` })
      }
      return yield* Effect.fromResult(yield* ask(item))
    })

    return (payload: Payload) =>
      Effect.flatMap(Trace.here, (caller) =>
        caller === undefined
          ? call(payload)
          : Trace.span(command.name, () => ({ kind: "client", attributes: { ...where, ...Trace.idsIn(payload) } }))(
              call(payload)
            )
      )
  })

const duration = Metric.histogram("http_client_request_duration_seconds", {
  description: "How long batches of commands took that were asked of another service, by command, server and outcome.",
  boundaries: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
  attributes: { unit: "s" }
})

const reasons: Readonly<Record<Batcher.Loss, string>> = {
  closed: "The client was closed.",
  crowded: "Too many calls wait for this service already.",
  "waited too long": "It waited too long for the batches before it.",
  died: "Its batch failed before it had an answer."
}

const decodeAnswer = Schema.decodeUnknownEffect(Schema.Struct({ outcomes: Schema.Array(Schema.Unknown) }))
