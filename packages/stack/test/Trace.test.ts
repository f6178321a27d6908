import * as Settings from "@ecommerce/chassis/Settings"
import * as SpanKeeper from "@ecommerce/stack/SpanKeeper"
import { timelineOf } from "@ecommerce/stack/Timeline"
import type { Span } from "@ecommerce/telemetry/Received"
import { NodeHttpClient, NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, FileSystem, Layer } from "effect"
import { HttpClient, HttpClientRequest } from "effect/http"

const settings = (given: Readonly<Record<string, string>>) =>
  Effect.provide(ConfigProvider.layer(Effect.succeed(Settings.providerOf(given))))

const platform = Effect.provide(Layer.merge(NodeServices.layer, NodeHttpClient.layerUndici))

const emptyFolder = Effect.flatMap(FileSystem.FileSystem, (fileSystem) =>
  fileSystem.makeTempDirectoryScoped({ prefix: "ecommerce-test-traces-" })
)

const attribute = (key: string, stringValue: string) => ({ key, value: { stringValue } })

/** An export of one span, as a service sends it. */
const exportOf = (traceId: string, name: string, orderId?: string) => ({
  resourceSpans: [
    {
      resource: { attributes: [attribute("service.name", "orders")] },
      scopeSpans: [
        {
          spans: [
            {
              traceId,
              spanId: "00f067aa0ba902b7",
              name,
              kind: 1,
              startTimeUnixNano: "1000000",
              endTimeUnixNano: "3000000",
              attributes: orderId === undefined ? [] : [attribute("order.id", orderId)]
            }
          ]
        }
      ]
    }
  ]
})

describe("the spans of a local run", () => {
  it.live("are kept as they come, and found by the order, with all that is in the same trace", () =>
    Effect.gen(function* () {
      const folder = yield* emptyFolder
      const { OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: url = "" } = yield* SpanKeeper.start(folder)
      const exports = [
        exportOf("a".repeat(32), "POST /orders", "order 1"),
        exportOf("a".repeat(32), "INSERT outbox"),
        exportOf("b".repeat(32), "POST /orders", "order 2")
      ]
      for (const body of exports) {
        const { status } = yield* HttpClient.execute(
          HttpClientRequest.post(url).pipe(HttpClientRequest.bodyJsonUnsafe(body))
        )
        assert.strictEqual(status, 200)
      }
      const found = yield* SpanKeeper.find(folder, "order 1")
      assert.deepStrictEqual(
        found.map(({ name, service }) => `${service}: ${name}`),
        ["orders: POST /orders", "orders: INSERT outbox"]
      )
      assert.deepStrictEqual(yield* SpanKeeper.find(folder, "order 3"), [])
    }).pipe(Effect.scoped, settings({}), platform)
  )

  it.live.each([
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: "http://collector:4318" }, "go somewhere else"],
    [{ OTEL_TRACES_EXPORTER: "none" }, "are not wanted"],
    [{ OTEL_SDK_DISABLED: "true" }, "are switched off"]
  ] as const)("are not kept where they %s", ([given]) =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* SpanKeeper.start(yield* emptyFolder), {})
    }).pipe(Effect.scoped, settings(given), platform)
  )

  it.live("are none, where nothing was kept", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* SpanKeeper.find(yield* emptyFolder, "order 1"), [])
    }).pipe(Effect.scoped, settings({}), platform)
  )
})

const span = (name: string, more: Partial<Span>): Span => ({
  service: "edge-api",
  traceId: "t",
  spanId: name,
  parentSpanId: undefined,
  name,
  kind: "internal",
  startNanos: 0n,
  endNanos: 5_000_000n,
  attributes: {},
  error: undefined,
  links: [],
  ...more
})

describe("a timeline", () => {
  const spans = [
    span("POST /orders", { kind: "server", endNanos: 40_000_000n }),
    span("Checkout.run", { parentSpanId: "POST /orders" }),
    span("authorize-payment", {
      parentSpanId: "Checkout.run",
      kind: "client",
      startNanos: 7_000_000n,
      endNanos: 9_000_000n,
      attributes: { "rpc.method": "authorize-payment", "error.type": "Unavailable" },
      error: "no answer"
    }),
    span("undo", {
      parentSpanId: "POST /orders",
      service: "orchestrator",
      startNanos: 12_000_000n,
      endNanos: 13_000_000n,
      attributes: { "saga.id": "s", "saga.direction": "undo", "saga.attempt": 2 }
    })
  ]

  it("shows what was done for the order, in its order, with what went wrong", () => {
    assert.deepStrictEqual(timelineOf(spans, false), [
      "  +     0 ms     40 ms  edge-api      POST /orders",
      "  +     7 ms      2 ms  edge-api        authorize-payment ✗ Unavailable: no answer",
      "  +    12 ms      1 ms  orchestrator    undo (undo) (attempt 2)"
    ])
  })

  it("shows everything where that is wanted", () => {
    assert.strictEqual(timelineOf(spans, true)[1], "  +     0 ms      5 ms  edge-api        Checkout.run")
  })
})
