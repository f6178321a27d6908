/**
 * Spans as a tree that people read: each below what it is a part of, in the order in which they began.
 */
import type { Span } from "./Received.ts"

export interface Node {
  readonly span: Span
  readonly children: ReadonlyArray<Node>
}

/** One whose parent was not recorded here, or is somebody else's, is at the top. */
export const make = (spans: ReadonlyArray<Span>): ReadonlyArray<Node> => {
  const known = new Set(spans.map(({ spanId }) => spanId))
  const byParent = Map.groupBy(
    spans.toSorted((a, b) => Number(a.startNanos - b.startNanos)),
    ({ parentSpanId }) => (parentSpanId !== undefined && known.has(parentSpanId) ? parentSpanId : "")
  )
  const below = (id: string): ReadonlyArray<Node> =>
    (byParent.get(id) ?? []).map((span) => ({ span, children: below(span.spanId) }))
  return below("")
}

/** One line a span, indented by its depth. */
export const lines = (nodes: ReadonlyArray<Node>, lineOf: (span: Span) => string, depth = 0): ReadonlyArray<string> =>
  nodes.flatMap(({ children, span }) => [`${"  ".repeat(depth)}${lineOf(span)}`, ...lines(children, lineOf, depth + 1)])
