import * as Otlp from "@ecommerce/telemetry/Otlp"
import * as Received from "@ecommerce/telemetry/Received"
import * as Sampler from "@ecommerce/telemetry/Sampler"
import { scrub } from "@ecommerce/telemetry/Scrub"
import * as SpanTracer from "@ecommerce/telemetry/SpanTracer"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Logger, References, Schema, Tracer } from "effect"
import { OtlpResource, OtlpSerialization } from "effect/observability"

const decodeTraces = Schema.decodeUnknownSync(Schema.fromJsonString(Received.Traces))

const recordedBy = Effect.fnUntraced(function* <A, E>(work: Effect.Effect<A, E>) {
  const spans: Array<SpanTracer.EndedSpan> = []
  const tracer = SpanTracer.make({
    sampler: Sampler.make("always_on", 1),
    mostHeld: 0,
    record: (span) => spans.push(span)
  })
  yield* Effect.exit(Effect.provide(work, Layer.succeed(Tracer.Tracer, tracer)))
  return spans
})

const exportOf = (spans: ReadonlyArray<SpanTracer.EndedSpan>) => ({
  resourceSpans: [
    {
      resource: OtlpResource.make({ serviceName: "edge-api" }),
      scopeSpans: [{ scope: { name: "test" }, spans: spans.map(Otlp.spanOf) }]
    }
  ]
})

/** What a collector reads of it. */
const told = Effect.fnUntraced(function* <A, E>(work: Effect.Effect<A, E>) {
  return Received.spansIn(decodeTraces(JSON.stringify(exportOf(yield* recordedBy(work)))))
})

class Refused extends Schema.TaggedError<Refused>()("Refused", { reason: Schema.String, card: Schema.String }) {}

const statement = (text: string) => ({ kind: "client" as const, attributes: { "db.query.text": text } })

describe("a span, as it is exported", () => {
  it.effect("has its place in its trace, its times, its service and what was said of it", () =>
    Effect.gen(function* () {
      const [inner, outer] = yield* told(
        Effect.void.pipe(
          Effect.withSpan("inner", {
            kind: "consumer",
            attributes: { "order.id": "7", n: 3, isLate: true, share: 0.5 }
          }),
          Effect.withSpan("outer")
        )
      )
      assert.containSubset(inner, { name: "inner", kind: "consumer", service: "edge-api", error: undefined })
      assert.deepStrictEqual(inner?.attributes, { "order.id": "7", n: 3, isLate: true, share: 0.5 })
      assert.deepStrictEqual([inner?.traceId, inner?.parentSpanId], [outer?.traceId, outer?.spanId])
      assert.isTrue(outer !== undefined && inner !== undefined && outer.startNanos <= inner.startNanos)
    })
  )

  it.effect("is named by what a statement does, and tells the statement in one line", () =>
    Effect.gen(function* () {
      const texts = [
        "\n  INSERT INTO outbox (a)\n  SELECT 1",
        "SELECT * FROM orders WHERE id = $1 FOR NO KEY UPDATE",
        "WITH locked AS (SELECT id FROM sagas ORDER BY id FOR NO KEY UPDATE) UPDATE sagas SET a = 1",
        "DELETE FROM checkouts WHERE true",
        "COMMIT"
      ]
      const statements = Effect.forEach(texts, (text) => Effect.withSpan(Effect.void, "sql", statement(text)))
      const spans = (yield* told(Effect.withSpan(statements, "all"))).filter(({ kind }) => kind === "client")
      assert.deepStrictEqual(
        spans.map(({ name }) => name),
        ["INSERT outbox", "SELECT orders", "UPDATE sagas", "DELETE checkouts", "COMMIT"]
      )
      assert.strictEqual(spans[0]?.attributes["db.query.text"], "INSERT INTO outbox (a) SELECT 1")
    })
  )

  it.effect("that failed tells how in a word; what it failed with may hold anything, and is left out", () =>
    Effect.gen(function* () {
      const refusal = new Refused({ reason: "card_declined", card: "4242 4242" })
      const [span] = yield* recordedBy(Effect.withSpan(Effect.fail(refusal), "authorize"))
      const [read] = yield* told(Effect.withSpan(Effect.fail(refusal), "authorize"))
      assert.deepStrictEqual([read?.error, read?.attributes["error.type"]], ["card_declined", "Refused"])
      assert.notInclude(JSON.stringify(span === undefined ? "" : Otlp.spanOf(span)), "4242")
    })
  )

  it.effect("that died tells where, without what others wrote into the message", () =>
    Effect.gen(function* () {
      const bug = Effect.die(new Error("No place for grace@example.com with tok_visa_1"))
      const [span] = yield* recordedBy(Effect.withSpan(bug, "run"))
      const sent = span === undefined ? undefined : Otlp.spanOf(span)
      assert.strictEqual(sent?.status.message, "No place for (e-mail) with (card token)")
      const text = JSON.stringify(sent?.events)
      assert.include(text, "Otlp.test.ts")
      assert.notMatch(text, /grace|tok_visa/u)
    })
  )

  it.effect("is told in protobuf too", () =>
    Effect.gen(function* () {
      const spans = yield* recordedBy(
        Effect.withSpan(Effect.void, "POST", { attributes: { "order.id": "id-of-order" } })
      )
      const { traces } = yield* OtlpSerialization.OtlpSerialization
      const sent = traces(exportOf(spans))
      const bytes = Buffer.from(sent._tag === "Uint8Array" ? sent.body : [])
      for (const part of ["edge-api", "POST", "order.id", "id-of-order"]) assert.isTrue(bytes.includes(part), part)
      assert.isTrue(bytes.includes(Buffer.from(spans[0]?.traceId ?? "", "hex")))
    }).pipe(Effect.provide(OtlpSerialization.layerProtobuf))
  )
})

