/**
 * What a relay hands on piece by piece, and the moments at which one of the two that it stands between may die.
 */

/** A process that ends here has done what it did before the piece was handed on, and nothing after it. */
export interface Moment {
  readonly service: string
  /** In words: `commits sagas, saga_journal`. */
  readonly what: string
  readonly when: "before" | "after"
}

/** Bytes, and the moments that come before they are handed on. */
export interface Piece {
  readonly bytes: Buffer
  readonly moments: ReadonlyArray<Moment>
}

/** Reads along on one connection. */
export interface Tap {
  readonly sent: (chunk: Buffer) => ReadonlyArray<Piece>
  readonly answered: (chunk: Buffer) => ReadonlyArray<Piece>
}

export const nameOf = ({ service, what, when }: Moment) => `${service} dies ${when} it ${what}`
