/**
 * `npm run trace -- <order id>`: an order's whole story in the terminal. Its states come from edge and its sagas' journals from the
 * orchestrator, which have to run; who did what meanwhile comes from the spans that `npm start` keeps.
 */
import { StartupError } from "@ecommerce/chassis/StartupError"
import { edge, EdgeApi } from "@ecommerce/contracts/Edge"
import type { LedgerOrder } from "@ecommerce/contracts/Edge/Ledger"
import { OrderId } from "@ecommerce/contracts/Ids"
import type { Span } from "@ecommerce/telemetry/Received"
import * as SpanTree from "@ecommerce/telemetry/SpanTree"
import { NodeHttpClient } from "@effect/platform-node"
import { Console, DateTime, Duration, Effect, Path, Predicate, Schema } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { HttpClient } from "effect/http"
import { HttpApiClient } from "effect/http-api"

import * as CommandLine from "./CommandLine.ts"
import * as Repository from "./Repository.ts"
import { connect, storyOf } from "./SagaStory.ts"
import * as Settings from "./Settings.ts"
import * as SpanKeeper from "./SpanKeeper.ts"
import * as Stack from "./Stack.ts"
import * as Welcome from "./Welcome.ts"

const flags = {
  id: Argument.String("order id").pipe(Argument.withDescription("The id of an order, as POST /orders answers it")),
  all: Flag.Boolean("all").pipe(
    Flag.withDescription("Every span: functions, transactions and statements too"),
    Flag.withDefault(false)
  )
}

const decodeId = Schema.decodeUnknownEffect(OrderId)

const statesOf = ({ created_at, states }: LedgerOrder) =>
  Welcome.columns(
    ["when", "state", "why"],
    states.map(({ at, reason, status }) => [
      `+${millisBetween(created_at, at)} ms`,
      status,
      reason === null ? "" : [reason.code, reason.detail].filter(Predicate.isNotNullish).join(": ")
    ])
  )

const millisBetween = (from: DateTime.Utc, to: DateTime.Utc) =>
  Math.round(Duration.toMillis(DateTime.distance(from, to)))

const isStep = ({ attributes, kind, name }: Span) =>
  kind === "consumer" ||
  (kind === "server" && attributes["db.system.name"] === undefined) ||
  attributes["rpc.method"] !== undefined ||
  attributes["saga.id"] !== undefined ||
  name === "cancel requested"

const visible = (nodes: ReadonlyArray<SpanTree.Node>): ReadonlyArray<SpanTree.Node> =>
  nodes.flatMap(({ children, span }) => (isStep(span) ? [{ span, children: visible(children) }] : visible(children)))

const nanosInAMilli = 1_000_000n

/** A line a span: when it began, how long it took, whose it is, and below what. */
const timelineOf = (spans: ReadonlyArray<Span>, all: boolean) => {
  const nodes = SpanTree.make(spans)
  const began = spans.map(({ startNanos }) => startNanos).toSorted((a, b) => Number(a - b))[0] ?? 0n
  const millis = (nanos: bigint) => String(nanos / nanosInAMilli).padStart(6)
  const lineOf = (span: Span) => {
    const again = Number(span.attributes["saga.attempt"] ?? 1)
    return [
      `${span.kind === "consumer" ? "hears " : ""}${span.name}`,
      span.attributes["saga.direction"] === "undo" ? "(undo)" : "",
      again > 1 ? `(attempt ${again})` : "",
      span.error === undefined ? "" : `✗ ${span.attributes["error.type"] ?? "failed"}: ${span.error}`
    ]
      .filter((part) => part !== "")
      .join(" ")
  }
  const rows = SpanTree.rows(all ? nodes : visible(nodes))
  const width = Math.max(...rows.map(({ span }) => span.service.length))
  return rows.map(
    ({ depth, span }) =>
      `  +${millis(span.startNanos - began)} ms ${millis(span.endNanos - span.startNanos)} ms  ${span.service.padEnd(width)}  ${"  ".repeat(depth)}${lineOf(span)}`
  )
}

const spansOf = Effect.fnUntraced(function* (orderId: string, all: boolean) {
  const path = yield* Path.Path
  const dataDirectory = path.resolve(yield* Repository.root, yield* Settings.dataDirectory.read)
  const spans = yield* SpanKeeper.find(dataDirectory, orderId)
  if (spans.length === 0) {
    return "No spans of it are kept here: they are where OTEL_EXPORTER_OTLP_ENDPOINT says, were not recorded, or are too old."
  }
  const traces = [...new Set(spans.map(({ traceId }) => traceId))]
  return traces
    .flatMap((traceId) => [
      `trace ${traceId}`,
      "",
      "  began       took       who",
      ...timelineOf(
        spans.filter((span) => span.traceId === traceId),
        all
      ),
      ""
    ])
    .join("\n")
})

const run = Effect.fn("trace")(function* ({ all, id }: { readonly id: string; readonly all: boolean }) {
  const orderId = yield* Effect.mapError(
    decodeId(id),
    () => new StartupError({ message: `"${id}" is not the id of an order.` })
  )
  const baseUrl = yield* Stack.urlOf(edge)
  const ledger = yield* HttpApiClient.group(EdgeApi, {
    group: "ledger",
    httpClient: yield* HttpClient.HttpClient,
    baseUrl
  })
  const { baseUrl: orchestratorUrl, sagas } = yield* connect
  const order = yield* Effect.mapError(ledger.get({ params: { id: orderId } }), complaintAt("edge-api", baseUrl))
  const journals = yield* Effect.gen(function* () {
    const { sagas: known } = yield* sagas.ofOrder({ params: { orderId } })
    return yield* Effect.forEach(known, (saga) => sagas.get({ params: { id: saga.id } }), { concurrency: 4 })
  }).pipe(Effect.mapError(complaintAt("orchestrator", orchestratorUrl)))
  yield* Console.log(
    [
      `\norder ${orderId}: ${order.status}\n`,
      statesOf(order),
      ...journals.map(storyOf),
      "",
      yield* spansOf(orderId, all)
    ].join("\n")
  )
}, Effect.provide(NodeHttpClient.layerUndici))

const complaintAt = (service: string, url: string) => (error: unknown) => {
  const isAway = Predicate.isTagged(error, "HttpClientError")
  const title = Predicate.hasProperty(error, "title") ? String(error.title) : String(error)
  return new StartupError({
    message: isAway ? `${service} does not answer at ${url}: is it running (npm start)?` : title
  })
}

const command = Command.make("npm run trace --", flags, run).pipe(
  Command.withDescription("Tells an order's whole story: its states, its sagas' journals, and who did what when.")
)

CommandLine.run(command)
