/**
 * What customers know by themselves: what they asked for, and every answer that they had. And what is wrong with the world if
 * that is compared with what is told in the end. Pure.
 */
import { isTerminal, type LedgerStatus } from "@ecommerce/contracts/Edge/Ledger"
import type { RefusedItem } from "@ecommerce/contracts/Inventory/Reservations"
import type { CaptureRefusal } from "@ecommerce/contracts/Payment/Commands"

export const kinds = [
  "paid",
  "slow card",
  "declined",
  "capture declined",
  "scarce",
  "sent twice",
  "cancelled early",
  "cancelled late",
  "hung up"
] as const
export type Kind = (typeof kinds)[number]

/** An answer behind which there is nothing more to ask. */
export interface Answer {
  readonly status: number
  readonly body: string
  readonly orderId: string | undefined
  readonly isReplay: boolean
}

/** One order, as its customer remembers it. */
export interface Sheet {
  readonly key: string
  readonly kind: Kind
  /** Nobody else has this id, so that all of a customer's orders are those of one key. */
  readonly userId: string
  readonly totalCents: number
  readonly requests: number
  readonly answers: ReadonlyArray<Answer>
  /** The cancellation was received. */
  readonly isCancelled: boolean
  /** Answers that nobody should ever have, whatever happens behind the edge. */
  readonly strange: ReadonlyArray<string>
}

/** An order, as it is told in the end. */
export interface Told {
  readonly orderId: string
  readonly status: LedgerStatus
  readonly totalCents: number
  /** The code of why it failed, where it did. */
  readonly reason: string | null
}

const endsOf: Readonly<Record<Kind, ReadonlyArray<LedgerStatus>>> = {
  paid: ["COMPLETED", "FAILED"],
  "slow card": ["COMPLETED", "FAILED"],
  scarce: ["COMPLETED", "FAILED"],
  "sent twice": ["COMPLETED", "FAILED"],
  "hung up": ["COMPLETED", "FAILED"],
  declined: ["AUTHORIZATION_FAILED"],
  "capture declined": ["FAILED"],
  "cancelled early": ["COMPLETED", "FAILED", "CANCELLED"],
  "cancelled late": ["COMPLETED", "FAILED", "CANCELLED"]
}

type FailureCode = RefusedItem["reason"] | typeof CaptureRefusal.Type | "unavailable" | "payment_declined"

/** `unavailable`: somebody was away for all attempts of a step. For any other reason nobody fails who has not asked for it. */
const failuresOf: Readonly<Record<Kind, ReadonlyArray<FailureCode>>> = {
  paid: ["unavailable"],
  "slow card": ["unavailable"],
  scarce: ["insufficient_stock", "unavailable"],
  "sent twice": ["unavailable"],
  "hung up": ["unavailable"],
  declined: ["payment_declined"],
  "capture declined": ["capture_declined", "unavailable"],
  "cancelled early": ["unavailable"],
  "cancelled late": ["unavailable"]
}

export const hasFailed = (status: LedgerStatus): boolean => status === "FAILED" || status === "AUTHORIZATION_FAILED"

const judgeOne = (sheet: Sheet, told: ReadonlyArray<Told>): ReadonlyArray<string> => {
  const { answers, isCancelled, kind, strange, totalCents } = sheet
  const [first, ...others] = answers
  if (first === undefined) return [...strange, "never had an answer"]
  if (others.some(({ body, status }) => body !== first.body || status !== first.status)) {
    return [...strange, `had different answers: ${[...new Set(answers.map(({ body }) => body))].join(" and ")}`]
  }
  const [order, ...more] = told
  if (order === undefined) return [...strange, `was answered with ${first.status}, and there is no such order`]
  if (more.length > 0) return [...strange, `is there ${told.length} times`]
  const { reason, status } = order
  const wrong = [
    order.orderId === first.orderId ? undefined : `was told of the order ${first.orderId}, and has ${order.orderId}`,
    order.totalCents === totalCents ? undefined : `costs ${order.totalCents} instead of ${totalCents}`,
    isTerminal(status) ? undefined : `is ${status} for ever`,
    (first.status === 402) === (status === "AUTHORIZATION_FAILED")
      ? undefined
      : `was answered with ${first.status}, and is ${status}`,
    endsOf[kind].includes(status) ? undefined : `is ${status}`,
    hasFailed(status) && !failuresOf[kind].some((code) => code === reason)
      ? `is ${status} because of ${reason ?? "nothing"}`
      : undefined,
    isCancelled && status === "COMPLETED" ? "was cancelled, and is completed" : undefined
  ]
  return [...strange, ...wrong.filter((text) => text !== undefined)]
}

/** What is wrong, a sentence each. */
export const judge = (
  sheets: ReadonlyArray<Sheet>,
  toldTo: (userId: string) => ReadonlyArray<Told>
): ReadonlyArray<string> => {
  const ids = sheets.flatMap(({ answers: [first] }) => first?.orderId ?? [])
  const twice = [...new Set(ids.filter((id, index) => ids.indexOf(id) !== index))]
  return [
    ...twice.map((id) => `the order ${id} is the answer to several keys`),
    ...sheets.flatMap((sheet) =>
      judgeOne(sheet, toldTo(sheet.userId)).map((wrong) => `${sheet.kind} ${sheet.key} ${wrong}`)
    )
  ]
}

export interface Tally {
  readonly asked: number
  readonly accepted: number
  readonly declined: number
  readonly ends: Readonly<Record<string, number>>
  /** Those that failed, by the code of the reason. */
  readonly failures: Readonly<Record<string, number>>
  readonly retried: number
  readonly replayed: number
}

export const tally = (sheets: ReadonlyArray<Sheet>, toldTo: (userId: string) => ReadonlyArray<Told>): Tally => {
  const firsts = sheets.map(({ answers: [first] }) => first?.status)
  const told = sheets.flatMap(({ userId }) => toldTo(userId))
  const sum = (numbers: ReadonlyArray<number>) => {
    let all = 0
    for (const number of numbers) all += number
    return all
  }
  return {
    asked: sheets.length,
    accepted: firsts.filter((status) => status === 202).length,
    declined: firsts.filter((status) => status === 402).length,
    ends: countsOf(told.map(({ status }) => status)),
    failures: countsOf(told.filter(({ status }) => hasFailed(status)).map(({ reason }) => reason ?? "no reason")),
    retried: sum(sheets.map(({ requests }) => Math.max(0, requests - 1))),
    replayed: sum(sheets.map(({ answers }) => answers.filter(({ isReplay }) => isReplay).length))
  }
}

const countsOf = (names: ReadonlyArray<string>): Readonly<Record<string, number>> => {
  const counts = new Map<string, number>()
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1)
  return Object.fromEntries(counts)
}
