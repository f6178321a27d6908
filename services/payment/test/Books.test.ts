import { PgClient } from "@effect/sql-pg"
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"

import { authorize, cancel, capture, newBill, till } from "./fixtures/Till.ts"

const authorizationOf = `SELECT authorization_id FROM payment.payments WHERE order_id =`

layer(till(), { excludeTestServices: true })("payment's books", (it) => {
  const prepare = Effect.gen(function* () {
    const [held, taken, back] = [newBill(), newBill(), newBill()]
    yield* authorize(held, taken, back)
    yield* capture(taken, { ...back, amountCents: 200 })
    yield* cancel(back)
    return { held: held.orderId, taken: taken.orderId, back: back.orderId }
  })
  const cap = `'cap_${"0".repeat(32)}'`
  const into = (table: string, columns: string) => `INSERT INTO ${table} (authorization_id, ${columns}) SELECT`

  it.effect.each([
    [
      "a capture of more than is authorized",
      "held",
      `${into("captures", "capture_id, approved_cents, amount_cents")} authorization_id, ${cap}, 500, 501`,
      "captures_check"
    ],
    [
      "a capture of what was never approved",
      "held",
      `${into("captures", "capture_id, approved_cents, amount_cents")} authorization_id, ${cap}, 900, 900`,
      "foreign key"
    ],
    [
      "a second capture",
      "taken",
      `${into("captures", "capture_id, approved_cents, amount_cents")} authorization_id, ${cap}, 500, 1`,
      "captures_pkey"
    ],
    [
      "a refund of more than was captured",
      "taken",
      `${into("refunds", "captured_cents, amount_cents")} authorization_id, 500, 501`,
      "refunds_check"
    ],
    [
      "a refund of what was never captured",
      "held",
      `${into("refunds", "captured_cents, amount_cents")} authorization_id, 500, 500`,
      "foreign key"
    ],
    [
      "a second refund",
      "back",
      `${into("refunds", "captured_cents, amount_cents")} authorization_id, 200, 200`,
      "refunds_pkey"
    ],
    [
      "a void of what was captured",
      "taken",
      `${into("voids", "approved_cents")} authorization_id, 500`,
      "both captured and void"
    ],
    [
      "a second decision",
      "held",
      `${into("authorizations", "amount_cents")} authorization_id, 500`,
      "authorizations_pkey"
    ]
  ] as const)("refuse %s", ([, which, insert, complaint]) =>
    Effect.gen(function* () {
      const orders = yield* prepare
      const sql = yield* PgClient.PgClient
      const error = yield* Effect.flip(
        sql.unsafe(`${insert} FROM (${authorizationOf} '${orders[which]}') AS chosen`).unprepared
      )
      assert.include(String(error.reason.cause), complaint)
    })
  )

  it.effect("refuse a second void, and a capture of what is void", () =>
    Effect.gen(function* () {
      const bill = newBill()
      yield* authorize(bill)
      yield* cancel(bill)
      const sql = yield* PgClient.PgClient
      const again = `${into("voids", "approved_cents")} authorization_id, 500`
      const error = yield* Effect.flip(
        sql.unsafe(`${again} FROM (${authorizationOf} '${bill.orderId}') AS chosen`).unprepared
      )
      assert.include(String(error.reason.cause), "voids_pkey")
      const late = `${into("captures", "capture_id, approved_cents, amount_cents")} authorization_id, ${cap}, 500, 500`
      const both = yield* Effect.flip(
        sql.unsafe(`${late} FROM (${authorizationOf} '${bill.orderId}') AS chosen`).unprepared
      )
      assert.include(String(both.reason.cause), "both captured and void")
    })
  )

  it.effect.each(["authorizations", "captures", "voids", "refunds", "capture_refusals"])(
    "cannot be rewritten by the service: %s",
    (table) =>
      Effect.gen(function* () {
        yield* prepare
        const sql = yield* PgClient.PgClient
        const column = table === "capture_refusals" ? "reason = 'x'" : "authorization_id = ''"
        for (const statement of [`UPDATE ${table} SET ${column}`, `DELETE FROM ${table}`, `TRUNCATE ${table}`]) {
          const error = yield* Effect.flip(sql.unsafe(statement).unprepared)
          assert.include(String(error.reason.cause), "permission denied")
        }
      })
  )
})
