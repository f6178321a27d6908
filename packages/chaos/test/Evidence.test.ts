import { Evidence } from "@ecommerce/chaos/Evidence"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"

describe("a line of a log", () => {
  it.effect("that holds a secret is a violation, and is told without it", () =>
    Effect.gen(function* () {
      const { hear, secrecy } = yield* Evidence
      yield* hear('{"message":"Paid.","level":"INFO"}')
      yield* hear('{"message":"Paid with tok_visa_success, asked by s3cret","level":"INFO"}')
      assert.deepStrictEqual(yield* secrecy, {
        invariant: "no line of a log holds a password, or a token of a service or of a card",
        looked: 2,
        violations: ['{"message":"Paid with tok_visa_success, asked by (a secret)","level":"INFO"}']
      })
    }).pipe(Effect.provide(Evidence.layer(["s3cret", "another"])))
  )

  it.effect("is counted where it is an error", () =>
    Effect.gen(function* () {
      const { errors, hear } = yield* Evidence
      yield* hear('{"message":"No.","level":"ERROR"}')
      yield* hear('{"message":"ERROR","level":"INFO"}')
      assert.strictEqual(yield* errors, 1)
    }).pipe(Effect.provide(Evidence.layer([])))
  )

  it.effect("tells of takeovers, and of those that came back too late", () =>
    Effect.gen(function* () {
      const { hear, noted } = yield* Evidence
      yield* hear('{"message":"Sagas taken from workers whose lease is over: 3","level":"WARN"}')
      yield* hear('{"message":"Saga 1 is in other hands by now","level":"WARN"}')
      const { fencedWrites, takeovers } = yield* noted
      assert.deepStrictEqual({ fencedWrites, takeovers }, { fencedWrites: 1, takeovers: 3 })
    }).pipe(Effect.provide(Evidence.layer([])))
  )
})
