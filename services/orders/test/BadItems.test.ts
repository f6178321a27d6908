import { send } from "@ecommerce/testing/Asking"
import { TestDatabase } from "@ecommerce/testing/TestDatabase"
import * as TestService from "@ecommerce/testing/TestService"
import * as Witness from "@ecommerce/testing/Witness"
import { assert, layer } from "@effect/vitest"
import { Effect, Layer, Schema } from "effect"

import { definition } from "../src/Http.ts"
import { newOrder, newOrderId } from "./fixtures/Desk.ts"

const running = TestService.layer(definition).pipe(Layer.provideMerge(TestDatabase.layer))

const order = newOrder()
const { orderId } = order
const [line] = order.items
const reason = "lost"
const nothing = "\u0000"

const created = (wrong: object) => ({ key: orderId, payload: { ...order, ...wrong } })
const lineWith = (wrong: object) => created({ items: [line, { ...line, ...wrong }] })
const confirmed = (wrong: object) => ({ key: orderId, payload: { orderId, ...wrong } })
const cancelled = (wrong: object) => ({ key: orderId, payload: { orderId, reason, ...wrong } })
const { email: _email, ...withoutEmail } = order

/** Of which command, what is wrong, the item, and the word by which the answer names it. */
const badItems = [
  ["create-order", "an id that is no UUID", { key: "1", payload: { ...order, orderId: "1" } }, "orderId"],
  ["create-order", "another key than its id", { ...created({}), key: newOrderId() }, "key"],
  ["create-order", "an empty key", { key: "", payload: order }, "key"],
  ["create-order", "nothing in it", { key: orderId, payload: null }, "payload"],
  ["create-order", "a user who is no UUID", created({ userId: "ada" }), "userId"],
  ["create-order", "no e-mail address", { key: orderId, payload: withoutEmail }, "email"],
  ["create-order", "an empty e-mail address", created({ email: "" }), "email"],
  ["create-order", "an e-mail address of 256 characters", created({ email: "a".repeat(256) }), "email"],
  ["create-order", "NUL in its e-mail address", created({ email: `ada${nothing}@example.com` }), "email"],
  ["create-order", "half a surrogate pair in its e-mail address", created({ email: "\ud800@example.com" }), "email"],
  ["create-order", "no lines", created({ items: [] }), "items"],
  ["create-order", "a product that is no UUID", lineWith({ productId: "mouse" }), "productId"],
  ["create-order", "a quantity of 0", lineWith({ quantity: 0 }), "quantity"],
  ["create-order", "a quantity below 0", lineWith({ quantity: -1 }), "quantity"],
  ["create-order", "half a piece", lineWith({ quantity: 0.5 }), "quantity"],
  ["create-order", "a text for a quantity", lineWith({ quantity: "1" }), "quantity"],
  ["create-order", "a quantity beyond an integer", lineWith({ quantity: 2_147_483_648 }), "quantity"],
  ["create-order", "a price of 0", lineWith({ unitPriceCents: 0 }), "unitPriceCents"],
  ["create-order", "a price beyond an integer", lineWith({ unitPriceCents: 2_147_483_648 }), "unitPriceCents"],
  [
    "create-order",
    "a total that is no exact number",
    lineWith({ quantity: 2_147_483_647, unitPriceCents: 2_147_483_647 }),
    "items"
  ],
  ["create-order", "a field that nobody knows", created({ discount: 5 }), "discount"],
  ["create-order", "a line with a field that nobody knows", lineWith({ discount: 5 }), "discount"],
  ["confirm-order", "an id that is no UUID", { key: "1", payload: { orderId: "1" } }, "orderId"],
  ["confirm-order", "another key than its id", { ...confirmed({}), key: newOrderId() }, "key"],
  ["confirm-order", "a field that nobody knows", confirmed({ by: "hand" }), "by"],
  ["cancel-order", "an id that is no UUID", { key: "1", payload: { orderId: "1", reason } }, "orderId"],
  ["cancel-order", "another key than its id", { ...cancelled({}), key: newOrderId() }, "key"],
  ["cancel-order", "no reason", confirmed({}), "reason"],
  ["cancel-order", "an empty reason", cancelled({ reason: "" }), "reason"],
  ["cancel-order", "a reason of 256 characters", cancelled({ reason: "a".repeat(256) }), "reason"],
  ["cancel-order", "NUL in its reason", cancelled({ reason: nothing }), "reason"],
  ["cancel-order", "a field that nobody knows", cancelled({ refund: true }), "refund"]
] as const

const goodItem = Effect.fn("goodItem")(function* (command: "create-order" | "confirm-order" | "cancel-order") {
  const order = newOrder()
  const key = order.orderId
  if (command === "create-order") return { key, payload: order }
  yield* send("create-order", [{ key, payload: order }])
  return { key, payload: command === "confirm-order" ? { orderId: key } : { orderId: key, reason } }
})

const decodeComplaint = Schema.decodeUnknownEffect(
  Schema.Struct({
    _tag: Schema.Literal("Failure"),
    failure: Schema.Struct({ _tag: Schema.Literal("BadItem"), key: Schema.String, reason: Schema.String })
  })
)

layer(running)("an item of a batch", (it) => {
  it.effect.each(badItems)("of %s with %s fails alone, and is told why", ([command, , item, field]) =>
    Effect.gen(function* () {
      const { mentions } = yield* Witness.make("orders")
      const [before, after] = [yield* goodItem(command), yield* goodItem(command)]
      const [first, refused, last] = yield* send(command, [before, item, after])
      assert.containSubset(first, { _tag: "Success", success: { orderId: before.key } })
      assert.containSubset(last, { _tag: "Success", success: { orderId: after.key } })
      const { failure } = yield* decodeComplaint(refused)
      assert.include(failure.reason, field)
      assert.isEmpty((yield* mentions(orderId)).filter((place) => !place.endsWith(" 0")))
    })
  )
})
