import type { ProductId } from "@ecommerce/contracts/Ids"
import { Long, rowsOf } from "@ecommerce/sets/Sets"
import { Neighbours } from "@ecommerce/testing/Neighbours"
import { until } from "@ecommerce/testing/ServiceProcess"
import { TestDatabase } from "@ecommerce/testing/TestDatabase"
import * as TestService from "@ecommerce/testing/TestService"
import * as Witness from "@ecommerce/testing/Witness"
import { assert, layer } from "@effect/vitest"
import { Deferred, Effect, Layer, Schema } from "effect"
import { HttpClientRequest } from "effect/http"

import { definition } from "../src/Http.ts"
import { change, copyOf, desk, order, untilKnown } from "./fixtures/Catalogue.ts"
import { honoured, layer as counter, newProduct, replica, say } from "./fixtures/Counter.ts"

/** Orders again and again until it is answered with this. */
const orderUntil = (productId: ProductId, status: number) =>
  until(Effect.map(order(productId), (said) => said.status === status))

const Checks = Schema.Struct({ checks: Schema.Record(Schema.String, Schema.String) })
const toldByHealth = Effect.gen(function* () {
  const { body, status } = yield* say(HttpClientRequest.get("/health"))
  const { checks } = yield* Schema.decodeUnknownEffect(Checks)(body)
  return { status, consumer: checks["consumer edge-api.prices"], prices: checks["prices"] }
})

const cursorRows = rowsOf(Schema.Struct({ consumer: Schema.String, letters: Long }))
const consumers = Effect.flatMap(TestDatabase, ({ administrator: sql }) =>
  cursorRows(sql`
    SELECT consumer, (SELECT count(*) FROM edge_api.dead_letters) AS letters FROM edge_api.feed_cursors
    WHERE consumer LIKE 'edge-api.prices%'`)
)

// So long that nothing but the feed brings news of what is known once.
layer(counter({ PRICES_GOOD_FOR: "1 hour" }), { excludeTestServices: true })("an edge that follows inventory", (it) => {
  it.effect("honours a changed price as soon as it is told", () =>
    Effect.gen(function* () {
      const product = yield* newProduct(1000)
      assert.strictEqual((yield* order(product)).status, 202)
      yield* change(product, { priceCents: 1500 })
      yield* until(
        Effect.andThen(
          order(product),
          Effect.map(honoured(product), (prices) => prices.at(-1) === 1500)
        )
      )
      const prices = yield* honoured(product)
      assert.deepStrictEqual(
        prices,
        prices.toSorted((a, b) => a - b)
      )
      assert.deepStrictEqual([...new Set(prices)], [1000, 1500])
    })
  )

  it.effect("refuses a product that is sold no more, and takes it when it is sold again", () =>
    Effect.gen(function* () {
      const product = yield* newProduct(1000)
      assert.strictEqual((yield* order(product)).status, 202)
      yield* change(product, { active: false })
      yield* orderUntil(product, 422)
      assert.containSubset((yield* order(product)).body, {
        error: "product_not_sold",
        products: [{ product_id: product, objection: "inactive" }]
      })
      yield* change(product, { active: true })
      yield* orderUntil(product, 202)
    })
  )

  it.effect("knows a product that nobody has ordered yet, and asks nobody for it", () =>
    Effect.gen(function* () {
      const { inventory } = yield* Neighbours
      const product = yield* newProduct(1000)
      yield* untilKnown(product, 1000)
      assert.strictEqual((yield* order(product)).status, 202)
      yield* inventory.relay.be("away")
      const said = yield* Effect.ensuring(order(product), inventory.relay.be("open"))
      assert.strictEqual(said.status, 202)
      assert.isFalse((yield* copyOf(product))?.wasAsked)
    })
  )

  it.effect("shares its place in the feed with all of its replicas, and each honours what one has heard", () =>
    Effect.gen(function* () {
      const there = yield* replica({ PRICES_GOOD_FOR: "1 hour" })
      const product = yield* newProduct(1000)
      yield* untilKnown(product, 1000)
      for (const price of [1100, 1200, 1300]) {
        yield* change(product, { priceCents: price })
        yield* untilKnown(product, price)
        yield* order(product)
        yield* there(order(product))
      }
      assert.deepStrictEqual(yield* honoured(product), [1100, 1100, 1200, 1200, 1300, 1300])
      assert.deepStrictEqual(yield* consumers, [{ consumer: "edge-api.prices", letters: 0 }])
    })
  )

  it.effect("tells in its health how the feed is, and is ready however it is", () =>
    Effect.gen(function* () {
      const { inventory } = yield* Neighbours
      const { pause, resume } = yield* desk
      const untilTold = (consumer: string) =>
        until(Effect.map(toldByHealth, (told) => told.status === 200 && told.consumer === consumer))
      yield* untilTold("ok")
      yield* inventory.relay.be("away")
      yield* untilTold("does not get on")
      yield* inventory.relay.be("open")
      yield* untilTold("ok")
      yield* pause("edge-api.prices")
      yield* untilTold("paused")
      yield* resume("edge-api.prices")
      yield* untilTold("ok")
    })
  )
})

