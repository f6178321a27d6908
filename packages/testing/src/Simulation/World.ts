/**
 * A world in one process: its time, its network, and processes that are killed, stopped and started again.
 *
 * Real code runs in it, under a clock and a scheduler that belong to the world. Nothing happens by itself: the world takes
 * one event after the other, in the order of their times, and chance decides what comes in between. So the same chances are
 * the same story, and hours pass in milliseconds.
 */
import { Clock, Context, Duration, Effect, Random, References, Scheduler } from "effect"

import type { Chances } from "./Chances.ts"

/** What is asked over a network. */
export interface Question<A, E> {
  readonly what: string
  /** What it does where it arrives, at once and as a whole. */
  readonly answer: () => A
  /** What the asker hears where the connection is lost; nothing at all, unless told. */
  readonly lost?: Effect.Effect<never, E>
  /** How it can go; the first of them is the way in which all is well. */
  readonly ways: ReadonlyArray<Way>
}

export type Way =
  | "arrives"
  | "arrives late"
  | "arrives much later"
  | "arrives twice, the second time much later"
  | "is lost"
  | "arrives, and its answer is lost"

/** One life of a process. When it is killed it is over, and another one begins in its place. */
export interface Process {
  readonly name: string
  readonly isDead: () => boolean
  readonly ask: <A, E = never>(question: Question<A, E>) => Effect.Effect<A, E>
}

export interface World {
  readonly now: () => number
  /** Writes a line of the story. */
  readonly note: (line: string) => void
  readonly story: ReadonlyArray<string>
  /** One of these ways, by its place: the first, or another one with this likelihood. */
  readonly choose: (what: string, ways: ReadonlyArray<string>, likelihood: number) => number
  /** Something that happens by itself, whoever is alive. */
  readonly later: (millis: number, happen: () => void) => void
  /** Nothing is on its way, and nothing is still to happen by itself. */
  readonly isQuiet: () => boolean
  /** Starts a process, and again each time that it was killed. */
  readonly start: (name: string, main: (process: Process) => Effect.Effect<unknown, unknown>) => void
  /** One event after the other, until it is so. False where it is not so within this time. */
  readonly goOn: (isSo: () => boolean, millis: number) => boolean
}

export interface Options {
  /** How likely a misfortune is: to what is asked, and to a process at one of its turns. */
  readonly likelihood: { readonly question: number; readonly turn: number }
  /** How many misfortunes there are in one story at the most. */
  readonly mostMisfortunes: number
  /** For how long a process is stopped: longer than its neighbours wait for it. */
  readonly stoppedMillis: number
  readonly restartMillis: number
  readonly lateMillis: number
  readonly muchLaterMillis: number
}

interface Happening {
  readonly at: number
  readonly happen: () => void
  readonly life: Life | undefined
}

interface Life {
  readonly name: string
  readonly isDead: () => boolean
  readonly stoppedUntil: () => number
  readonly kill: () => void
  readonly stop: () => void
}

const onItsWayMillis = 1
const orders = ["is kept", "is changed"]
const fates = ["goes on", "is killed", "is stopped for a while"]

