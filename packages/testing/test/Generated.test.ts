import { EdgeApi } from "@ecommerce/contracts/Edge"
import { NewOrder } from "@ecommerce/contracts/Edge/Checkout"
import { InventoryApi } from "@ecommerce/contracts/Inventory"
import { NewProduct, ProductChange } from "@ecommerce/contracts/Inventory/Products"
import { releaseStock, reserveStock } from "@ecommerce/contracts/Inventory/Reservations"
import { StockChange } from "@ecommerce/contracts/Inventory/Stock"
import { OrchestratorApi } from "@ecommerce/contracts/Orchestrator"
import { Resolution } from "@ecommerce/contracts/Orchestrator/Sagas"
import { OrdersApi } from "@ecommerce/contracts/Orders"
import { cancelOrder, confirmOrder } from "@ecommerce/contracts/Orders/Lifecycle"
import { PaymentApi } from "@ecommerce/contracts/Payment"
import { authorizePayment, cancelPayment, capturePayment } from "@ecommerce/contracts/Payment/Commands"
import * as ApiDocument from "@ecommerce/testing/ApiDocument"
import * as Generated from "@ecommerce/testing/Generated"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Schema } from "effect"
import { OpenApi } from "effect/http-api"
import * as fc from "fast-check"

const documents = {
  edge: OpenApi.fromApi(EdgeApi),
  inventory: OpenApi.fromApi(InventoryApi),
  orchestrator: OpenApi.fromApi(OrchestratorApi),
  orders: OpenApi.fromApi(OrdersApi),
  payment: OpenApi.fromApi(PaymentApi)
}

/**
 * What is sent, by its name in the document of the service that takes it. Not CreateOrder: that its total must fit is more
 * than a JSON schema can say.
 */
const taken: ReadonlyArray<readonly [string, keyof typeof documents, Schema.Codec<unknown, unknown>]> = [
  ["NewOrder", "edge", NewOrder],
  ["NewProduct", "inventory", NewProduct],
  ["ProductChange", "inventory", ProductChange],
  ["StockChange", "inventory", StockChange],
  ["ReserveStock", "inventory", reserveStock.payload],
  ["ReleaseStock", "inventory", releaseStock.payload],
  ["Resolution", "orchestrator", Resolution],
  ["ConfirmOrder", "orders", confirmOrder.payload],
  ["CancelOrder", "orders", cancelOrder.payload],
  ["AuthorizePayment", "payment", authorizePayment.payload],
  ["CapturePayment", "payment", capturePayment.payload],
  ["CancelPayment", "payment", cancelPayment.payload]
]

describe("a value that is made from a document", () => {
  it.effect.each(taken)("is taken by the schema from which the document was made: %s", ([name, service, schema]) =>
    Effect.gen(function* () {
      const { schemas } = (yield* ApiDocument.decode(documents[service])).components
      const made = Generated.textOf({ $ref: `#/components/schemas/${name}` }, { schemas, hostility: 0 })
      const decode = Schema.decodeUnknownExit(Schema.fromJsonString(Schema.toCodecJson(schema)))
      fc.assert(
        fc.property(made, (text) => Exit.isSuccess(decode(text))),
        { numRuns: 100, seed: 11 }
      )
    })
  )

  it("is right no longer where it is to be hostile, often enough", () => {
    const schema: ApiDocument.JsonSchema = {
      type: "object",
      properties: { quantity: { type: "integer", minimum: 1, maximum: 9 } },
      required: ["quantity"]
    }
    const made = fc.sample(Generated.textOf(schema, { schemas: {}, hostility: 20 }), { numRuns: 300, seed: 11 })
    const wrong = made.filter((text) => !/^\{"quantity":[1-9]\}$/u.test(text))
    assert.isAtLeast(wrong.length, 50)
    assert.isAtMost(wrong.length, 250)
  })

  it("has a text of every length that is allowed, characters counted and not their halves", () => {
    fc.assert(
      fc.property(Generated.stringOf({ type: "string", minLength: 2, maxLength: 4 }), (text) => {
        assert.isTrue(text.isWellFormed())
        assert.isTrue([...text].length >= 2 && [...text].length <= 4)
      }),
      { seed: 11 }
    )
  })
})
