import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"

import { topology } from "@ecommerce/stack/topology"
import { assert, describe, it } from "vitest"

import type * as Sample from "../src/Sample.ts"
import * as Soak from "../src/Soak.ts"

const poolSize = 10
const load = { products: [], perSecond: 10, seconds: 600 }
const names = topology.map(({ name }) => name)
const ofAll = (value: number) => new Map<string, number>(names.map((name) => [name, value]))

const table = (name: string, live: number, rest: Partial<Sample.Table> = {}): Sample.Table => ({
  name,
  live,
  dead: 0,
  inserted: live,
  bytes: live * 500,
  ...rest
})

const ledger = "edge_api.order_ledger"
const outbox = "orders.outbox"
const ledgerAt = (number: number, rest: Partial<Sample.Table> = {}) => table(ledger, 1000 + 100 * number, rest)
const outboxAt = (number: number, rest: Partial<Sample.Table> = {}) =>
  table(outbox, 1000, { inserted: 100 * number, bytes: 20e6, ...rest })
/** Those of the others grow with the orders. */
const othersAt = (number: number) => names.map((name) => table(`${name}.rows`, 1000 + 100 * number))

/** Each ten seconds one look at a stack that is as it was. */
const steady = (number: number): Sample.Sample => ({
  at: number * 10,
  memory: new Map([...ofAll(200), ["postgres", 300]]),
  held: number > 0 && number % 3 === 0 ? ofAll(60) : new Map(),
  backends: ofAll(8),
  tables: [ledgerAt(number), outboxAt(number), ...othersAt(number)],
  open: 20,
  arrived: {
    isOver: number === 60,
    waiting: 0,
    sent: 100,
    accepted: Array.from({ length: number === 0 ? 0 : 100 }, () => "an order"),
    millis: Array.from({ length: number === 0 ? 0 : 100 }, (_, place) => place),
    refused: {}
  }
})

/** The rules that are broken where each look is like that. */
const brokenBy = (change: (number: number) => Partial<Sample.Sample>) =>
  Soak.judge(
    Array.from({ length: 61 }, (_, number) => ({ ...steady(number), ...change(number) })),
    load,
    poolSize
  )
    .filter(({ isKept }) => !isKept)
    .map(({ name }) => name)

const without = (changed: Sample.Table, number: number) => [
  ...steady(number).tables.filter(({ name }) => name !== changed.name),
  changed
]
const arrived = (number: number, change: Partial<Sample.Sample["arrived"]>) => ({
  arrived: { ...steady(number).arrived, ...change }
})
const heldWhere = (number: number, mebibytes: number) => ({
  held: steady(number).held.size === 0 ? new Map() : new Map([...ofAll(60), ["edge-api", mebibytes]])
})

describe("a soak", () => {
  it("That everything stays as it is keeps every rule.", () => {
    assert.deepStrictEqual(
      brokenBy(() => ({})),
      []
    )
  })

  it("Room that the collector takes is its own affair; what is left behind it may not grow.", () => {
    assert.deepStrictEqual(
      brokenBy((number) => ({ memory: new Map([...ofAll(200 + 5 * number), ["postgres", 300]]) })),
      []
    )
    assert.deepStrictEqual(
      brokenBy((number) => heldWhere(number, 60 + number)),
      ["held by edge-api"]
    )
  })

  it("What is held and goes up and down by some MiB is no leak, and hides none of 200 in an hour.", () => {
    const noise = (number: number) => ((number * 7) % 5) * 1.5
    const leak = (number: number) => (200 / 360) * number
    assert.deepStrictEqual(
      brokenBy((number) => heldWhere(number, 60 + noise(number / 3))),
      []
    )
    assert.deepStrictEqual(
      brokenBy((number) => heldWhere(number, 60 + noise(number / 3) + leak(number))),
      ["held by edge-api"]
    )
  })

  it("A service has the room of its container, and no more.", () => {
    const containers = readFileSync(fileURLToPath(new URL("../../docker-compose.yml", import.meta.url)), "utf8")
    assert.match(
      containers,
      new RegExp(String.raw`^x-service: .*\n(?: .*\n)*?  mem_limit: ${Soak.containerMemory}m$`, "m")
    )
    const tooMuch = (number: number) =>
      new Map([...ofAll(200), ["postgres", 300], ["orders", number === 30 ? 800 : 300]])
    assert.deepStrictEqual(
      brokenBy((number) => ({ memory: tooMuch(number) })),
      ["memory of orders"]
    )
  })

  it("PostgreSQL may not grow either.", () => {
    assert.deepStrictEqual(
      brokenBy((number) => ({ memory: new Map([...ofAll(200), ["postgres", 300 + number]]) })),
      ["memory of postgres"]
    )
  })

  it("More connections than a pool has, and two beside it, are too many.", () => {
    const connections = (most: number) => (number: number) => ({
      backends: new Map([...ofAll(8), ["payment", number === 30 ? most : 8]])
    })
    assert.deepStrictEqual(brokenBy(connections(poolSize + 2)), [])
    assert.deepStrictEqual(brokenBy(connections(poolSize + 3)), ["connections of payment"])
  })

  it("Dead rows that nobody clears away, and rows that become larger, are noticed.", () => {
    assert.deepStrictEqual(
      brokenBy((number) => ({ tables: without(ledgerAt(number, { dead: 200 * number }), number) })),
      [`dead rows in ${ledger}`]
    )
    assert.deepStrictEqual(
      brokenBy((number) => ({
        tables: without(ledgerAt(number, { bytes: (1000 + 100 * number) * (number < 30 ? 500 : 1000) }), number)
      })),
      [`size of ${ledger}, a row`]
    )
  })

  it("An outbox that is not cut, or has more and more room, is noticed.", () => {
    assert.deepStrictEqual(
      brokenBy((number) => ({ tables: without(outboxAt(number, { live: 1000 + 100 * number }), number) })),
      [`rows in ${outbox}`]
    )
    assert.deepStrictEqual(
      brokenBy((number) => ({ tables: without(outboxAt(number, { bytes: 20e6 + 2e6 * number }), number) })),
      [`size of ${outbox}`]
    )
  })

  it("One order of a thousand may be told to come again, and no more.", () => {
    const refused = (count: number) => (number: number) =>
      number === 30
        ? arrived(number, {
            accepted: Array.from({ length: 100 - count }, () => "an order"),
            refused: { "503 overloaded": count }
          })
        : {}
    assert.deepStrictEqual(brokenBy(refused(6)), [])
    assert.deepStrictEqual(brokenBy(refused(7)), ["orders accepted", "orders refused"])
  })

  it("Waits that become long, and orders that pile up, are noticed.", () => {
    const slower = (number: number) => steady(number).arrived.millis.map((millis) => millis * (number < 30 ? 1 : 4))
    assert.deepStrictEqual(
      brokenBy((number) => arrived(number, { millis: slower(number) })),
      ["accepted within, p50", "accepted within, p99"]
    )
    assert.deepStrictEqual(
      brokenBy((number) => ({ open: number })),
      ["orders under way"]
    )
  })

  it("Where nobody has looked nothing is well.", () => {
    const nothing = { memory: new Map(), held: new Map(), backends: new Map(), tables: [] }
    assert.sameMembers(
      brokenBy(() => nothing),
      [
        ...names.flatMap((name) => [`held by ${name}`, `memory of ${name}`, `connections of ${name}`]),
        "memory of postgres",
        "tables that were looked at"
      ]
    )
  })
})
