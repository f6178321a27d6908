import * as Sampler from "@ecommerce/telemetry/Sampler"
import * as SpanTracer from "@ecommerce/telemetry/SpanTracer"
import * as Trace from "@ecommerce/telemetry/Trace"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Option, Tracer } from "effect"

/** What is recorded while this runs, by name. */
const recordedBy = Effect.fnUntraced(function* <A, E>(
  work: Effect.Effect<A, E>,
  options: { readonly ratio?: number; readonly mostHeld?: number } = {}
) {
  const { mostHeld = 100, ratio = 1 } = options
  const spans: Array<SpanTracer.EndedSpan> = []
  const tracer = SpanTracer.make({
    sampler: Sampler.make("parentbased_traceidratio", ratio),
    mostHeld,
    record: (span) => spans.push(span)
  })
  yield* Effect.exit(Effect.provide(work, Layer.succeed(Tracer.Tracer, tracer)))
  return spans
})

const namesOf = (spans: ReadonlyArray<SpanTracer.EndedSpan>) => spans.map(({ name }) => name)

const order = { "order.id": "1" }
const inOrder = <A, E>(work: Effect.Effect<A, E>, name = "order") => Effect.withSpan(work, name, { attributes: order })

describe("a trace that the sampler leaves out", () => {
  it.effect("is not recorded where all goes well", () =>
    Effect.gen(function* () {
      const spans = yield* recordedBy(inOrder(Effect.withSpan(Effect.void, "step")), { ratio: 0 })
      assert.deepStrictEqual(namesOf(spans), [])
    })
  )

  it.effect("is recorded whole where something of its order fails: what came before, and what comes later", () =>
    Effect.gen(function* () {
      const work = Effect.gen(function* () {
        yield* Effect.withSpan(Effect.void, "before")
        yield* Effect.ignore(inOrder(Effect.fail("no"), "refused"))
        yield* Effect.withSpan(Effect.void, "after")
      })
      assert.deepStrictEqual(namesOf(yield* recordedBy(inOrder(work), { ratio: 0 })), [
        "before",
        "refused",
        "after",
        "order"
      ])
      assert.deepStrictEqual(namesOf(yield* recordedBy(inOrder(work), { ratio: 0, mostHeld: 0 })), [])
    })
  )

  it.effect("is recorded whole where somebody else says so", () =>
    Effect.gen(function* () {
      const work = Effect.gen(function* () {
        const { traceId } = yield* Effect.currentSpan
        yield* Effect.withSpan(Effect.void, "before")
        const parent = Tracer.externalSpan({ traceId, spanId: "00f067aa0ba902b7", sampled: true })
        yield* Effect.withSpan(Effect.void, "undo", { parent })
      })
      assert.deepStrictEqual(namesOf(yield* recordedBy(inOrder(work), { ratio: 0 })), ["before", "undo"])
    })
  )

  it.effect("is left out also where what fails is of no order, or was only cut off", () =>
    Effect.gen(function* () {
      const missed = Effect.ignore(Effect.withSpan(Effect.fail("not found"), "look"))
      const cutOff = inOrder(Effect.interrupt)
      const spans = yield* recordedBy(Effect.andThen(missed, cutOff), { ratio: 0 })
      assert.deepStrictEqual(namesOf(spans), [])
    })
  )

  it.effect("is forgotten when too much is held, the oldest first", () =>
    Effect.gen(function* () {
      const root = (name: string, then: Effect.Effect<void, string>) =>
        Effect.ignore(Effect.withSpan(then, name, { root: true, attributes: order }))
      const slow = Effect.gen(function* () {
        yield* Effect.withSpan(Effect.void, "early")
        yield* Effect.forEach([1, 2, 3], () => root("other", Effect.void))
        return yield* Effect.fail("too late")
      })
      const spans = yield* recordedBy(root("slow", slow), { ratio: 0, mostHeld: 2 })
      assert.deepStrictEqual(namesOf(spans), ["slow"])
    })
  )
})

