/**
 * What every command owes to whoever asks it, as one suite for all commands of all services.
 *
 * It speaks to the running service over the wire, and looks at all that the service has stored. A command joins with one
 * line in its service's `Duties.test.ts`: what it asks for, and which command undoes it.
 */
import type * as Service from "@ecommerce/chassis/Service"
import { assert, layer } from "@effect/vitest"
import { Effect, Fiber, Layer, Schedule, Schema } from "effect"
import { HttpClient } from "effect/http"

import { type Asked, send, told } from "./Asking.ts"
import { deadlocksShow, TestDatabase } from "./TestDatabase.ts"
import * as TestService from "./TestService.ts"
import * as Witness from "./Witness.ts"

type Sender = HttpClient.HttpClient | TestDatabase

export interface Participant<World> {
  readonly does: Asked<World>
  /** What has to have happened to the key before. */
  readonly given?: ReadonlyArray<Asked<World>>
  /** Asks for something else under the same key; left out where the key says it all. */
  readonly otherwise?: Asked<World>
  /** Left out for a command that is itself an undo. */
  readonly undo?: Asked<World>
  /** A definite no, and what takes its cause away; left out where only an undo is a reason to refuse. */
  readonly refusal?: {
    readonly does: Asked<World>
    readonly relieve: (key: string, world: World) => Effect.Effect<unknown, unknown, Sender>
  }
}

