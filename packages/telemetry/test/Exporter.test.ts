import * as Exporter from "@ecommerce/telemetry/Exporter"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Duration, Effect, Layer, Metric, Ref, References, Schema } from "effect"
import { HttpBody, HttpClient, HttpClientResponse } from "effect/http"

const decodeItems = Schema.decodeUnknownSync(Schema.fromJsonString(Schema.Array(Schema.Number)))

/** The other end: what it has taken, and what it does with the next request. */
const makeOtherEnd = Effect.gen(function* () {
  const taken = yield* Ref.make<ReadonlyArray<ReadonlyArray<number>>>([])
  const requests = yield* Ref.make(0)
  const mood = yield* Ref.make<Effect.Effect<number>>(Effect.succeed(200))
  const client = HttpClient.make((request) =>
    Effect.gen(function* () {
      yield* Ref.update(requests, (count) => count + 1)
      const status = yield* Effect.flatten(Ref.get(mood))
      const { body } = request
      if (status === 200 && body._tag === "Uint8Array") {
        const items = decodeItems(Buffer.from(body.body).toString())
        yield* Ref.update(taken, (before) => [...before, items])
      }
      return HttpClientResponse.fromWeb(request, new Response("{}", { status }))
    })
  )
  return {
    client,
    taken: Ref.get(taken),
    requests: Ref.get(requests),
    be: (next: Effect.Effect<number>) => Ref.set(mood, next)
  }
})

const options = {
  signal: "traces" as const,
  url: "http://collector/v1/traces",
  headers: {},
  encode: (items: ReadonlyArray<number>) => HttpBody.text(JSON.stringify(items)),
  mostWaiting: 10,
  mostAtOnce: 4,
  every: Duration.seconds(1),
  timeout: Duration.seconds(10)
}

const counts = Effect.map(Metric.snapshot, (all) =>
  Object.fromEntries(
    all.flatMap(({ id, state }) => (id.startsWith("telemetry_") && "count" in state ? [[id, Number(state.count)]] : []))
  )
)

const own = Layer.mergeAll(
  Layer.sync(Metric.MetricRegistry, () => new Map()),
  Layer.succeed(References.MinimumLogLevel, "None")
)

type OtherEnd = Effect.Success<typeof makeOtherEnd>

const exporting = <A, E>(
  test: (push: (item: number) => void, otherEnd: OtherEnd) => Effect.Effect<A, E>,
  more: Partial<typeof options> = {}
) =>
  Effect.gen(function* () {
    const otherEnd = yield* makeOtherEnd
    const push = yield* Effect.provideService(
      Exporter.make({ ...options, every: Duration.millis(20), ...more }),
      HttpClient.HttpClient,
      otherEnd.client
    )
    return yield* test(push, otherEnd)
  }).pipe(Effect.scoped, Effect.provide(own))

const until = (condition: Effect.Effect<boolean>) =>
  Effect.repeat(Effect.delay(condition, "5 millis"), { until: (isSo) => isSo }).pipe(Effect.timeout("100 seconds"))

const numbers = (count: number) => Array.from({ length: count }, (_, place) => place)

describe("exporting", () => {
  it.live("sends what there is after a while, in portions, in order", () =>
    exporting((push, { taken }) =>
      Effect.gen(function* () {
        for (const item of numbers(9)) push(item)
        yield* until(Effect.map(taken, (batches) => batches.flat().length === 9))
        assert.deepStrictEqual((yield* taken).flat(), numbers(9))
        assert.isTrue((yield* taken).every((batch) => batch.length <= 4))
        assert.deepStrictEqual(yield* counts, { telemetry_exported_total: 9, telemetry_dropped_total: 0 })
      })
    )
  )

  it.live(
    "to somebody who does not answer keeps as much as it may, drops and counts the rest, and holds up nobody",
    () =>
      exporting((push, { be, requests, taken }) =>
        Effect.gen(function* () {
          const answer = yield* Deferred.make<number>()
          yield* be(Deferred.await(answer))
          push(0)
          yield* until(Effect.map(requests, (count) => count === 1))
          for (const item of numbers(1000)) push(item)
          assert.strictEqual((yield* counts)["telemetry_dropped_total"], 990)
          yield* Effect.sleep("100 millis")
          assert.strictEqual(yield* requests, 1, "one request at a time")
          yield* be(Effect.succeed(200))
          yield* Deferred.succeed(answer, 200)
          yield* until(Effect.map(taken, (batches) => batches.flat().length === 11))
          assert.strictEqual((yield* counts)["telemetry_exported_total"], 11)
        })
      )
  )

  it.live("tries again what may be taken later, and drops what will never be", () =>
    exporting((push, { be, requests, taken }) =>
      Effect.gen(function* () {
        yield* be(Effect.succeed(503))
        push(1)
        yield* until(Effect.map(requests, (count) => count === 2))
        yield* be(Effect.succeed(200))
        yield* until(Effect.map(taken, (batches) => batches.length === 1))
        const before = yield* requests
        yield* be(Effect.succeed(400))
        push(2)
        yield* until(Effect.map(counts, (now) => now["telemetry_dropped_total"] === 1))
        assert.strictEqual(yield* requests, before + 1)
      })
    )
  )

  it.live("sends at its end what is still there, and does not wait for an answer that does not come", () =>
    Effect.gen(function* () {
      const later = { every: Duration.minutes(1) }
      const taken = yield* exporting(
        (push, end) =>
          Effect.as(
            Effect.sync(() => push(7)),
            end.taken
          ),
        later
      )
      assert.deepStrictEqual(yield* taken, [[7]])
      const stop = exporting(
        (push, { be }) =>
          Effect.andThen(
            be(Effect.never),
            Effect.sync(() => push(8))
          ),
        later
      )
      yield* Effect.timeout(stop, "100 seconds")
    })
  )
})