describe("work that is done for several at once", () => {
  const threeAtOnce = Effect.gen(function* () {
    const spans = yield* Effect.forEach(["a", "b", "c"], (name) =>
      Effect.makeSpan(name, { root: true, attributes: { "order.id": name } })
    )
    yield* Trace.together("batch", spans)(Effect.withSpan(Effect.void, "statement"))
    for (const span of spans) span.end(0n, yield* Effect.exit(Effect.void))
  })

  it.effect("has a trace of its own, and each of the others and it are linked with each other", () =>
    Effect.gen(function* () {
      const spans = yield* recordedBy(threeAtOnce)
      const [statement, batch, ...ones] = spans
      assert.deepStrictEqual(namesOf(spans), ["statement", "batch", "a", "b", "c"])
      assert.strictEqual(statement?.traceId, batch?.traceId)
      assert.strictEqual(batch?.attributes.get("batch.size"), 3)
      assert.strictEqual(new Set(spans.map(({ traceId }) => traceId)).size, 4)
      assert.sameMembers(
        batch?.links.map(({ span }) => span.spanId) ?? [],
        ones.map(({ spanId }) => spanId)
      )
      for (const one of ones)
        assert.deepStrictEqual(
          one.links.map(({ span }) => span.spanId),
          [batch?.spanId]
        )
    })
  )

  it.effect("is a part of the only one's trace where there is one", () =>
    Effect.gen(function* () {
      const one = Effect.flatMap(Effect.currentSpan, (span) =>
        Trace.together("batch", [span])(Effect.withSpan(Effect.void, "statement"))
      )
      const spans = yield* recordedBy(inOrder(one))
      assert.deepStrictEqual(namesOf(spans), ["statement", "order"])
      assert.strictEqual(Option.getOrUndefined(spans[0]?.parent ?? Option.none())?.spanId, spans[1]?.spanId)
    })
  )

  it.effect("is not recorded where none of the others is", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(namesOf(yield* recordedBy(threeAtOnce, { ratio: 0 })), [])
    })
  )

  it.effect("tells each item's failure in its own trace", () =>
    Effect.gen(function* () {
      const parents = ["1", "2"].map((digit) =>
        Tracer.externalSpan({ traceId: digit.repeat(32), spanId: digit.repeat(16), sampled: true })
      )
      const work = Trace.together(
        "batch",
        parents
      )(
        Trace.eachOf(
          "server",
          parents.map((parent, place) => ({ name: `item ${place}`, parent, attributes: {} }))
        )(Effect.succeed(["no", undefined]), (answers) => answers)
      )
      const items = (yield* recordedBy(work)).filter(({ kind }) => kind === "server")
      assert.deepStrictEqual(
        items.map(({ name, status, traceId }) => [
          name,
          traceId[0],
          status._tag === "Ended" && SpanTracer.isFailure(status.exit)
        ]),
        [
          ["item 0", "1", true],
          ["item 1", "2", false]
        ]
      )
    })
  )
})

describe("a link", () => {
  it.effect("names the other span, and does not hold it", () =>
    Effect.gen(function* () {
      const [span] = yield* recordedBy(Effect.withSpan(Effect.void, "other"))
      assert.isDefined(span)
      if (span === undefined) return
      const { span: linked } = Trace.linkTo(span)
      assert.deepStrictEqual([linked._tag, linked.spanId, linked.traceId], ["ExternalSpan", span.spanId, span.traceId])
    })
  )
})

describe("what is never recorded", () => {
  it.effect("a look for work, and a statement that belongs to nothing", () =>
    Effect.gen(function* () {
      const look = Trace.untold(Effect.withSpan(Effect.withSpan(Effect.void, "statement"), "look"))
      const statement = Effect.withSpan(Effect.void, "statement", { kind: "client" })
      const found = Trace.untold(Trace.told(Effect.withSpan(Effect.void, "work that was found")))
      const spans = yield* recordedBy(Effect.all([look, statement, found]))
      assert.deepStrictEqual(namesOf(spans), ["work that was found"])
    })
  )

  it.effect("a request that was turned away unread", () =>
    Effect.gen(function* () {
      const away = Effect.withSpan(Effect.annotateCurrentSpan(SpanTracer.dropped, true), "POST", { kind: "server" })
      assert.deepStrictEqual(namesOf(yield* recordedBy(away)), [])
    })
  )
})
