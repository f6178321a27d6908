/**
 * The simulations run over a model of the store. Here the model is held to the store itself: both are told the same, in an order
 * that is drawn from a seed, and have to stand the same after each of it.
 */
import { OrderId, ProductId, UserId } from "@ecommerce/contracts/Ids"
import * as Catalogue from "@ecommerce/saga/Catalogue"
import * as Decide from "@ecommerce/saga/Decide"
import { SagaStore } from "@ecommerce/saga/SagaStore"
import type { Held } from "@ecommerce/saga/SagaStore/Rows"
import { rowsOf } from "@ecommerce/sets/Sets"
import { repeated, seeded } from "@ecommerce/testing/Simulation/Chances"
import * as World from "@ecommerce/testing/Simulation/World"
import { TestDatabase } from "@ecommerce/testing/TestDatabase"
import * as TestService from "@ecommerce/testing/TestService"
import { PgClient } from "@effect/sql-pg"
import { assert, layer } from "@effect/vitest"
import { Duration, Effect, Layer, Schema } from "effect"

import { placeOrder } from "../src/PlaceOrder.ts"
import { definitions } from "../src/Sagas.ts"
import * as ModelStore from "./fixtures/simulated/ModelStore.ts"
import { options } from "./fixtures/simulated/Shop.ts"

/** Nothing comes due by itself while this runs, so that it does not matter how long that takes. */
const long = Duration.hours(1)
const longMillis = Duration.toMillis(long)
const policy = {
  attempts: 2,
  delayMillis: longMillis,
  multiplier: 1,
  longestDelayMillis: longMillis,
  stuckAfter: 3,
  mostClaims: 3
}

const workers = ["1", "2", "3"].map((digit) => `00000000-0000-7000-8000-00000000000${digit}`)
const catalogue = Catalogue.make(definitions)

const world = SagaStore.layer(() => Effect.void, long).pipe(
  Layer.provideMerge(TestService.database("orchestrator")),
  Layer.provideMerge(TestDatabase.layer)
)

const StandRow = Schema.Struct({
  saga: Schema.String,
  owner: Schema.NullOr(Schema.String),
  epoch: Schema.Int,
  claims: Schema.Int,
  status: Schema.String,
  step: Schema.NullOr(Schema.String),
  stuck: Schema.NullOr(Schema.String),
  isCancelRequested: Schema.Boolean,
  isDue: Schema.NullOr(Schema.Boolean),
  entries: Schema.Int,
  journaled: Schema.Int
})
type Stand = typeof StandRow.Type
const standRows = rowsOf(StandRow)

/** A saga in the hands of a worker, as the store gave it and as the model did. */
interface InHand {
  readonly real: Held
  readonly model: Held
}

const nameOf = ({ definition, key }: Pick<Held, "definition" | "key">) => `${definition} ${key}`
const bySaga = (stands: ReadonlyArray<Stand>) => stands.toSorted((a, b) => a.saga.localeCompare(b.saga))
const pause = (isNone: boolean) => (isNone ? Duration.zero : long)

const done: Decide.Outcome = { _tag: "Done", result: null }
const outcomes: ReadonlyArray<Decide.Outcome> = [
  ...Array.from({ length: 8 }, () => done),
  { _tag: "Rejected", reason: { code: "no", detail: null } },
  { _tag: "Unavailable", detail: "nobody there" }
]

const orderOf = (story: number, number: number) =>
  placeOrder.of({
    orderId: OrderId.make(`00000000-0000-7000-8000-${String(story * 1000 + number).padStart(12, "0")}`),
    userId: UserId.make("00000000-0000-7000-8000-000000000001"),
    email: "ada@example.com",
    items: [{ productId: ProductId.make("00000000-0000-7000-8000-000000000002"), quantity: 1, unitPriceCents: 100 }],
    totalCents: 100,
    currency: "USD"
  })

