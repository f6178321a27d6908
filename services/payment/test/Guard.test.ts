import { Health } from "@ecommerce/chassis/Health"
import * as Settings from "@ecommerce/chassis/Settings"
import { AuthorizationId } from "@ecommerce/contracts/Payment/Commands"
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Context, Effect, Fiber, Layer, Metric, Redacted, Ref, References } from "effect"
import { TestClock } from "effect/testing"

import * as Guard from "../src/Guard.ts"
import { Processor, type ProcessorRecord, ProcessorUnavailable } from "../src/Processor.ts"

const reference = AuthorizationId.make(`auth_${"a".repeat(32)}`)
const record: ProcessorRecord = {
  reference,
  state: "AUTHORIZED",
  authorizedCents: 500,
  capturedCents: 0,
  refundedCents: 0,
  declineCode: null,
  captureIsRefused: false
}

type Mood = "answers" | "is away" | "is silent"

/** A processor in whatever mood a test wants, that counts the calls that reach it. */
class Stub extends Context.Service<Stub, { readonly mood: Ref.Ref<Mood>; readonly calls: Ref.Ref<number> }>()(
  "@ecommerce/payment/test/Stub"
) {
  static readonly layer = Layer.effect(Stub, Effect.all({ mood: Ref.make<Mood>("answers"), calls: Ref.make(0) }))
}

const stubbed = Layer.effect(
  Processor,
  Effect.map(Stub, ({ calls, mood }) => {
    const answer = <A>(value: A) =>
      Effect.andThen(
        Ref.update(calls, (count) => count + 1),
        Effect.flatMap(Ref.get(mood), (now): Effect.Effect<A, ProcessorUnavailable> => {
          if (now === "answers") return Effect.succeed(value)
          return now === "is silent" ? Effect.never : Effect.fail(new ProcessorUnavailable({ reason: "It is away." }))
        })
      )
    return Processor.of({
      authorize: () => answer(record),
      capture: () => answer(record),
      void: () => answer(record),
      refund: () => answer(record),
      lookup: () => answer([record]),
      list: () => answer([record])
    })
  })
)

const given = ConfigProvider.layer(
  Effect.succeed(
    Settings.providerOf({
      PROCESSOR_TIMEOUT: "2 seconds",
      PROCESSOR_BREAKER_FAILURES: "3",
      PROCESSOR_BREAKER_PAUSE: "5 seconds"
    })
  )
)

const guarded = Guard.layer.pipe(
  Layer.provide(stubbed),
  Layer.provideMerge(Stub.layer),
  Layer.provideMerge(Health.layer),
  Layer.provide(given),
  // Metrics of its own for each test.
  Layer.provideMerge(
    Layer.effect(
      Metric.MetricRegistry,
      Effect.sync(() => new Map())
    )
  ),
  Layer.provideMerge(Layer.succeed(References.MinimumLogLevel, "None"))
)

/** A world for each test. */
const behindGuard = <A, E>(test: Effect.Effect<A, E, Processor | Stub | Health>) => Effect.provide(test, guarded)

const asking = Effect.gen(function* () {
  const processor = yield* Processor
  const request = { key: `${reference}/x`, reference }
  return {
    authorize: processor.authorize({ ...request, amountCents: 500, token: Redacted.make("tok_visa_success") }),
    capture: processor.capture({ ...request, amountCents: 500 }),
    void: processor.void(request),
    refund: processor.refund({ ...request, amountCents: 500 }),
    lookup: processor.lookup([reference]),
    list: processor.list({ after: "", limit: 10 })
  }
})
const operations = ["authorize", "capture", "void", "refund", "lookup", "list"] as const

const become = (mood: Mood) => Effect.flatMap(Stub, (stub) => Ref.set(stub.mood, mood))
const callsSoFar = Effect.flatMap(Stub, ({ calls }) => Ref.get(calls))

/** How the breaker stands, as health tells it. */
const told = Effect.flatMap(Health, ({ ready }) => Effect.map(ready, ({ processor }) => processor))

/** Three voids that find nobody. */
const trip = Effect.gen(function* () {
  yield* become("is away")
  const ask = yield* asking
  for (let turn = 0; turn < 3; turn++) {
    assert.strictEqual((yield* Effect.flip(ask.void)).reason, "It is away.")
  }
})

const leftAlone = "The processor has not answered for a while; it is left alone."

/** By name and attributes, what every metric of the guard has counted. */
const counted = Effect.map(Metric.snapshot, (all) =>
  Object.fromEntries(
    all
      .filter(({ id }) => id.startsWith("payment_processor"))
      .map(({ attributes, id, state }) => {
        const { unit: _, ...named } = attributes ?? {}
        const labels = Object.values(named).join(" ")
        const value = "count" in state ? state.count : "value" in state ? state.value : undefined
        return [`${id} ${labels}`.trim(), Number(value)]
      })
  )
)