layer(counter({ PRICES_GOOD_FOR: "5 seconds" }), { excludeTestServices: true })("a copy of prices", (it) => {
  it.effect("is good while the feed is there, and not for long when it is away: then inventory is asked", () =>
    Effect.gen(function* () {
      const { inventory } = yield* Neighbours
      const product = yield* newProduct(1000)
      yield* untilKnown(product, 1000)
      // Longer than a price is good for.
      yield* Effect.sleep("5500 millis")
      assert.strictEqual((yield* order(product)).status, 202)
      assert.isFalse((yield* copyOf(product))?.wasAsked)

      yield* inventory.relay.be("away")
      yield* change(product, { priceCents: 1500 })
      const refused = yield* Effect.gen(function* () {
        yield* orderUntil(product, 503)
        return yield* order(product)
      }).pipe(Effect.ensuring(inventory.relay.be("open")))
      assert.containSubset(refused, { status: 503, body: { error: "prices_unavailable" } })
      // The feed may not have come back yet; whoever is asked tells the price of today.
      yield* orderUntil(product, 202)
      assert.strictEqual((yield* honoured(product)).at(-1), 1500)
    })
  )

  it.effect("is never older than that because an event of it could not be used", () =>
    Effect.gen(function* () {
      const product = yield* newProduct(1000)
      yield* untilKnown(product, 1000)
      const { letters } = yield* desk
      yield* Effect.scoped(
        Effect.gen(function* () {
          const { administrator: sql } = yield* TestDatabase
          yield* sql.unsafe(`
            CREATE FUNCTION edge_api.refuse_price() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN RAISE EXCEPTION 'poison' USING ERRCODE = 'data_exception'; END $$`).unprepared
          yield* sql.unsafe(`
            CREATE TRIGGER refuse_price BEFORE INSERT OR UPDATE ON edge_api.prices
            FOR EACH ROW WHEN (NEW.price_cents = 1666) EXECUTE FUNCTION edge_api.refuse_price()`).unprepared
          yield* Effect.addFinalizer(() =>
            Effect.orDie(sql.unsafe("DROP FUNCTION edge_api.refuse_price() CASCADE").unprepared)
          )
          yield* change(product, { priceCents: 1666 })
          yield* until(Effect.map(letters, (all) => all.some(({ subject }) => subject === product)))
        })
      )
      yield* until(Effect.map(toldByHealth, ({ prices }) => prices === "are asked for"))
      assert.containSubset(yield* toldByHealth, { status: 200, consumer: "ok, 1 dead letters" })
      assert.strictEqual((yield* order(product)).status, 202)
      assert.strictEqual((yield* honoured(product)).at(-1), 1666)
      yield* Effect.flatMap(desk, ({ discard }) => discard("edge-api.prices"))
      yield* until(Effect.map(toldByHealth, ({ prices }) => prices === "ok"))
    })
  )
})

