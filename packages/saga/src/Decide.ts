/**
 * What a saga does next: pure functions from where it stands and what has happened, to where it stands then.
 *
 * There is no time in here, no chance and no database. A saga has one step at a time: a run on its way forward, an undo on
 * its way back. What is sent is written down before (`claims` counts the times that it was), and what came of it afterwards;
 * what was sent and has no outcome is unknown, and is treated as if it may have happened.
 */

import { isUndoable, type Plan, stepAfter, wayBack } from "./Plan.ts"
import { delayAfter, type Policy } from "./Policy.ts"

export type Status = "RUNNING" | "COMPENSATING" | "COMPLETED" | "FAILED" | "CANCELLED"

/** For programs a code, for people what there is to say besides. */
export interface Reason {
  readonly code: string
  readonly detail: string | null
}

/** Why a saga goes back. */
export interface Failure extends Reason {
  readonly cause: "rejected" | "unavailable" | "overdue" | "cancelled"
  readonly step: string
}

/** Why a saga does not get on: by itself it is tried again only where the other side is `unavailable`. */
export type Stuck = "rejected" | "unavailable" | "crashes"

export interface State {
  readonly status: Status
  /** The run, or the undo where it is compensating, that is sent or about to be; null at the end. */
  readonly step: string | null
  /** What is to be undone behind it, in order. */
  readonly undos: ReadonlyArray<string>
  /** How many outcomes this step has had. */
  readonly attempts: number
  /** How often it was sent, or was about to be, and has no outcome yet. */
  readonly claims: number
  /** An earlier attempt of this run has no definite outcome. */
  readonly mayHaveHappened: boolean
  readonly stuck: Stuck | null
  readonly failure: Failure | null
  /** What each step that is done has answered, as it is stored. */
  readonly results: Readonly<Record<string, unknown>>
  /** Counts what was told of it, and what was written into its journal. */
  readonly version: number
  readonly entries: number
}

/** What came of a call. `Unavailable`: nobody knows whether it happened. */
export type Outcome =
  | { readonly _tag: "Done"; readonly result: unknown }
  | { readonly _tag: "Rejected"; readonly reason: Reason }
  | { readonly _tag: "Unavailable"; readonly detail: string }

/** What others have decided about it meanwhile. */
export interface Flags {
  readonly isCancelRequested: boolean
  readonly isOverdue: boolean
}

/** One line of a saga's journal. */
export interface Entry {
  readonly seq: number
  readonly kind: "run" | "undo"
  readonly step: string
  readonly attempt: number
  readonly outcome: "done" | "rejected" | "unavailable" | "unknown" | "cancelled" | "overdue" | "stuck" | "resolved"
  readonly code: string | null
  readonly detail: string | null
}

/** What others hear of. `advanced` says which step is done. */
export interface News {
  readonly type: "started" | "advanced" | "compensating" | "completed" | "failed" | "cancelled" | "stuck"
  readonly version: number
  readonly step: string | null
  readonly reason: Reason | null
}

export type Next =
  | { readonly _tag: "Send" }
  /** Not longer than to the deadline, where that still matters. */
  | { readonly _tag: "Wait"; readonly millis: number; readonly untilDeadline: boolean }
  /** Until an operator says something; or, where it can still turn back, to its cancel or its deadline. */
  | { readonly _tag: "Park"; readonly untilCancel: boolean }
  | { readonly _tag: "End" }

export interface Decision {
  readonly state: State
  readonly next: Next
  /** Written together with the state, before what is next. Where there are none the state is as it was. */
  readonly entries: ReadonlyArray<Entry>
  readonly news: ReadonlyArray<News>
}

/** A new saga. Its first step is sent when somebody claims it. */
export const begin = (plan: Plan): Decision => {
  const state: State = {
    status: "RUNNING",
    step: plan.steps[0]?.name ?? null,
    undos: [],
    attempts: 0,
    claims: 0,
    mayHaveHappened: false,
    stuck: null,
    failure: null,
    results: {},
    version: 0,
    entries: 0
  }
  return tell({ state, next: send, entries: [], news: [] }, "started", null, null)
}

/** Somebody has taken it up, and has counted that. What was sent before and has no outcome is unknown from now on. */
export const onClaim = (plan: Plan, policy: Policy, state: State, flags: Flags): Decision => {
  const isLost = state.claims > 1
  const noted = isLost
    ? note({ ...state, mayHaveHappened: true }, "unknown", { code: "unknown", detail: "There was no outcome." })
    : keep(state)
  const turned = onFlags(plan, noted.state, flags)
  if (turned.entries.length > 0) return { ...turned, entries: [...noted.entries, ...turned.entries] }
  if (state.claims <= policy.mostClaims) return noted
  const reason = {
    code: "crashes",
    detail: `It was sent ${policy.mostClaims} times. Whoever sent it was gone each time, or what came of it could not be stored.`
  }
  return stick(noted, "crashes", reason, state.status === "RUNNING" && isUndoable(plan, state.step))
}

/** Nothing has been sent since it was written down: a cancel or the deadline still takes effect before the send. */
export const onFlags = (plan: Plan, state: State, { isCancelRequested, isOverdue }: Flags): Decision => {
  if (state.status !== "RUNNING" || !isUndoable(plan, state.step) || !(isCancelRequested || isOverdue)) {
    return keep(state)
  }
  const cause = isCancelRequested ? ("cancelled" as const) : ("overdue" as const)
  const reason = { code: cause, detail: null }
  return compensate(plan, note(state, cause, reason), { ...reason, cause, step: stepOf(state) }, true)
}