export const make = (chances: Chances, options: Options): World => {
  const story: Array<string> = []
  const happenings: Array<Happening> = []
  const tasks: Array<() => void> = []
  let now = 0
  let misfortunes = 0

  const note = (line: string) => void story.push(`${String(now).padStart(7)} ms  ${line}`)

  const choose = (what: string, ways: ReadonlyArray<string>, likelihood: number, name = what) => {
    const way = chances.pick(name, ways.length, likelihood)
    if (way > 0) note(`${what} ${ways[way] ?? ""}`)
    return way
  }
  const suffer = (what: string, ways: ReadonlyArray<string>, likelihood: number, name?: string) => {
    const way = choose(`! ${what}`, ways, misfortunes < options.mostMisfortunes ? likelihood : 0, name)
    if (way > 0) misfortunes += 1
    return way
  }
  /** Named by their times, which stay as they are where a story becomes smaller. */
  const atThisTime = (what: string) => `${what} at ${now}`

  /** Behind what is to happen at the same time. Answers how to take it back. */
  const put = (happening: Happening) => {
    happenings.splice(happenings.findLastIndex(({ at }) => at <= happening.at) + 1, 0, happening)
    return () => {
      const place = happenings.indexOf(happening)
      if (place !== -1) happenings.splice(place, 1)
    }
  }
  const later = (millis: number, happen: () => void, life?: Life) => put({ at: now + millis, happen, life })

  /** Until every fiber waits for something. Which of them comes first is chance. */
  const settle = () => {
    while (tasks.length > 0) {
      const isChanged = tasks.length > 1 && choose("the order of fibers", orders, 0.01, atThisTime("fibers")) === 1
      for (const task of tasks.splice(isChanged ? 1 : 0, 1)) task()
    }
  }

  const scheduler: Scheduler.Scheduler = {
    executionMode: "async",
    shouldYield: (fiber) => fiber.currentOpCount >= 10_000,
    makeDispatcher: () => ({ scheduleTask: (task) => void tasks.push(task), flush: settle })
  }

  const delays = new Map<Way, number>([
    ["arrives late", options.lateMillis],
    ["arrives much later", options.muchLaterMillis]
  ])
  const nanos = () => BigInt(now) * 1_000_000n
  const clockOf = (life: Life): Clock.Clock => ({
    currentTimeMillisUnsafe: () => now,
    currentTimeMillis: Effect.sync(() => now),
    currentTimeNanosUnsafe: nanos,
    currentTimeNanos: Effect.sync(nanos),
    monotonicTimeNanosUnsafe: nanos,
    monotonicTimeNanos: Effect.sync(nanos),
    sleep: (duration) =>
      Effect.callback<void>((resume) =>
        Effect.sync(later(Math.ceil(Duration.toMillis(duration)), () => resume(Effect.void), life))
      )
  })

  const askOf =
    (life: Life): Process["ask"] =>
    ({ answer, lost, ways, what }) =>
      Effect.callback((resume) => {
        const way = ways[suffer(what, ways, options.likelihood.question)] ?? "arrives"
        const loseIt = () => {
          if (lost !== undefined) later(onItsWayMillis, () => resume(lost), life)
        }
        const arrive = () => {
          const answered = Effect.succeed(answer())
          if (way === "arrives, and its answer is lost") loseIt()
          else later(onItsWayMillis, () => resume(answered), life)
        }
        if (way === "is lost") return loseIt()
        later(delays.get(way) ?? onItsWayMillis, arrive)
        if (way === "arrives twice, the second time much later") later(options.muchLaterMillis, () => void answer())
      })

  const start: World["start"] = (name, main) => {
    let isDead = false
    let stoppedUntil = 0
    const life: Life = {
      name,
      isDead: () => isDead,
      stoppedUntil: () => stoppedUntil,
      kill: () => {
        isDead = true
        later(options.restartMillis, () => start(name, main))
      },
      stop: () => {
        stoppedUntil = now + options.stoppedMillis
      }
    }
    const environment = Context.empty().pipe(
      Context.add(Scheduler.Scheduler, scheduler),
      Context.add(Clock.Clock, clockOf(life)),
      // Chance is the world's own.
      Context.add(Random.Random, { nextIntUnsafe: () => 0, nextDoubleUnsafe: () => 0.5 }),
      Context.add(References.MinimumLogLevel, "None")
    )
    Effect.runForkWith(environment)(main({ name, isDead: life.isDead, ask: askOf(life) }))
    settle()
  }

  /** What may happen to a process instead of its next turn. */
  const strike = (happening: Happening, life: Life) => {
    if (life.isDead()) return true
    const fate =
      life.stoppedUntil() > now ? 0 : suffer(life.name, fates, options.likelihood.turn, atThisTime(life.name))
    if (fate === 1) life.kill()
    if (fate === 2) life.stop()
    if (life.stoppedUntil() > now) put({ ...happening, at: life.stoppedUntil() })
    return life.isDead() || life.stoppedUntil() > now
  }

  const goOn: World["goOn"] = (isSo, millis) => {
    const end = now + millis
    while (!isSo()) {
      const next = happenings[0]
      if (next === undefined || next.at > end) return false
      happenings.shift()
      now = next.at
      if (next.life !== undefined && strike(next, next.life)) continue
      next.happen()
      settle()
    }
    return true
  }

  return {
    now: () => now,
    note,
    story,
    choose: (what, ways, likelihood) => choose(what, ways, likelihood),
    later: (millis, happen) => void later(millis, happen),
    isQuiet: () => happenings.every(({ life }) => life !== undefined),
    start,
    goOn
  }
}
