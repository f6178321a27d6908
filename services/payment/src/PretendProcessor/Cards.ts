/**
 * What the tokens of the pretend processor's cards bring about.
 */
import type { DeclineCode } from "@ecommerce/contracts/Payment/Commands"

export interface Card {
  readonly declineCode: DeclineCode | null
  readonly refusesCapture: boolean
  /** The first reply to each operation never arrives. */
  readonly losesReplies: boolean
  /** How long the first reply to each operation takes. */
  readonly delayMillis: number
}

const good: Card = { declineCode: null, refusesCapture: false, losesReplies: false, delayMillis: 0 }

export const cardOf = (token: string): Card => {
  const [, delay] = /^tok_slow_([0-9]{1,6})$/u.exec(token) ?? []
  if (delay !== undefined) return { ...good, delayMillis: Number(delay) }
  if (token === "tok_lost_reply") return { ...good, losesReplies: true }
  if (token === "tok_capture_declined") return { ...good, refusesCapture: true }
  return token.startsWith("tok_decline_") ? { ...good, declineCode: declines[token] ?? "generic_decline" } : good
}

const declines: Readonly<Record<string, DeclineCode>> = {
  tok_decline_insufficient: "insufficient_funds",
  tok_decline_expired: "card_expired",
  tok_decline_stolen: "card_declined"
}
