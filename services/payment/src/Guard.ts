/**
 * What stands between payment and its processor: a bound on every wait, and a circuit breaker.
 *
 * One payment whose answer does not come is `ProcessorUnavailable` alone, and its batch goes on. When answers fail to come
 * again and again the breaker opens: for a while nobody waits at all, then one call tries whether the processor is back.
 * Asking afterwards what happened (`lookup`, `list`) goes through the same bound, and past the breaker: it harms nobody.
 */
import { Health } from "@ecommerce/chassis/Health"
import * as Settings from "@ecommerce/chassis/Settings"
import { Duration, Effect, Layer, Metric, Stream } from "effect"
import { CircuitBreaker } from "effect/persistence"

import { Processor, ProcessorUnavailable } from "./Processor.ts"

const timeout = Settings.duration(
  "PROCESSOR_TIMEOUT",
  "1 second",
  "How long a payment waits for the processor before it is unavailable."
)
const failures = Settings.count(
  "PROCESSOR_BREAKER_FAILURES",
  20,
  "After how many calls in a row without an answer nobody waits any more."
)
const openFor = Settings.duration(
  "PROCESSOR_BREAKER_PAUSE",
  "5 seconds",
  "How long nobody waits before one call tries again."
)

const calls = Metric.counter("payment_processor_calls_total", {
  incremental: true,
  description: "Calls of the processor."
})
const breakerState = Metric.gauge("payment_processor_breaker_open", {
  description: "1 while the circuit breaker is open or probing, 0 while it is closed.",
  attributes: { unit: "{breaker}" }
})
const breakerChanges = Metric.counter("payment_processor_breaker_transitions_total", {
  incremental: true,
  description: "How often the circuit breaker opened, probed and closed."
})

const key = "processor"

const make = Effect.gen(function* () {
  const processor = yield* Processor
  const health = yield* Health
  const bound = yield* timeout.read
  const breaker = yield* CircuitBreaker.make({
    tripPolicy: CircuitBreaker.consecutive(yield* failures.read),
    openDuration: yield* openFor.read
  })

  yield* Metric.update(breakerState, 0)
  yield* breaker.transitions.pipe(
    Stream.runForEach(({ to }) =>
      Effect.all([
        Effect.logWarning(`The processor's circuit breaker: ${to}`),
        Metric.update(breakerState, to === "Closed" ? 0 : 1),
        Metric.update(Metric.withAttributes(breakerChanges, { to }), 1)
      ])
    ),
    // At once, or it would not hear of a transition that comes first.
    Effect.forkScoped({ startImmediately: true })
  )

  yield* health.register({
    name: "processor",
    // Told, and no reason to be taken for dead: what needs no processor is still answered.
    run: Effect.match(breaker.state(key), {
      onFailure: () => "unknown",
      onSuccess: (state) => (state._tag === "Closed" ? "ok" : `circuit breaker is ${state._tag}`)
    })
  })

  const bounded = <A>(answer: Effect.Effect<A, ProcessorUnavailable>) =>
    Effect.timeoutOrElse(answer, {
      duration: bound,
      orElse: () =>
        new ProcessorUnavailable({ reason: `The processor did not answer within ${Duration.format(bound)}.` })
    })

  const counted =
    (operation: string) =>
    <A>(answer: Effect.Effect<A, ProcessorUnavailable>) =>
      Effect.onExit(answer, ({ _tag }) =>
        Metric.update(
          Metric.withAttributes(calls, { operation, outcome: _tag === "Success" ? "answered" : "silent" }),
          1
        )
      )

  const guarded =
    <Request, A>(operation: string, ask: (request: Request) => Effect.Effect<A, ProcessorUnavailable>) =>
    (request: Request) =>
      breaker.execute(bounded(ask(request)), { key }).pipe(
        Effect.catchTag(
          "CircuitBreakerError",
          () => new ProcessorUnavailable({ reason: "The processor has not answered for a while; it is left alone." })
        ),
        counted(operation)
      )

  return Processor.of({
    authorize: guarded("authorize", processor.authorize),
    capture: guarded("capture", processor.capture),
    void: guarded("void", processor.void),
    refund: guarded("refund", processor.refund),
    lookup: (references) => bounded(processor.lookup(references)),
    list: (page) => bounded(processor.list(page))
  })
})

/** Puts the guard around the processor that is provided to it. */
export const layer = Layer.effect(Processor, make).pipe(Layer.provide(CircuitBreaker.layerStoreMemory()))
