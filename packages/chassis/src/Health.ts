/**
 * Whether this process can do its work, asked by load balancers, by compose and by the supervisor of `npm start`.
 *
 * Live means: the process answers. Ready means: every registered check passes. What a service depends on registers
 * itself (the database, each worker), so that no list of checks has to be kept by hand.
 */
import { Problem } from "@ecommerce/protocol/Problem"
import { Context, Effect, Layer, Ref, Schema, type Scope } from "effect"

export interface Check {
  readonly name: string
  /** Fails with the reason, in words that may leave the service. */
  readonly run: Effect.Effect<void, string>
}

export class NotReady extends Problem<NotReady>()(
  "NotReady",
  { code: "not_ready", status: 503, title: "This service cannot do its work at the moment." },
  { checks: Schema.Record(Schema.String, Schema.String) }
) {}

export class Health extends Context.Service<
  Health,
  {
    readonly register: (check: Check) => Effect.Effect<void, never, Scope.Scope>
    /** The name of every check, each `ok`; or which are not, and why. */
    readonly ready: Effect.Effect<Readonly<Record<string, string>>, NotReady>
  }
>()("@ecommerce/chassis/Health") {
  static readonly layer = Layer.effect(
    Health,
    Effect.gen(function* () {
      const checks = yield* Ref.make<ReadonlyArray<Check>>([])

      const register = (check: Check) =>
        Effect.acquireRelease(
          Ref.update(checks, (all) => [...all, check]),
          () => Ref.update(checks, (all) => all.filter((other) => other !== check))
        )

      const ready = Effect.gen(function* () {
        const results = yield* Effect.forEach(yield* Ref.get(checks), runCheck, { concurrency: "unbounded" })
        const report = Object.fromEntries(results)
        return results.every(([, result]) => result === "ok") ? report : yield* new NotReady({ checks: report })
      })

      return Health.of({ register, ready })
    })
  )
}

const runCheck = (check: Check) =>
  check.run.pipe(
    Effect.as("ok"),
    Effect.timeoutOrElse({ duration: "2 seconds", orElse: () => Effect.succeed("no answer within 2 seconds") }),
    Effect.catch((reason) => Effect.succeed(reason)),
    Effect.catchCause(() => Effect.succeed("failed")),
    Effect.map((result) => [check.name, result] as const)
  )
