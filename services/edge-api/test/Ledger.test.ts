import { LedgerPage } from "@ecommerce/contracts/Edge/Ledger"
import { UserId } from "@ecommerce/contracts/Ids"
import { Neighbours } from "@ecommerce/testing/Neighbours"
import { TestDatabase } from "@ecommerce/testing/TestDatabase"
import { assert, layer } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { HttpClientRequest } from "effect/http"

import { accountOf, anna, get, idOf, layer as counter, newProduct, outside, place, say } from "./fixtures/Counter.ts"

/** Edge keeps no price longer than this; what is slept is more. */
const settings = { PRICES_GOOD_FOR: "20 millis" }
const pricesAgeing = Effect.sleep("60 millis")

/** Changes a product as a shopkeeper does. */
const change = Effect.fn("change")(function* (product: string, changes: object) {
  const { inventory } = yield* Neighbours
  const request = HttpClientRequest.patch(`${inventory.url}/products/${product}`)
  const { status } = yield* outside(HttpClientRequest.bodyJsonUnsafe(request, changes))
  assert.strictEqual(status, 200)
  yield* pricesAgeing
})

const newUser = Effect.sync(() => UserId.make(crypto.randomUUID()))

const ask = (path: string) => say(HttpClientRequest.get(path))

const decodePage = Schema.decodeUnknownEffect(Schema.fromJsonString(Schema.toCodecJson(LedgerPage)))

const pageOf = Effect.fn("pageOf")(function* (query: string) {
  const { status, text } = yield* ask(`/orders?${query}`)
  assert.strictEqual(status, 200, text)
  return yield* decodePage(text)
})

/** All pages, each as long as this, one after the other. */
const pagesOf = Effect.fn("pagesOf")(function* (user: string, limit: number) {
  const pages: Array<ReadonlyArray<string>> = []
  for (let cursor: string | null = ""; cursor !== null;) {
    const page = yield* ask(`/orders?user_id=${user}&limit=${limit}${cursor === "" ? "" : `&cursor=${cursor}`}`)
    const { orders } = yield* decodePage(page.text)
    pages.push(orders.map(({ order_ledger_id }) => order_ledger_id))
    const next: unknown = page.body["next_cursor"]
    cursor = typeof next === "string" ? next : null
  }
  return pages
})

