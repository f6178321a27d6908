import { OrderId, ProductId, UserId } from "@ecommerce/contracts/Ids"
import { cancelOrder, confirmOrder, createOrder } from "@ecommerce/contracts/Orders/Lifecycle"
import { asked, send } from "@ecommerce/testing/Asking"
import { participantDuties } from "@ecommerce/testing/ParticipantDuties"
import { Effect } from "effect"

import { definition } from "../src/Http.ts"

const orderAt = (unitPriceCents: number) => (key: string) => ({
  orderId: OrderId.make(key),
  userId: UserId.make("019845e1-682f-7b02-a706-3b2422d13aec"),
  email: "ada@example.com",
  items: [{ productId: ProductId.make("019845e1-682f-7b02-a706-3b2422d13aed"), quantity: 2, unitPriceCents }] as const
})

const created = asked(createOrder, orderAt(1999))
const confirmed = asked(confirmOrder, (key) => ({ orderId: OrderId.make(key) }))
const cancelled = asked(cancelOrder, (key) => ({ orderId: OrderId.make(key), reason: "changed their mind" }))

participantDuties(definition, Effect.void, [
  { does: created, otherwise: asked(createOrder, orderAt(2999)), undo: cancelled },
  {
    does: confirmed,
    given: [created],
    undo: cancelled,
    refusal: {
      does: confirmed,
      relieve: (key) => send(created.name, [{ key, payload: created.payload(key, undefined) }])
    }
  },
  { does: cancelled, given: [created] }
])
