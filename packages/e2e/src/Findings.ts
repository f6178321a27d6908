/**
 * What is found out on the way: checks, told as they are made, and figures, told at the end.
 */
import * as Welcome from "@ecommerce/stack/Welcome"
import { Clock, Console, Context, Effect, Layer, Ref } from "effect"

interface Found {
  readonly failures: number
  readonly figures: ReadonlyArray<readonly [name: string, value: string]>
}

export class Findings extends Context.Service<
  Findings,
  {
    /** Nothing is wrong where there are no complaints. */
    readonly check: (sentence: string, complaints: ReadonlyArray<string>) => Effect.Effect<void>
    /** What could not be checked here, and why. */
    readonly note: (sentence: string) => Effect.Effect<void>
    readonly figure: (name: string, value: string) => Effect.Effect<void>
    readonly failures: Effect.Effect<number>
    /** All figures, as a table. */
    readonly table: Effect.Effect<string>
  }
>()("@ecommerce/e2e/Findings") {
  static readonly layer = Layer.effect(
    Findings,
    Effect.gen(function* () {
      const found = yield* Ref.make<Found>({ failures: 0, figures: [] })
      return Findings.of({
        check: (sentence, complaints) =>
          Effect.gen(function* () {
            if (complaints.length === 0) return yield* Console.log(`  ok      ${sentence}`)
            yield* Ref.update(found, (before) => ({ ...before, failures: before.failures + 1 }))
            const shown = complaints.slice(0, mostShown).map((complaint) => `\n            ${complaint}`)
            const more =
              complaints.length > mostShown ? `\n            … and ${complaints.length - mostShown} more` : ""
            yield* Console.log(`  FAILS   ${sentence}${shown.join("")}${more}`)
          }),
        note: (sentence) => Console.log(`  –       ${sentence}`),
        figure: (name, value) =>
          Ref.update(found, (before) => ({ ...before, figures: [...before.figures, [name, value] as const] })),
        failures: Effect.map(Ref.get(found), ({ failures }) => failures),
        table: Effect.map(Ref.get(found), ({ figures }) => Welcome.columns(["figure", "value"], figures))
      })
    })
  )
}

/** How long this takes, as a figure. */
export const timed =
  (name: string) =>
  <A, E, R>(work: Effect.Effect<A, E, R>) =>
    Effect.gen(function* () {
      const { figure } = yield* Findings
      const began = yield* Clock.currentTimeMillis
      const answer = yield* work
      yield* figure(name, `${(((yield* Clock.currentTimeMillis) - began) / 1000).toFixed(1)} s`)
      return answer
    })

const mostShown = 5