// Old at once: every order asks, while the feed tells the same.
layer(counter({ PRICES_GOOD_FOR: "1 millis" }), { excludeTestServices: true })(
  "prices that are asked and told",
  (it) => {
    it.effect("never become older, whoever is first", () =>
      Effect.gen(function* () {
        const { administrator: sql } = yield* TestDatabase
        yield* sql.unsafe("CREATE TABLE edge_api.steps_back (product_id uuid)").unprepared
        yield* sql.unsafe(`
        CREATE FUNCTION edge_api.note_step_back() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
        BEGIN INSERT INTO edge_api.steps_back VALUES (NEW.product_id); RETURN NEW; END $$`).unprepared
        yield* sql.unsafe(`
        CREATE TRIGGER note_step_back AFTER UPDATE ON edge_api.prices
        FOR EACH ROW WHEN (NEW.version < OLD.version) EXECUTE FUNCTION edge_api.note_step_back()`).unprepared
        const there = yield* replica({ PRICES_GOOD_FOR: "1 millis" })
        const product = yield* newProduct(1000)
        const done = yield* Deferred.make<void>()
        const changing = Effect.forEach(
          Array.from({ length: 40 }, (_, step) => 1001 + step),
          (priceCents) => change(product, { priceCents })
        ).pipe(Effect.andThen(Deferred.succeed(done, undefined)))
        const ordering = Effect.all([order(product), there(order(product))], { concurrency: "unbounded" }).pipe(
          Effect.tap(([here, other]) =>
            Effect.sync(() => assert.deepStrictEqual([here.status, other.status], [202, 202]))
          ),
          Effect.forever,
          Effect.raceFirst(Deferred.await(done))
        )
        yield* Effect.all([changing, ordering], { concurrency: "unbounded" })
        yield* untilKnown(product, 1040)
        yield* order(product)
        assert.strictEqual((yield* honoured(product)).at(-1), 1040)
        assert.deepStrictEqual(yield* sql`SELECT product_id FROM edge_api.steps_back`, [])
      })
    )
  }
)

layer(Neighbours.layer().pipe(Layer.provideMerge(TestDatabase.layer)), { excludeTestServices: true })(
  "an edge that was away",
  (it) => {
    it.effect("catches up with all that it has missed", () =>
      Effect.gen(function* () {
        const running = TestService.replica(definition, Neighbours.settings)
        const product = yield* newProduct(1000)
        yield* Effect.scoped(Effect.andThen(running, untilKnown(product, 1000)))
        const witness = yield* Witness.make("edge-api")
        const before = yield* witness.snapshot
        yield* Effect.forEach([1001, 1002, 1003], (priceCents) => change(product, { priceCents }))
        yield* change(product, { active: false })
        const others = yield* Effect.forEach([2001, 2002], (priceCents) => newProduct(priceCents))
        assert.deepStrictEqual(yield* witness.snapshot, before)
        yield* running
        const all = Effect.forEach([product, ...others], copyOf)
        // In one batch or in several: other tests' transactions hold the horizon of the server that is shared.
        yield* until(
          Effect.map(all, (copies) => copies[0]?.active === false && copies.every((one) => one !== undefined))
        )
        assert.deepStrictEqual(yield* all, [
          { priceCents: 1003, active: false, version: 5, wasAsked: false },
          { priceCents: 2001, active: true, version: 1, wasAsked: false },
          { priceCents: 2002, active: true, version: 1, wasAsked: false }
        ])
      })
    )
  }
)

const onItsOwn = TestService.layerFrom(
  definition,
  Effect.map(Neighbours.settings, (urls) => ({ ...urls, PRICES_GOOD_FOR: "5 seconds" }))
).pipe(Layer.provideMerge(Neighbours.layer()), Layer.provideMerge(TestDatabase.layerOwnServer))

layer(onItsOwn, { excludeTestServices: true })("a transaction that holds up inventory's feed", (it) => {
  it.effect("does not make prices older than they may be", () =>
    Effect.gen(function* () {
      const { administrator: sql } = yield* TestDatabase
      const product = yield* newProduct(1000)
      yield* untilKnown(product, 1000)
      const holding = Effect.gen(function* () {
        yield* sql`SELECT pg_current_xact_id()`
        yield* change(product, { priceCents: 1500 })
        yield* Effect.sleep("5500 millis")
        return yield* order(product)
      })
      assert.strictEqual((yield* sql.withTransaction(holding)).status, 202)
      assert.deepStrictEqual(yield* honoured(product), [1500])
      assert.isTrue((yield* copyOf(product))?.wasAsked)
    })
  )
})
