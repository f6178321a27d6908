/**
 * How the process itself is: memory, processor time, how late its event loop runs. Looked at when somebody reads the metrics.
 */
import { monitorEventLoopDelay } from "node:perf_hooks"

import { type Context, Effect, Layer, Metric } from "effect"

const resolutionMillis = 20
const nanosInASecond = 1e9
const microsInASecond = 1e6

export const layer = Layer.effectDiscard(
  Effect.gen(function* () {
    const context = yield* Effect.context<never>()
    const delay = yield* Effect.acquireRelease(
      Effect.sync(() => {
        const histogram = monitorEventLoopDelay({ resolution: resolutionMillis })
        histogram.enable()
        return histogram
      }),
      (histogram) => Effect.sync(() => histogram.disable())
    )

    yield* gauge(context, "process_resident_memory_bytes", "By", "Memory that the process occupies.", () =>
      process.memoryUsage.rss()
    )
    yield* gauge(
      context,
      "nodejs_heap_used_bytes",
      "By",
      "Memory that its objects take.",
      () => process.memoryUsage().heapUsed
    )
    yield* Effect.acquireRelease(
      Effect.sync(() =>
        Metric.registerUnsafe(cpu, context, {
          get: () => ({ count: cpuSeconds(), incremental: true }),
          update: () => {},
          modify: () => {}
        })
      ),
      (registration) => Effect.sync(registration.remove)
    )
    yield* gauge(
      context,
      "nodejs_eventloop_delay_p99_seconds",
      "s",
      "How late its event loop ran, since somebody last looked.",
      () => {
        // What is measured is the time between two looks, which is the resolution where nothing is late.
        const p99 = delay.percentile(99) / nanosInASecond - resolutionMillis / 1000
        delay.reset()
        return Number.isFinite(p99) ? Math.max(0, p99) : 0
      }
    )
  })
)

const cpu = Metric.counter("process_cpu_seconds_total", {
  description: "Processor time that it has used.",
  incremental: true
})

const cpuSeconds = () => {
  const used = process.cpuUsage()
  return (used.system + used.user) / microsInASecond
}

/**
 * One whose value is found out whenever somebody looks. A gauge has to have a unit: one without goes over OTLP with the unit 1, and
 * Prometheus takes that for a ratio, and names it so.
 */
export const gauge = (
  context: Context.Context<never>,
  name: string,
  unit: string,
  description: string,
  look: () => number
) =>
  Effect.acquireRelease(
    Effect.sync(() =>
      Metric.registerUnsafe(Metric.gauge(name, { description, attributes: { unit } }), context, {
        get: () => ({ value: look() }),
        update: () => {},
        modify: () => {}
      })
    ),
    (registration) => Effect.sync(registration.remove)
  )
