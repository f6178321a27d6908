import { Announcements } from "@ecommerce/outbox/Announcements"
import { assert, layer } from "@effect/vitest"
import { Effect, Fiber } from "effect"

const soon = Effect.sleep("20 millis")

layer(Announcements.layer, { excludeTestServices: true })("word of what was committed", (it) => {
  it.effect(
    "wakes those whom its types concern, and leaves the others in peace, also those who begin to wait then",
    () =>
      Effect.gen(function* () {
        const { after, committed, heard, last } = yield* Announcements
        const before = yield* last
        const waiting = (...types: ReadonlyArray<string>) =>
          Effect.forkChild(after(before, types.length === 0 ? undefined : new Set(types)))
        const [all, lost, sent] = [yield* waiting(), yield* waiting("lost"), yield* waiting("sent", "lost")]
        yield* soon
        assert.deepStrictEqual(
          [all, lost, sent].map((fiber) => fiber.pollUnsafe()),
          [undefined, undefined, undefined]
        )
        committed(7n, new Set(["sent"]))
        yield* Fiber.join(all)
        yield* Fiber.join(sent)
        const late = yield* waiting("lost")
        yield* soon
        assert.deepStrictEqual(
          [lost, late].map((fiber) => fiber.pollUnsafe()),
          [undefined, undefined]
        )
        yield* after(before, new Set(["sent"]))
        yield* heard
        yield* Fiber.join(lost)
        yield* Fiber.join(late)
        yield* after(before, new Set(["lost"]))
      })
  )
})