/** The call has come to an end, or its time was over. */
export const onOutcome = (plan: Plan, policy: Policy, state: State, outcome: Outcome): Decision => {
  const isForward = state.status === "RUNNING"
  const mayGiveUp = isForward && isUndoable(plan, state.step)
  const attempts = state.attempts + 1
  switch (outcome._tag) {
    case "Done": {
      return advance(plan, note(state, "done", null), outcome.result)
    }
    case "Rejected": {
      const noted = note(state, "rejected", outcome.reason)
      if (mayGiveUp) {
        const failure = { ...outcome.reason, cause: "rejected" as const, step: stepOf(state) }
        // A definite no did nothing, unless an earlier attempt did: it may have been refused because of that one.
        return compensate(plan, noted, failure, state.mayHaveHappened)
      }
      return stick({ ...noted, state: { ...noted.state, attempts, claims: 0 } }, "rejected", outcome.reason)
    }
    case "Unavailable": {
      const reason = { code: "unavailable", detail: outcome.detail }
      const noted = note({ ...state, claims: 0, mayHaveHappened: true }, "unavailable", reason)
      if (mayGiveUp && attempts >= policy.attempts) {
        return compensate(plan, noted, { ...reason, cause: "unavailable", step: stepOf(state) }, true)
      }
      const later: Decision = {
        ...noted,
        state: { ...noted.state, attempts },
        next: { _tag: "Wait", millis: delayAfter(policy, attempts), untilDeadline: mayGiveUp }
      }
      return mayGiveUp || attempts < policy.stuckAfter
        ? later
        : { ...stick(later, "unavailable", reason), next: later.next }
    }
  }
}

/** Somebody says that the step was done by hand. It goes on when it is claimed. */
export const onResolution = (plan: Plan, state: State, result: unknown, detail: string): Decision => {
  const decision = advance(plan, note(state, "resolved", { code: "resolved", detail }), result)
  return { ...decision, state: { ...decision.state, claims: 0 } }
}

const send: Next = { _tag: "Send" }

const keep = (state: State): Decision => ({ state, next: send, entries: [], news: [] })

const stepOf = (state: State) => state.step ?? ""

const advance = (plan: Plan, noted: Decision, result: unknown): Decision => {
  const { state } = noted
  if (state.status === "COMPENSATING") return undoNext(noted, state.undos)
  const done = stepOf(state)
  const next = stepAfter(plan, state.step)
  const results = { ...state.results, [done]: result }
  if (next === undefined) {
    return tell({ ...noted, state: { ...ended(state, "COMPLETED"), results }, next: end }, "completed", done, null)
  }
  return tell({ ...noted, state: { ...sending(state, next), results }, next: send }, "advanced", done, null)
}

const compensate = (plan: Plan, noted: Decision, failure: Failure, withStep: boolean): Decision => {
  const { state } = noted
  const told = tell(
    { ...noted, state: { ...state, status: "COMPENSATING", failure } },
    "compensating",
    failure.step,
    reasonOf(failure)
  )
  return undoNext(told, wayBack(plan, state.step, withStep))
}

const undoNext = (decision: Decision, undos: ReadonlyArray<string>): Decision => {
  const { state } = decision
  const [next, ...rest] = undos
  if (next !== undefined) return { ...decision, state: { ...sending(state, next), undos: rest }, next: send }
  const isCancelled = state.failure?.cause === "cancelled"
  return tell(
    { ...decision, state: ended(state, isCancelled ? "CANCELLED" : "FAILED"), next: end },
    isCancelled ? "cancelled" : "failed",
    state.failure?.step ?? null,
    state.failure === null ? null : reasonOf(state.failure)
  )
}

const end: Next = { _tag: "End" }

const reasonOf = ({ code, detail }: Reason): Reason => ({ code, detail })

/** With the intent to send this one: it is written together with what came of the one before. */
const sending = (state: State, step: string): State => ({
  ...state,
  step,
  attempts: 0,
  claims: 1,
  mayHaveHappened: false,
  stuck: null
})

const ended = (state: State, status: Status): State => ({
  ...state,
  status,
  step: null,
  undos: [],
  attempts: 0,
  claims: 0,
  mayHaveHappened: false,
  stuck: null
})

/** Told once, however often it is tried afterwards. */
const stick = (decision: Decision, stuck: Stuck, reason: Reason, untilCancel = false): Decision => {
  const { entries, state } = decision
  const parked: Decision = { ...decision, state: { ...state, stuck }, next: { _tag: "Park", untilCancel } }
  const noted = stuck === "crashes" ? note(parked.state, "stuck", reason) : parked
  const told = {
    ...parked,
    state: noted.state,
    entries: stuck === "crashes" ? [...entries, ...noted.entries] : entries
  }
  return state.stuck === null ? tell(told, "stuck", state.step, reasonOf(reason)) : told
}

const note = (state: State, outcome: Entry["outcome"], reason: Reason | null): Decision => {
  const seq = state.entries + 1
  const entry: Entry = {
    seq,
    kind: state.status === "COMPENSATING" ? "undo" : "run",
    step: stepOf(state),
    attempt: state.attempts + 1,
    outcome,
    code: reason?.code ?? null,
    detail: reason?.detail ?? null
  }
  return { state: { ...state, entries: seq }, next: send, entries: [entry], news: [] }
}

const tell = (decision: Decision, type: News["type"], step: string | null, reason: Reason | null): Decision => {
  const version = decision.state.version + 1
  return {
    ...decision,
    state: { ...decision.state, version },
    news: [...decision.news, { type, version, step, reason }]
  }
}