/** What both are told in one story, and where both stand after each of it. */
const compared = Effect.fnUntraced(function* (story: number, turns: number) {
  const sql = yield* PgClient.PgClient
  const store = yield* SagaStore
  const { administrator } = yield* TestDatabase
  yield* administrator`TRUNCATE orchestrator.sagas, orchestrator.saga_workers CASCADE`
  const model = ModelStore.make(World.make(repeated([]), options), { isFenced: true, deadlineMillis: longMillis })
  const modelled = model.of({ name: "the model", isDead: () => false, ask: () => Effect.die("It asks nobody") })
  const inModel = <A, E>(work: Effect.Effect<A, E>) => model.inTransaction(() => Effect.runSync(work))

  const chances = seeded(story)
  const pick = <A>(what: string, among: ReadonlyArray<A>) => among[chances.pick(what, among.length + 1, 1) - 1]
  const isSo = (what: string) => pick(what, [true, false]) === true
  const hands = new Map(workers.map((worker) => [worker, new Map<string, InHand>()]))
  const keys: Array<Held["key"]> = []
  const told = new Set<string>()
  let again: { readonly worker: string; readonly pair: InHand; readonly decision: Decide.Decision } | undefined

  /** Any of them, by the ids that each side knows them by. */
  const someOf = (hand: ReadonlyArray<InHand>) => {
    const some = hand.filter(() => isSo("one of them"))
    return { real: some.map(({ real }) => real.id), model: some.map(({ model }) => model.id) }
  }

  const write = Effect.fnUntraced(function* (worker: string, { model, real }: InHand, decision: Decide.Decision) {
    again = { worker, pair: { model, real }, decision }
    const ifCancelled = catalogue.followUp(real, decision)
    const change = { decision, millis: null, ifCancelled }
    const flags = [...(yield* store.write(worker, [{ ...change, saga: real }])).values()]
    assert.deepStrictEqual([...inModel(modelled.write(worker, [{ ...change, saga: model }])).values()], flags)
    // Who has lost it may not have noticed: a zombie writes again.
    const isForgotten = decision.next._tag !== "Send" || (flags.length === 0 && isSo("forgets it"))
    const state = { state: decision.state }
    const hand = hands.get(worker)
    if (isForgotten) hand?.delete(nameOf(real))
    else hand?.set(nameOf(real), { real: { ...real, ...state }, model: { ...model, ...state } })
  })

  const decisionFor = ({ real }: InHand) => {
    const { plan } = catalogue.definitionOf(real)
    const outcome = pick("an outcome", outcomes) ?? done
    const claimed = Decide.onClaim(plan, policy, real.state, real.flags)
    if (claimed.entries.length > 0) return claimed
    return Decide.onOutcome(plan, policy, real.state, outcome)
  }

  const deeds: Readonly<Record<string, (worker: string, hand: ReadonlyArray<InHand>) => Effect.Effect<void, unknown>>> =
    {
      begins: () =>
        Effect.gen(function* () {
          // Few, so that each of them sees a lot.
          const number = keys.length < 4 ? keys.length : 0
          const opening = catalogue.openingOf(orderOf(story, number))
          if (number === keys.length) keys.push(opening.saga.key)
          assert.strictEqual(inModel(modelled.start([opening])), yield* store.start([opening]))
        }),
      "says that it lives": (worker) =>
        Effect.andThen(
          Effect.sync(() => inModel(modelled.beat(worker, "somebody", long))),
          store.beat(worker, "somebody", long)
        ),
      dies: (worker) =>
        Effect.andThen(
          Effect.sync(() => inModel(modelled.beat(worker, "somebody", Duration.zero))),
          store.beat(worker, "somebody", Duration.zero)
        ),
      claims: (worker) =>
        Effect.gen(function* () {
          const wanted = { definitions: catalogue.versions, most: 100, suspects: isSo("suspects"), worker }
          const claimed = yield* store.claim(wanted)
          const models = new Map(inModel(modelled.claim(wanted)).map((held) => [nameOf(held), held]))
          assert.sameMembers([...models.keys()], claimed.map(nameOf))
          for (const real of claimed) {
            const held = models.get(nameOf(real))
            if (held === undefined) continue
            assert.deepStrictEqual(held.state, real.state)
            assert.deepStrictEqual(held.flags, real.flags)
            hands.get(worker)?.set(nameOf(real), { real, model: held })
          }
        }),
      writes: (worker, hand) => {
        const pair = pick("a saga", hand)
        return pair === undefined || pair.real.state.step === null
          ? Effect.void
          : write(worker, pair, decisionFor(pair))
      },
      "writes again what it has written": () =>
        again === undefined ? Effect.void : write(again.worker, again.pair, again.decision),
      "lets go": (worker, hand) => {
        const pair = pick("a saga", hand)
        if (pair === undefined) return Effect.void
        const [wait, wasSent] = [pause(isSo("no pause")), isSo("was sent")]
        inModel(modelled.letGo(worker, pair.model, wait, wasSent))
        return store.letGo(worker, pair.real, wait, wasSent)
      },
      "gives back": (worker, hand) => {
        const known = someOf(hand)
        inModel(modelled.giveBackAllBut(worker, known.model))
        return store.giveBackAllBut(worker, known.real)
      },
      leaves: (worker, hand) => {
        const unsent = someOf(hand)
        inModel(modelled.leave(worker, unsent.model))
        return store.leave(worker, unsent.real)
      },
      "takes from the dead": () =>
        Effect.map(store.takeFromTheDead, (count) => {
          assert.strictEqual(inModel(modelled.takeFromTheDead), count)
        }),
      cancels: () => {
        const key = pick("a key", keys)
        if (key === undefined) return Effect.void
        const named = [{ definition: placeOrder.name, key }]
        assert.lengthOf(inModel(modelled.requestCancel(named)), 1)
        return Effect.asVoid(sql.withTransaction(store.requestCancel(named)))
      }
    }
  const writes = (count: number) => Array.from({ length: count }, () => "writes")
  const often = [
    "claims",
    "claims",
    "claims",
    "says that it lives",
    "says that it lives",
    // In every other story most of them come to their end; in the others somebody always comes between.
    ...(story % 2 === 1 ? writes(15) : [...writes(8), "cancels", "cancels", "lets go", "lets go", "lets go", "lets go"])
  ]

  for (let turn = 0; turn < turns; turn++) {
    const worker = pick("a worker", workers) ?? ""
    const what = pick("what it does", [...Object.keys(deeds), ...often]) ?? ""
    yield* deeds[what]?.(worker, [...(hands.get(worker)?.values() ?? [])]) ?? Effect.void
    told.add(what)
    const real = yield* standRows(sql`
      SELECT definition || ' ' || key AS saga, owner, epoch, claims, status, step, stuck,
        cancel_requested AS is_cancel_requested, due_at <= clock_timestamp() AS is_due, entries,
        (SELECT count(*)::integer FROM saga_journal WHERE saga_id = sagas.id) AS journaled
      FROM sagas`)
    const stands = model.rows.map(({ dueAt, held, journal, owner }): Stand => {
      const { claims, entries, status, step, stuck } = held.state
      return {
        saga: nameOf(held),
        owner,
        epoch: held.epoch,
        claims,
        status,
        step,
        stuck,
        isCancelRequested: held.flags.isCancelRequested,
        isDue: dueAt === null ? null : dueAt <= 0,
        entries,
        journaled: journal.length
      }
    })
    assert.deepStrictEqual(bySaga(stands), bySaga(real), `story ${story}, turn ${turn}: ${worker} ${what}`)
  }
  return { deeds: [...told], stands: model.rows.map(({ held }) => `${held.definition} ${held.state.status}`) }
})

layer(world, { excludeTestServices: true })("the model of the store in simulations", (it) => {
  it.effect("stands where the store stands, whatever both are told", () =>
    Effect.gen(function* () {
      const stories = yield* Effect.forEach(
        Array.from({ length: 20 }, (_, number) => number + 1),
        (story) => compared(story, 150)
      )
      const seen = new Set(stories.flatMap(({ stands }) => stands))
      // Else nothing of what matters was compared.
      for (const end of ["COMPLETED", "FAILED", "CANCELLED", "RUNNING"]) assert.include([...seen], `place-order ${end}`)
      assert.strictEqual(new Set(stories.flatMap(({ deeds }) => deeds)).size, 11)
    })
  )
})
