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

/** From top to bottom, each with how deep it is. */
export const rows = (
  nodes: ReadonlyArray<Node>,
  depth = 0
): ReadonlyArray<{ readonly span: Span; readonly depth: number }> =>
  nodes.flatMap(({ children, span }) => [{ span, depth }, ...rows(children, depth + 1)])
