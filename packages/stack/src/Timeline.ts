/**
 * A trace as a timeline in the terminal: what was done for the order, or with `all` every span down to the statements.
 */
import type { Span } from "@ecommerce/telemetry/Received"
import * as SpanTree from "@ecommerce/telemetry/SpanTree"

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
export const timelineOf = (spans: ReadonlyArray<Span>, all: boolean) => {
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