describe("a log line, as it is exported", () => {
  it.effect("carries the trace in which it was written, and no secret of what went wrong", () =>
    Effect.gen(function* () {
      const lines: Array<ReturnType<typeof Otlp.logOf>> = []
      const logger = Logger.layer([Logger.make((line) => lines.push(Otlp.logOf(line)))])
      const [span] = yield* recordedBy(
        Effect.logWarning("It went wrong for grace@example.com", new Error("postgres://shop:hunter2@db/shop")).pipe(
          Effect.annotateLogs({ "order.id": "7" }),
          Effect.withSpan("order"),
          Effect.provide([logger, Layer.succeed(References.MinimumLogLevel, "Info")])
        )
      )
      const [line] = lines
      assert.strictEqual(line?.traceId, span?.traceId)
      assert.strictEqual(line?.severityText, "Warn")
      assert.include(JSON.stringify(line?.attributes), '{"key":"order.id","value":{"stringValue":"7"}}')
      assert.notMatch(JSON.stringify(line), /hunter2|grace/u)
      assert.include(JSON.stringify(line), "(password)")
    })
  )
})

describe("what is scrubbed", () => {
  it("is looked for in no time, however long the text is", () => {
    const began = performance.now()
    assert.isBelow(scrub(`${"a".repeat(1_000_000)} and more`).length, 10_000)
    assert.isBelow(performance.now() - began, 5000)
  })

  it.effect.each([
    ["from Ada.L+shop@mail.example.co.uk to", "from (e-mail) to"],
    ["tok_visa_success and tok_1", "(card token) and (card token)"],
    ["authorization: Bearer abc.DEF-123_~+/==", "authorization: Bearer (token)"],
    ["postgresql://inventory:s3cret@db:5432/x", "postgresql://inventory:(password)@db:5432/x"],
    ["place-order 01a21422 again in 50 ms @ noon", "place-order 01a21422 again in 50 ms @ noon"]
  ] as const)("%s", ([text, expected]) => Effect.sync(() => assert.strictEqual(scrub(text), expected)))
})
