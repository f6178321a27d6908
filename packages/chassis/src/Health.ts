/**
 * Whether this process can do its work, asked by load balancers, by compose and by the supervisor of `npm start`.
 *
 * Live means: the process answers. Ready means: every registered check passes. What a service depends on registers
 * itself (the database, each worker), so that no list of checks has to be kept by hand.
 */
import { Problem } from "@ecommerce/protocol/Problem"
import { Cause, Context, Effect, Layer, Option, Ref, Schema, type Scope } from "effect"

export interface Check {
  readonly name: string
  /** Fails with the reason, in words that may leave the service; may have something to tell also when all is well. */
  readonly run: Effect.Effect<string | void, string>
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
    /** The name of every check, each `ok` or with what it has to tell; or which are not well, and why. */
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
        const report = Object.fromEntries(results.map(({ name, told }) => [name, told]))
        return results.every(({ passed }) => passed) ? report : yield* new NotReady({ checks: report })
      })

      return Health.of({ register, ready })
    })
  )
}

const runCheck = (check: Check) =>
  check.run.pipe(
    Effect.timeoutOrElse({ duration: "2 seconds", orElse: () => Effect.fail("no answer within 2 seconds") }),
    Effect.matchCause({
      onSuccess: (told) => ({ name: check.name, passed: true, told: told ?? "ok" }),
      onFailure: (cause) => ({
        name: check.name,
        passed: false,
        told: Option.getOrElse(Cause.findErrorOption(cause), () => "failed")
      })
    })
  )
