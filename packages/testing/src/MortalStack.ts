/**
 * Every service over one database, each of which dies where a test says so and is started again at once.
 *
 * They live in the test's own process, because starting one takes a moment there and a second elsewhere. One that dies is cut
 * off from PostgreSQL and everybody else between two bytes, and what is left of it never reaches anybody again; whatever
 * comes after it shares nothing with it. (Processes are killed with -9 in other tests.)
 */
import type * as Service from "@ecommerce/chassis/Service"
import * as ChassisSettings from "@ecommerce/chassis/Settings"
import { Context, type Duration, Effect, Exit, Fiber, Latch, Layer, Option, Queue, Redacted, Scope } from "effect"
import { HttpServer } from "effect/http"

import * as CrashPoints from "./CrashPoints.ts"
import * as HttpTap from "./CrashPoints/HttpTap.ts"
import * as PostgresTap from "./CrashPoints/PostgresTap.ts"
import type { Moment } from "./CrashPoints/Tap.ts"
import { TestDatabase } from "./TestDatabase.ts"
import * as TestService from "./TestService.ts"
import { definitions, type Name, names, prompt } from "./WholeStack.ts"

/** One that was cut off may wait for an answer that nobody gives any more: whoever buries it does not wait with it. */
const bury = Effect.fnUntraced(function* (name: Name, scope: Scope.Closeable) {
  const closing = yield* Effect.forkDetach(Scope.close(scope, Exit.void))
  const end = yield* Effect.interruptible(Effect.timeoutOption(Fiber.await(closing), "30 seconds"))
  if (Option.isNone(end)) yield* Effect.logError(`${name} does not come to its end`)
})

export class MortalStack extends Context.Service<
  MortalStack,
  {
    /** Where it is found, whichever of its lives it is in. */
    readonly urlOf: (name: Name) => string
    /** All points to which somebody has come since this was asked, by their names. */
    readonly takeSeen: Effect.Effect<ReadonlyMap<string, Moment>>
    /** The service dies when it comes to this point; this returns when it is there again. False where it does not come there in time. */
    readonly dieAt: (point: Moment, patience: Duration.Input) => Effect.Effect<boolean>
  }
>()("@ecommerce/testing/MortalStack") {
  static readonly layer = (settings: Readonly<Record<string, string>> = {}) =>
    Layer.effect(
      MortalStack,
      Effect.gen(function* () {
        const { urlOf } = yield* TestDatabase
        const points = CrashPoints.make()
        const places = new Map<Name, CrashPoints.Place>()

        const between = (from: CrashPoints.Life | undefined, to: Name) =>
          Effect.map(
            points.line({ from, to: () => places.get(to), tap: () => HttpTap.make(from?.service, to) }),
            (port) => `http://127.0.0.1:${port}`
          )

        /** Lines of its own for each life: what is left of the one before finds nobody at the end of its lines. */
        const settingsOf = Effect.fnUntraced(function* (name: Name, life: CrashPoints.Life) {
          const database = new URL(Redacted.value(urlOf(name)))
          const postgres = { life: undefined, port: Number(database.port) }
          const tap = () => PostgresTap.make(name)
          database.port = String(yield* points.line({ from: life, to: () => postgres, tap }))
          const others = yield* Effect.forEach(
            names.filter((other) => other !== name),
            (other) => Effect.map(between(life, other), (url) => [ChassisSettings.keyOf(other, "URL"), url] as const)
          )
          return { ...prompt, ...Object.fromEntries(others), DATABASE_URL: database.href, ...settings }
        })

        const run = Effect.fnUntraced(function* <E>(name: Name, definition: Service.Definition<E>) {
          const deaths = yield* Queue.unbounded<void>()
          const births = yield* Queue.unbounded<void>()
          const live = Effect.gen(function* () {
            const scope = yield* Effect.acquireRelease(Scope.make(), (left) => bury(name, left))
            const life = points.live(name)
            const begin = TestService.replica(definition, settingsOf(name, life))
            const context = yield* Effect.provideService(begin, Scope.Scope, scope)
            const url = yield* Effect.provide(HttpServer.addressFormattedWith(Effect.succeed), context)
            places.set(name, { life, port: Number(new URL(url).port) })
            yield* Queue.offer(births, undefined)
            yield* Queue.take(deaths)
            places.delete(name)
            yield* Effect.forkScoped(bury(name, scope))
          })
          yield* Effect.forkScoped(Effect.orDie(Effect.forever(live)))
          yield* Queue.take(births)
          return { births, die: () => void Queue.offerUnsafe(deaths, undefined) }
        })

        const lives = new Map<string, Effect.Success<ReturnType<typeof run>>>()
        const urls = new Map<Name, string>()
        for (const name of names) {
          urls.set(name, yield* between(undefined, name))
          lives.set(name, yield* run(name, definitions[name]))
        }

        const dieAt = Effect.fn("MortalStack.dieAt")(function* (point: Moment, patience: Duration.Input) {
          const life = lives.get(point.service)
          if (life === undefined) return false
          let isStruck = false
          const struck = yield* Latch.make(false)
          points.arm(point, () => {
            isStruck = true
            life.die()
            struck.openUnsafe()
          })
          yield* Effect.timeoutOption(struck.await, patience)
          points.disarm(point.service)
          if (isStruck) yield* Queue.take(life.births)
          return isStruck
        })

        return MortalStack.of({ urlOf: (name) => urls.get(name) ?? "", takeSeen: Effect.sync(points.takeSeen), dieAt })
      })
    )
}
