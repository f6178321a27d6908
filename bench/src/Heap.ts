/**
 * What a process of Node holds once its collector has been made to come: asked for as a debugger does.
 *
 * What it has from the kernel tells something else: how much room the collector takes as long as nobody needs it.
 */
import { StartupError } from "@ecommerce/chassis/StartupError"
import { Effect, Option, Schema } from "effect"
import { HttpClient } from "effect/http"
import { Socket } from "effect/socket"

const Targets = Schema.NonEmptyArray(Schema.Struct({ webSocketDebuggerUrl: Schema.String }))

const request = Schema.encodeSync(
  Schema.fromJsonString(
    Schema.Struct({
      id: Schema.Int,
      method: Schema.String,
      params: Schema.optionalKey(Schema.Struct({ expression: Schema.String }))
    })
  )
)
/** The heap, and the buffers beside it. */
const Usage = Schema.Struct({ usedSize: Schema.Number, backingStorageSize: Schema.Number })
const usageOf = Schema.decodeOption(Schema.fromJsonString(Schema.Struct({ result: Usage })))

/**
 * One collection, as it comes by itself too. The profiler's own (`HeapProfiler.collectGarbage`) collects up to seven times and throws
 * away compiled code as well: under load a service stood still for so long that its neighbours took it for away.
 */
const questions = [
  request({ id: 1, method: "Runtime.evaluate", params: { expression: "gc()" } }),
  request({ id: 2, method: "Runtime.getHeapUsage" })
] as const

/** What a process is started with to answer here. */
export const inspectedAt = (port: number): ReadonlyArray<string> => ["--expose-gc", `--inspect=127.0.0.1:${port}`]

/** In MiB. */
export const heldAt = Effect.fn("Heap.heldAt")(
  function* (port: number) {
    const client = yield* HttpClient.HttpClient
    const response = yield* client.get(`http://127.0.0.1:${port}/json/list`)
    const [target] = yield* Schema.decodeUnknownEffect(Targets)(yield* response.json)
    const socket = yield* Socket.makeWebSocket(target.webSocketDebuggerUrl)
    const pull = yield* Socket.readerString(socket)
    const writer = yield* socket.writer
    yield* writer.writeAll(questions)
    const found = yield* pull.pipe(
      Effect.map((frames) => Option.firstSomeOf(frames.map((frame) => usageOf(frame)))),
      Effect.repeat({ until: Option.isSome }),
      Effect.flatMap(Effect.fromOption)
    )
    const { backingStorageSize, usedSize } = found.result
    return (usedSize + backingStorageSize) / 2 ** 20
  },
  Effect.scoped,
  Effect.timeout("10 seconds"),
  (held, port) =>
    Effect.mapError(
      held,
      (error) => new StartupError({ message: `What a process holds cannot be asked at port ${port}: ${error.message}` })
    )
)
