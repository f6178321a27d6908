/**
 * Keeps the spans of a local run, for `npm run trace`: a receiver for what services export, and a file that has a bound.
 *
 * Only where nobody has said where traces go. What is exported is written down as it comes, and read when somebody asks.
 */
import { createServer } from "node:http"

import * as TelemetrySettings from "@ecommerce/chassis/Telemetry/Settings"
import * as Received from "@ecommerce/telemetry/Received"
import { NodeHttpServer } from "@effect/platform-node"
import { Effect, FileSystem, Layer, Option, Path, Ref, Schema, Semaphore, Stream } from "effect"
import { HttpRouter, HttpServer, HttpServerRequest, HttpServerResponse } from "effect/http"

import * as Repository from "./Repository.ts"

/** Two files of this size at most: the one that is written, and the one before. */
const mostBytes = 48 * 1024 * 1024

const filesIn = Effect.fnUntraced(function* (dataDirectory: string) {
  const path = yield* Path.Path
  const directory = path.join(dataDirectory, "traces")
  return { directory, now: path.join(directory, "spans.jsonl"), before: path.join(directory, "spans.before.jsonl") }
})

/** What services have to be told, so that their spans are kept. Nothing where they go somewhere already. */
export const start = Effect.fn("SpanKeeper.start")(function* (dataDirectory: string) {
  if (!(yield* isWanted)) return {}
  const { before, directory, now } = yield* filesIn(dataDirectory)
  yield* Repository.makeFolder(directory)
  const fileSystem = yield* FileSystem.FileSystem
  const sizeNow = Effect.map(fileSystem.stat(now), (info) => Number(info.size))
  const size = yield* Ref.make(yield* Effect.orElseSucceed(sizeNow, () => 0))
  const oneAtATime = yield* Semaphore.make(1)

  const write = Effect.fnUntraced(function* (text: string) {
    if ((yield* Ref.get(size)) > mostBytes) {
      yield* fileSystem.rename(now, before)
      yield* Ref.set(size, 0)
    }
    yield* fileSystem.writeFileString(now, `${text}\n`, { flag: "a" })
    yield* Ref.update(size, (bytes) => bytes + text.length)
  })

  const take = HttpServerRequest.HttpServerRequest.use(({ text }) =>
    Effect.as(
      Effect.ignore(Effect.flatMap(text, (body) => oneAtATime.withPermits(1)(write(body)))),
      HttpServerResponse.jsonUnsafe({})
    )
  )

  const served = yield* Layer.build(
    HttpRouter.serve(
      HttpRouter.use((router) => router.add("POST", "/v1/traces", take)),
      { disableLogger: true, disableListenLog: true }
    ).pipe(Layer.provideMerge(NodeHttpServer.layer(() => createServer(), { port: 0, host: "127.0.0.1" })))
  ).pipe(Effect.orDie)
  const url = yield* Effect.provide(HttpServer.addressFormattedWith(Effect.succeed), served)
  return { OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: `${url}/v1/traces`, OTEL_EXPORTER_OTLP_PROTOCOL: "http/json" }
})

const isWanted = Effect.gen(function* () {
  const isGiven = Option.isSome(yield* TelemetrySettings.target("traces"))
  return !isGiven && (yield* TelemetrySettings.isExported("traces"))
})

const decode = Schema.decodeUnknownOption(Schema.fromJsonString(Received.Traces))

/** All spans of the traces in which this order occurs, as far as they were kept. */
export const find = Effect.fn("SpanKeeper.find")(function* (dataDirectory: string, orderId: string) {
  const fileSystem = yield* FileSystem.FileSystem
  const { before, now } = yield* filesIn(dataDirectory)
  const read = (isWanted: (line: string) => boolean) =>
    Effect.forEach([before, now], (file) =>
      fileSystem.stream(file).pipe(
        Stream.decodeText(),
        Stream.splitLines,
        Stream.filter(isWanted),
        Stream.runCollect,
        // There may be none yet.
        Effect.orElseSucceed((): Array<string> => [])
      )
    ).pipe(
      Effect.map((files) =>
        files
          .flat()
          .flatMap((line) => Option.toArray(Option.map(decode(line), Received.spansIn)))
          .flat()
      )
    )

  const own = yield* read((line) => line.includes(orderId))
  const traces = new Set(
    own.filter(({ attributes }) => attributes["order.id"] === orderId).map(({ traceId }) => traceId)
  )
  const all = yield* read((line) => [...traces].some((traceId) => line.includes(traceId)))
  return all.filter(({ traceId }) => traces.has(traceId))
})