/** The suite for these commands of this service; `prepare` makes what their payloads need, anew for each test. */
export const participantDuties = <World, E, E2>(
  definition: Service.Definition<E>,
  prepare: Effect.Effect<World, E2, Sender>,
  participants: ReadonlyArray<Participant<World>>,
  settings: Readonly<Record<string, string>> = {}
) => {
  const service = definition.place.name

  const scene = ({ given = [] }: Participant<World>) =>
    Effect.gen(function* () {
      const world = yield* prepare
      const witness = yield* Witness.make(service)
      const itemOf = (asked: Asked<World>, key: string) => ({ key, payload: asked.payload(key, world) })
      const run = (asked: Asked<World>, ...keys: ReadonlyArray<string>) =>
        send(
          asked.name,
          keys.map((key) => itemOf(asked, key))
        )
      /** New keys to which everything has happened that has to happen before. */
      const keys = Effect.fn("keys")(function* (count: number) {
        const fresh = Array.from({ length: count }, () => crypto.randomUUID())
        yield* Effect.forEach(given, (asked) => run(asked, ...fresh))
        return fresh
      })
      const key = Effect.map(keys(1), ([only]) => only ?? assert.fail("no key"))
      return { ...witness, world, itemOf, run, keys, key }
    })

  const running = TestService.layer(definition, { LOG_LEVEL: "Error", ...settings }).pipe(
    Layer.provide(deadlocksShow(service)),
    Layer.provideMerge(TestDatabase.layer)
  )

  // Time is real: PostgreSQL's sleep, and the pauses between its looks.
  layer(running, { excludeTestServices: true })(`what a command of ${service} owes`, (it) => {
    it.effect("is looked at for every command of the service", () =>
      Effect.gen(function* () {
        const response = yield* HttpClient.get("/openapi.json")
        const { paths } = yield* Effect.flatMap(response.json, decodeDocument)
        const offered = Object.keys(paths).filter((path) => path.startsWith("/commands/"))
        const joined = new Set(participants.map(({ does }) => `/commands/${does.name}`))
        assert.deepStrictEqual([...joined].toSorted(), offered.toSorted())
      })
    )

    for (const participant of participants) {
      const { does, otherwise, refusal, undo } = participant

      it.effect(`${does.name} twice has one effect and the same answer`, () =>
        Effect.gen(function* () {
          const { key, run, snapshot } = yield* scene(participant)
          const order = yield* key
          const first = yield* run(does, order)
          assert.deepStrictEqual(told(first), ["ok"])
          const before = yield* snapshot
          assert.deepStrictEqual(yield* run(does, order), first)
          assert.deepStrictEqual(yield* snapshot, before)
        })
      )

      it.effect(`${does.name} in sixteen requests at once has one effect and one answer`, () =>
        Effect.gen(function* () {
          const { keys, mentions, run } = yield* scene(participant)
          const [single = "", many = ""] = yield* keys(2)
          yield* run(does, single)
          const answers = yield* Effect.all(
            Array.from({ length: 16 }, () => run(does, many)),
            { concurrency: "unbounded" }
          )
          assert.deepStrictEqual([...new Set(answers.flatMap(told))], ["ok"])
          for (const answer of answers) assert.deepStrictEqual(answer, answers[0])
          assert.deepStrictEqual(yield* mentions(many), yield* mentions(single))
        })
      )

      it.effect(`${does.name} several times in one batch has one effect and one answer`, () =>
        Effect.gen(function* () {
          const { keys, mentions, run } = yield* scene(participant)
          const [single = "", many = ""] = yield* keys(2)
          const [first, other, second, third] = yield* run(does, many, single, many, many)
          assert.deepStrictEqual(told([first, other]), ["ok", "ok"])
          assert.deepStrictEqual([second, third], [first, first])
          assert.deepStrictEqual(yield* mentions(many), yield* mentions(single))
        })
      )

      it.effect(`${does.name} for five hundred answers each in its place, and the same the next time`, () =>
        Effect.gen(function* () {
          const { keys, run, snapshot } = yield* scene(participant)
          const all = yield* keys(500)
          const answers = yield* run(does, ...all)
          assert.deepStrictEqual([...new Set(told(answers))], ["ok"])
          for (const [place, answer] of answers.entries()) assert.include(JSON.stringify(answer), all[place] ?? "")
          const before = yield* snapshot
          assert.deepStrictEqual(yield* run(does, ...all.toReversed()), answers.toReversed())
          assert.deepStrictEqual(yield* snapshot, before)
        })
      )

      it.effect(`${does.name} that PostgreSQL cannot store fails alone among good ones`, () =>
        Effect.gen(function* () {
          const { keys, mentions, poison, run } = yield* scene(participant)
          const all = yield* keys(21)
          const bad = all[13] ?? ""
          const before = yield* mentions(bad)
          yield* poison(bad)
          const answers = told(yield* run(does, ...all))
          assert.strictEqual(answers[13], "BadItem")
          assert.deepStrictEqual([...new Set(answers.toSpliced(13, 1))], ["ok"])
          assert.deepStrictEqual(yield* mentions(bad), before)
        })
      )

      it.effect(`${does.name} whose connection is lost in the middle is done once by the next try`, () =>
        Effect.gen(function* () {
          const { delay, isDelayed, keys, mentions, run } = yield* scene(participant)
          const { cutConnections } = yield* TestDatabase
          const [single = "", ...cut] = yield* keys(6)
          yield* run(does, single)
          const before = yield* Effect.forEach(cut, mentions)
          yield* Effect.scoped(
            Effect.gen(function* () {
              yield* delay(cut[2] ?? "", 30)
              const sent = yield* Effect.forkChild(Effect.flip(run(does, ...cut)))
              yield* Effect.repeat(isDelayed, { until: (is) => is, schedule: Schedule.spaced("10 millis") })
              yield* cutConnections
              assert.strictEqual(yield* Fiber.join(sent), `${does.name} answered with status 503`)
            })
          )
          assert.deepStrictEqual(yield* Effect.forEach(cut, mentions), before)
          assert.deepStrictEqual([...new Set(told(yield* run(does, ...cut)))], ["ok"])
          const expected = yield* mentions(single)
          assert.deepStrictEqual(
            yield* Effect.forEach(cut, mentions),
            cut.map(() => expected)
          )
        })
      )

      it.effect(`${does.name} whose caller hangs up in the middle is done once by the next try`, () =>
        Effect.gen(function* () {
          const { delay, isDelayed, keys, mentions, run } = yield* scene(participant)
          const [single = "", left = ""] = yield* keys(2)
          yield* run(does, single)
          yield* Effect.scoped(
            Effect.gen(function* () {
              yield* delay(left, 0.5)
              const sent = yield* Effect.forkChild(run(does, left))
              yield* Effect.repeat(isDelayed, { until: (is) => is, schedule: Schedule.spaced("10 millis") })
              yield* Fiber.interrupt(sent)
              // What has begun goes on; whoever asks again waits for it.
              assert.deepStrictEqual(told(yield* run(does, left)), ["ok"])
            })
          )
          assert.deepStrictEqual(yield* mentions(left), yield* mentions(single))
        })
      )

      if (otherwise !== undefined) {
        it.effect(`${does.name} for something else under its key is a conflict, later and in the same batch`, () =>
          Effect.gen(function* () {
            const { itemOf, keys, run, snapshot } = yield* scene(participant)
            const [order = "", another = ""] = yield* keys(2)
            yield* run(does, order)
            const before = yield* snapshot
            assert.deepStrictEqual(told(yield* run(otherwise, order)), ["KeyConflict"])
            assert.deepStrictEqual(yield* snapshot, before)
            const batch = [itemOf(does, another), itemOf(otherwise, another), itemOf(does, another)]
            assert.deepStrictEqual(told(yield* send(does.name, batch)), ["ok", "KeyConflict", "ok"])
          })
        )
      }

      if (refusal !== undefined) {
        it.effect(`${does.name} that was refused stays refused when the cause is gone`, () =>
          Effect.gen(function* () {
            const { run, snapshot, world } = yield* scene(participant)
            const order = crypto.randomUUID()
            const first = yield* run(refusal.does, order)
            assert.notInclude(["ok", "Unavailable", "BadItem", "KeyConflict"], told(first)[0])
            yield* refusal.relieve(order, world)
            const before = yield* snapshot
            assert.deepStrictEqual(yield* run(refusal.does, order, order), [...first, ...first])
            assert.deepStrictEqual(yield* snapshot, before)
          })
        )
      }

      if (undo !== undefined) {
        it.effect(`${undo.name} after ${does.name} twice is one undo, and what comes after it is refused`, () =>
          Effect.gen(function* () {
            const { key, run, snapshot } = yield* scene(participant)
            const order = yield* key
            yield* run(does, order)
            const undone = yield* run(undo, order)
            assert.deepStrictEqual(told(undone), ["ok"])
            const before = yield* snapshot
            assert.deepStrictEqual(yield* run(undo, order), undone)
            const late = yield* run(does, order, order)
            assert.notInclude(["ok", "Unavailable", "BadItem", "KeyConflict"], told(late)[0])
            assert.deepStrictEqual(yield* run(does, order, order), late)
            assert.deepStrictEqual(yield* snapshot, before)
          })
        )

        it.effect(`${undo.name} before ${does.name} succeeds and is remembered`, () =>
          Effect.gen(function* () {
            const { run, snapshot } = yield* scene(participant)
            const order = crypto.randomUUID()
            const undone = yield* run(undo, order)
            assert.deepStrictEqual(told(undone), ["ok"])
            const before = yield* snapshot
            const late = yield* run(does, order)
            assert.notInclude(["ok", "Unavailable", "BadItem", "KeyConflict"], told(late)[0])
            assert.deepStrictEqual(yield* run(does, order), late)
            assert.deepStrictEqual(yield* run(undo, order), undone)
            assert.deepStrictEqual(yield* snapshot, before)
          })
        )

        it.effect(`${does.name} and ${undo.name} at once, ten times each, end undone`, () =>
          Effect.gen(function* () {
            const { key, run, snapshot } = yield* scene(participant)
            const order = yield* key
            const ten = (asked: Asked<World>) =>
              Effect.all(
                Array.from({ length: 10 }, () => Effect.map(run(asked, order), told)),
                { concurrency: "unbounded" }
              )
            const [done, undone] = yield* Effect.all([ten(does), ten(undo)], { concurrency: "unbounded" })
            const refused = new Set(done.flat())
            refused.delete("ok")
            assert.isAtMost(refused.size, 1)
            assert.deepStrictEqual([...new Set(undone.flat())], ["ok"])
            const before = yield* snapshot
            assert.notStrictEqual(told(yield* run(does, order))[0], "ok")
            assert.deepStrictEqual(told(yield* run(undo, order)), ["ok"])
            assert.deepStrictEqual(yield* snapshot, before)
          })
        )
      }
    }
  })
}

const decodeDocument = Schema.decodeUnknownEffect(
  Schema.Struct({ paths: Schema.Record(Schema.String, Schema.Unknown) })
)
