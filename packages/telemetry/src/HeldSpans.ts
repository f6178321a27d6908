/**
 * Spans of traces that were left out, held for a while: the oldest go first when there are too many.
 */

export class HeldSpans<Span> {
  readonly #spans = new Map<string, Array<Span>>()
  /** Those that turned out to be worth it; what comes later of them is kept too. */
  readonly #kept = new Set<string>()
  readonly #most: number
  readonly #release: (span: Span) => void
  #count = 0

  constructor(most: number, release: (span: Span) => void) {
    this.#most = most
    this.#release = release
  }

  add(traceId: string, span: Span) {
    if (this.#kept.has(traceId)) return this.#release(span)
    const others = this.#spans.get(traceId)
    if (others === undefined) this.#spans.set(traceId, [span])
    else others.push(span)
    this.#count += 1
    for (const [oldest, spans] of this.#spans) {
      if (this.#count <= this.#most) break
      this.#spans.delete(oldest)
      this.#count -= spans.length
    }
  }

  /** What is held of it. */
  release(traceId: string) {
    const spans = this.#spans.get(traceId)
    if (spans === undefined) return
    this.#spans.delete(traceId)
    this.#count -= spans.length
    for (const span of spans) this.#release(span)
  }

  /** What is held of it, and what comes. */
  keep(traceId: string) {
    this.release(traceId)
    this.#kept.add(traceId)
    for (const oldest of this.#kept) {
      if (this.#kept.size <= mostKept) break
      this.#kept.delete(oldest)
    }
  }
}

/** Ids alone: a few of them cost nothing. */
const mostKept = 1000