describe("the guard before the processor", () => {
  it.effect.each(operations)("waits for an answer to %s for as long as is set, and no longer", (operation) =>
    behindGuard(
      Effect.gen(function* () {
        yield* become("is silent")
        const ask: Effect.Effect<unknown, ProcessorUnavailable> = (yield* asking)[operation]
        const waiting = yield* Effect.forkChild(Effect.flip(ask))
        yield* TestClock.adjust("1999 millis")
        assert.isUndefined(waiting.pollUnsafe())
        yield* TestClock.adjust("1 millis")
        assert.strictEqual((yield* Fiber.join(waiting)).reason, "The processor did not answer within 2s.")
      })
    )
  )

  it.effect("asks again and again while answers come, and forgets failures that were not in a row", () =>
    behindGuard(
      Effect.gen(function* () {
        const ask = yield* asking
        for (let turn = 0; turn < 10; turn++) {
          yield* become("is away")
          yield* Effect.flip(ask.authorize)
          yield* Effect.flip(ask.capture)
          yield* become("answers")
          assert.deepStrictEqual(yield* ask.refund, record)
        }
        assert.strictEqual(yield* callsSoFar, 30)
        assert.strictEqual(yield* told, "ok")
      })
    )
  )

  it.effect("opens after three failures in a row, whichever they are, and answers at once without a call", () =>
    behindGuard(
      Effect.gen(function* () {
        const ask = yield* asking
        yield* become("is away")
        yield* Effect.flip(ask.authorize)
        yield* Effect.flip(ask.capture)
        yield* become("is silent")
        const silent = yield* Effect.forkChild(Effect.flip(ask.void))
        yield* TestClock.adjust("2 seconds")
        yield* Fiber.join(silent)

        // The clock stands still: nobody waits for anything.
        for (const operation of ["authorize", "capture", "void", "refund"] as const) {
          assert.strictEqual((yield* Effect.flip(ask[operation])).reason, leftAlone)
        }
        assert.strictEqual(yield* callsSoFar, 3)
        assert.strictEqual(yield* told, "circuit breaker is Open")
      })
    )
  )

  it.effect("lets those pass that only look, also while it is open", () =>
    behindGuard(
      Effect.gen(function* () {
        const ask = yield* asking
        yield* trip
        yield* become("answers")
        assert.deepStrictEqual(yield* ask.lookup, [record])
        assert.deepStrictEqual(yield* ask.list, [record])
        // That they were answered does not close it, and that they are not opens nothing.
        assert.strictEqual((yield* Effect.flip(ask.void)).reason, leftAlone)
      })
    )
  )

  it.effect("is not opened by those who only look", () =>
    behindGuard(
      Effect.gen(function* () {
        const ask = yield* asking
        yield* become("is away")
        for (let turn = 0; turn < 10; turn++) yield* Effect.flip(ask.lookup)
        assert.strictEqual(yield* told, "ok")
        yield* become("answers")
        assert.deepStrictEqual(yield* ask.void, record)
      })
    )
  )

  it.effect("lets one call try after its pause, the others not, and closes when that is answered", () =>
    behindGuard(
      Effect.gen(function* () {
        const ask = yield* asking
        yield* trip
        yield* TestClock.adjust("4999 millis")
        yield* Effect.flip(ask.void)
        assert.strictEqual(yield* callsSoFar, 3)
        yield* TestClock.adjust("1 millis")

        yield* become("is silent")
        const probe = yield* Effect.forkChild(Effect.flip(ask.capture))
        yield* TestClock.adjust("1 second")
        assert.strictEqual(yield* callsSoFar, 4)
        assert.strictEqual((yield* Effect.flip(ask.void)).reason, leftAlone)
        assert.strictEqual(yield* told, "circuit breaker is HalfOpen")
        yield* TestClock.adjust("1 second")
        yield* Fiber.join(probe)
        assert.strictEqual(yield* told, "circuit breaker is Open")

        // That one was not answered: another pause, another try.
        yield* become("answers")
        yield* TestClock.adjust("4999 millis")
        yield* Effect.flip(ask.void)
        assert.strictEqual(yield* callsSoFar, 4)
        yield* TestClock.adjust("1 millis")
        assert.deepStrictEqual(yield* ask.void, record)
        assert.strictEqual(yield* told, "ok")
        const all = yield* Effect.all([ask.authorize, ask.capture, ask.refund], { concurrency: "unbounded" })
        assert.deepStrictEqual(all, [record, record, record])
      })
    )
  )

  it.effect("does not make the service unready while it is open, and says in health how it stands", () =>
    behindGuard(
      Effect.gen(function* () {
        const { ready } = yield* Health
        assert.deepStrictEqual(yield* ready, { processor: "ok" })
        yield* trip
        assert.deepStrictEqual(yield* ready, { processor: "circuit breaker is Open" })
      })
    )
  )

  it.effect("counts its calls and the changes of its breaker", () =>
    behindGuard(
      Effect.gen(function* () {
        const ask = yield* asking
        assert.deepStrictEqual(yield* counted, { payment_processor_breaker_open: 0 })
        yield* ask.authorize
        yield* trip
        yield* TestClock.adjust("1 second")
        const open = yield* counted
        assert.deepInclude(open, { payment_processor_breaker_open: 1 })
        yield* become("answers")
        yield* TestClock.adjust("4 seconds")
        yield* ask.void
        yield* TestClock.adjust("1 second")
        assert.deepStrictEqual(yield* counted, {
          "payment_processor_calls_total authorize answered": 1,
          "payment_processor_calls_total void answered": 1,
          "payment_processor_calls_total void silent": 3,
          payment_processor_breaker_open: 0,
          "payment_processor_breaker_transitions_total Open": 1,
          "payment_processor_breaker_transitions_total HalfOpen": 1,
          "payment_processor_breaker_transitions_total Closed": 1
        })
      })
    )
  )
})
