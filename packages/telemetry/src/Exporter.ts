/**
 * Sends what is recorded, in the background. Whatever the other end does, a service is not held up by it: the queue has a bound, what
 * does not fit is dropped and counted, one request is on its way at a time, and the process does not wait for it when it ends.
 */
import { type Duration, Effect, Exit, Latch, Metric, Schedule, Schema } from "effect"
import { type HttpBody, HttpClient, HttpClientRequest } from "effect/http"

export interface Options<Item> {
  readonly signal: "traces" | "logs"
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly encode: (items: ReadonlyArray<Item>) => HttpBody.HttpBody
  /** How many items wait at most. */
  readonly mostWaiting: number
  /** How many go into one request. */
  readonly mostAtOnce: number
  /** How long to wait for more before what there is is sent. */
  readonly every: Duration.Duration
  /** How long a request may take. */
  readonly timeout: Duration.Duration
}

const outcomes = (signal: string) => {
  const count = (outcome: string, description: string) =>
    Metric.counter(`telemetry_${outcome}_total`, { incremental: true, description, attributes: { signal } })
  return {
    exported: count("exported", "Spans and log lines that the other end has taken."),
    dropped: count("dropped", "Spans and log lines that were thrown away: the queue was full, or nobody took them.")
  }
}

/** Answers how something is handed over, which takes no time and never fails. */
export const make = Effect.fnUntraced(function* <Item>(options: Options<Item>) {
  const { encode, every, headers, mostAtOnce, mostWaiting, signal, timeout, url } = options
  const client = yield* HttpClient.HttpClient
  const context = yield* Effect.context<never>()
  const isEnough = yield* Latch.make(false)
  const { dropped, exported } = outcomes(signal)
  const request = HttpClientRequest.post(url, { headers })
  let waiting: Array<Item> = []
  let isTold = false

  // So that there is a zero to compare with.
  exported.updateUnsafe(0, context)
  dropped.updateUnsafe(0, context)

  const post = (body: HttpBody.HttpBody) =>
    Effect.gen(function* () {
      const response = yield* client.execute(HttpClientRequest.setBody(request, body))
      // Until its answer is read, a connection serves no other request.
      yield* Effect.ignore(response.arrayBuffer)
      if (response.status >= 300) return yield* new Refused({ status: response.status })
    }).pipe(Effect.timeout(timeout))

  const send = Effect.fnUntraced(function* (items: ReadonlyArray<Item>) {
    const sent = yield* Effect.suspend(() => post(encode(items))).pipe(
      Effect.retry({ schedule: pauses, times: 3, while: isWorthAnotherTry }),
      Effect.exit
    )
    yield* Metric.update(Exit.isSuccess(sent) ? exported : dropped, items.length)
    if (Exit.isSuccess(sent) === isTold) {
      isTold = !isTold
      yield* isTold
        ? Effect.logWarning(`${signal} cannot be exported to ${url}, and are dropped until they can`)
        : Effect.logInfo(`${signal} are exported again`)
    }
  })

  const sendSome = Effect.suspend(() => {
    const items = waiting.slice(0, mostAtOnce)
    waiting = waiting.slice(mostAtOnce)
    if (waiting.length < mostAtOnce) isEnough.closeUnsafe()
    return items.length === 0 ? Effect.void : send(items)
  })

  yield* Effect.timeoutOption(isEnough.await, every).pipe(
    Effect.andThen(sendSome),
    Effect.sandbox,
    Effect.ignore,
    Effect.forever,
    Effect.forkScoped,
    Effect.withTracerEnabled(false)
  )
  yield* Effect.addFinalizer(() =>
    Effect.repeat(sendSome, { while: () => waiting.length > 0 }).pipe(
      Effect.timeoutOption(lastWords),
      Effect.withTracerEnabled(false)
    )
  )

  return (item: Item) => {
    if (waiting.length >= mostWaiting) return dropped.updateUnsafe(1, context)
    waiting.push(item)
    if (waiting.length >= mostAtOnce) isEnough.openUnsafe()
  }
})

class Refused extends Schema.TaggedError<Refused>()("Refused", { status: Schema.Int }) {}

/** What the other end says is wrong will be wrong again. */
const isWorthAnotherTry = (error: unknown) =>
  !(error instanceof Refused) || error.status === 429 || (error.status >= 502 && error.status <= 504)

const pauses = Schedule.jittered(Schedule.exponential("250 millis"))

/** For a process at its end. */
const lastWords = "1 second"