layer(counter(settings), { excludeTestServices: true })("the order ledger", (it) => {
  it.effect("tells all of an order: its lines at their prices, its total, and the time of each of its states", () =>
    Effect.gen(function* () {
      const began = Date.now()
      const mouse = yield* newProduct(2999)
      const cable = yield* newProduct(1)
      const items = [
        { product_id: mouse, quantity: 2 },
        { product_id: cable, quantity: 100 }
      ]
      const id = idOf(yield* place("all-of-it", { items }))
      const said = yield* ask(`/orders/${id}`)
      assert.strictEqual(said.status, 200)
      assert.strictEqual(said.headers["content-type"], "application/json")
      const { created_at: createdAt, states, updated_at: updatedAt, ...others } = said.body
      assert.deepStrictEqual(others, {
        order_ledger_id: id,
        user_id: anna,
        status: "AUTHORIZED",
        reason: null,
        items: [
          { product_id: mouse, quantity: 2, unit_price_cents: 2999, line_total_cents: 5998 },
          { product_id: cable, quantity: 100, unit_price_cents: 1, line_total_cents: 100 }
        ],
        total_cents: 6098,
        currency: "USD"
      })
      const order = yield* get(id)
      const times = order.states.map(({ at }) => at.epochMilliseconds)
      assert.deepStrictEqual(states, [
        { version: 1, status: "AWAITING_AUTHORIZATION", reason: null, at: new Date(times[0] ?? 0).toISOString() },
        { version: 2, status: "AUTHORIZED", reason: null, at: updatedAt }
      ])
      const moments = [began, order.created_at.epochMilliseconds, ...times, Date.now()]
      assert.deepStrictEqual(
        moments,
        moments.toSorted((a, b) => a - b)
      )
      assert.strictEqual(order.created_at.epochMilliseconds, Date.parse(String(createdAt)))
      assert.notMatch(said.text, /example\.com|tok_/u)
    })
  )

  it.effect("knows an order by its id in whatever spelling", () =>
    Effect.gen(function* () {
      const id = idOf(yield* place("spelling", { items: [{ product_id: yield* newProduct(), quantity: 1 }] }))
      assert.strictEqual((yield* ask(`/orders/${id.toUpperCase()}`)).text, (yield* ask(`/orders/${id}`)).text)
    })
  )

  it.effect("says why an order failed, and when", () =>
    Effect.gen(function* () {
      const items = [{ product_id: yield* newProduct(), quantity: 1 }]
      const declined = yield* place("declined", { items, token: "tok_decline_insufficient" })
      assert.strictEqual(declined.status, 402)
      const { body } = yield* ask(`/orders/${idOf(declined)}`)
      const reason = { code: "payment_declined", detail: "insufficient_funds" }
      assert.containSubset(body, { status: "AUTHORIZATION_FAILED", reason, total_cents: 1999 })
      assert.containSubset(body["states"], [
        { version: 1, status: "AWAITING_AUTHORIZATION", reason: null },
        { version: 2, status: "AUTHORIZATION_FAILED", reason, at: body["updated_at"] }
      ])
    })
  )

  it.effect("keeps one product on two lines as two lines, in the order in which they were asked for", () =>
    Effect.gen(function* () {
      const mouse = yield* newProduct(700)
      const cable = yield* newProduct(11)
      const items = [
        { product_id: mouse, quantity: 3 },
        { product_id: cable, quantity: 1 },
        { product_id: mouse, quantity: 5 },
        { product_id: mouse, quantity: 3 }
      ]
      const order = yield* get(idOf(yield* place("two-lines", { items })))
      assert.deepStrictEqual(
        order.items.map(({ product_id, quantity }) => ({ product_id, quantity })),
        items
      )
      assert.strictEqual(order.total_cents, 11 * 700 + 11)
    })
  )

  it.effect("adds the largest order that there can be up to the cent, here and at payment", () =>
    Effect.gen(function* () {
      const { administrator } = yield* TestDatabase
      const yacht = yield* newProduct(2_147_483_647)
      const items = Array.from({ length: 50 }, () => ({ product_id: yacht, quantity: 100 }))
      const said = yield* place("largest", { items })
      assert.strictEqual(said.status, 202, said.text)
      const id = idOf(said)
      const { text } = yield* ask(`/orders/${id}`)
      assert.include(text, '"total_cents":10737418235000,')
      assert.lengthOf(text.match(/"line_total_cents":214748364700\b/gu) ?? [], 50)
      const stored = yield* administrator`
        SELECT pg_typeof(total_cents)::text AS type, total_cents::text AS total,
          (SELECT sum(quantity::numeric * unit_price_cents)::text FROM edge_api.order_lines WHERE order_id = ${id}) AS lines,
          (SELECT data ->> 'totalCents' FROM edge_api.outbox WHERE subject = ${id}) AS told
        FROM edge_api.order_ledger WHERE order_id = ${id}`
      const total = "10737418235000"
      assert.deepStrictEqual(stored, [{ type: "bigint", total, lines: total, told: total }])
      assert.strictEqual(String((yield* accountOf(id))?.heldCents), total)
    })
  )

  it.effect("takes the catalogue's prices of the moment, and keeps them when the catalogue changes", () =>
    Effect.gen(function* () {
      const mouse = yield* newProduct(1000)
      const items = [{ product_id: mouse, quantity: 2 }]
      const early = idOf(yield* place("early", { items }))
      const asItWas = yield* ask(`/orders/${early}`)
      yield* change(mouse, { priceCents: 1500 })
      const late = yield* get(idOf(yield* place("late", { items })))
      assert.deepStrictEqual(
        late.items.map(({ unit_price_cents }) => unit_price_cents),
        [1500]
      )
      assert.strictEqual(late.total_cents, 3000)

      yield* change(mouse, { active: false })
      assert.strictEqual((yield* place("too-late", { items })).body["error"], "product_not_sold")
      yield* change(mouse, { active: true, priceCents: 1200 })
      assert.strictEqual((yield* get(idOf(yield* place("again", { items })))).total_cents, 2400)
      assert.strictEqual((yield* ask(`/orders/${early}`)).text, asItWas.text)
      assert.strictEqual(asItWas.body["total_cents"], 2000)
    })
  )

  it.effect("answers the same request again as the first time, whatever has become of price and product", () =>
    Effect.gen(function* () {
      const mouse = yield* newProduct(1000)
      const items = [{ product_id: mouse, quantity: 1 }]
      const first = yield* place("repeated", { items })
      yield* change(mouse, { priceCents: 9999 })
      assert.strictEqual((yield* place("repeated", { items })).text, first.text)
      yield* change(mouse, { active: false })
      assert.strictEqual((yield* place("repeated", { items })).text, first.text)
      assert.strictEqual((yield* get(idOf(first))).total_cents, 1000)
    })
  )

  it.effect("lists the orders of one user, the newest first, page by page, and no e-mail address", () =>
    Effect.gen(function* () {
      const user = yield* newUser
      const other = yield* newUser
      const items = [{ product_id: yield* newProduct(500), quantity: 3 }]
      const ids: Array<string> = []
      for (const number of [1, 2, 3, 4, 5]) {
        const token = number === 2 ? "tok_decline_stolen" : "tok_visa_success"
        ids.unshift(idOf(yield* place(`page-${number}`, { items, user, token })))
        yield* place(`other-${number}`, { items, user: other })
      }
      assert.deepStrictEqual(yield* pagesOf(user, 2), [ids.slice(0, 2), ids.slice(2, 4), ids.slice(4)])
      assert.deepStrictEqual(yield* pagesOf(user, 5), [ids])
      assert.deepStrictEqual(yield* pagesOf(user.toUpperCase(), 100), [ids])

      const { body, text } = yield* ask(`/orders?user_id=${user}`)
      const { created_at } = (yield* ask(`/orders/${ids[3]}`)).body
      assert.containSubset(body, {
        orders: [
          { order_ledger_id: ids[3], status: "AUTHORIZATION_FAILED", total_cents: 1500, currency: "USD", created_at }
        ]
      })
      assert.strictEqual(body["next_cursor"], null)
      assert.notMatch(text, /mail|example\.com|tok_/u)
    })
  )

  it.effect("goes on behind a cursor where it was, also when orders have come since", () =>
    Effect.gen(function* () {
      const user = yield* newUser
      const items = [{ product_id: yield* newProduct(), quantity: 1 }]
      const placed = (name: string) => Effect.map(place(name, { items, user }), idOf)
      const [first, second, third] = [yield* placed("since-1"), yield* placed("since-2"), yield* placed("since-3")]
      const { body } = yield* ask(`/orders?user_id=${user}&limit=1`)
      assert.containSubset(body, { orders: [{ order_ledger_id: third }] })
      yield* placed("since-4")
      const rest = yield* pageOf(`user_id=${user}&cursor=${String(body["next_cursor"])}`)
      assert.deepStrictEqual(
        rest.orders.map(({ order_ledger_id }) => order_ledger_id),
        [second, first]
      )
    })
  )

  it.effect("lists 50 orders where nothing is said of how many, and nothing of a user who has ordered nothing", () =>
    Effect.gen(function* () {
      const user = yield* newUser
      assert.deepStrictEqual((yield* ask(`/orders?user_id=${user}`)).body, { orders: [], next_cursor: null })
      const items = [{ product_id: yield* newProduct(), quantity: 1 }]
      const numbers = Array.from({ length: 51 }, (_, number) => number)
      yield* Effect.forEach(numbers, (number) => place(`many-${number}`, { items, user }), { concurrency: 17 })
      const page = yield* pageOf(`user_id=${user}`)
      assert.lengthOf(page.orders, 50)
      assert.isNotNull(page.next_cursor)
      const pages = (yield* pagesOf(user, 20)).flat()
      assert.lengthOf(new Set(pages), 51)
      assert.deepStrictEqual(pages, pages.toSorted().toReversed())
    })
  )
})
