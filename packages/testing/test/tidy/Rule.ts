/**
 * A rule of the house, with the proof that it can fail: made-up trees that break it, and one that only looks as if.
 */
import type { Tree } from "./Tree.ts"

export interface Rule {
  /** A sentence, true of the repository. */
  readonly title: string
  /** One line a violation. */
  readonly check: (tree: Tree) => ReadonlyArray<string>
  /** Each of these, as path and text of its files, breaks the rule. */
  readonly breaks: ReadonlyArray<Readonly<Record<string, string>>>
  readonly keeps: Readonly<Record<string, string>>
}
