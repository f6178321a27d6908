import { OrderId, ProductId } from "@ecommerce/contracts/Ids"
import { releaseStock, reserveStock } from "@ecommerce/contracts/Inventory/Reservations"
import { asked } from "@ecommerce/testing/Asking"
import { participantDuties } from "@ecommerce/testing/ParticipantDuties"
import { Effect, Schema } from "effect"
import { HttpClient, HttpClientRequest } from "effect/http"

import { definition } from "../src/Http.ts"

interface World {
  readonly plenty: ProductId
  readonly scarce: ProductId
}

const decodeProduct = Schema.decodeUnknownEffect(Schema.Struct({ id: ProductId }))

const productWith = Effect.fn("productWith")(function* (initialStock: number) {
  const request = HttpClientRequest.post("/products").pipe(
    HttpClientRequest.bodyJsonUnsafe({ name: "A product", sku: crypto.randomUUID(), priceCents: 100, initialStock })
  )
  const response = yield* HttpClient.execute(request)
  return (yield* Effect.flatMap(response.json, decodeProduct)).id
})

const prepare: Effect.Effect<World, unknown, HttpClient.HttpClient> = Effect.all({
  plenty: productWith(10_000),
  scarce: productWith(1)
})

const moreOf = (productId: ProductId) =>
  HttpClient.execute(
    HttpClientRequest.post(`/products/${productId}/stock`).pipe(
      HttpClientRequest.setHeader("idempotency-key", crypto.randomUUID()),
      HttpClientRequest.bodyJsonUnsafe({ quantity: 100, reason: "delivered" })
    )
  )

const reserved = (product: keyof World, quantity: number) =>
  asked(reserveStock, (key, world: World) => ({
    orderId: OrderId.make(key),
    items: [{ productId: world[product], quantity }] as const
  }))
const released = asked(releaseStock, (key) => ({ orderId: OrderId.make(key) }))

participantDuties(definition, prepare, [
  {
    does: reserved("plenty", 2),
    otherwise: reserved("plenty", 3),
    undo: released,
    refusal: { does: reserved("scarce", 5), relieve: (_key, { scarce }) => moreOf(scarce) }
  },
  { does: released, given: [reserved("plenty", 2)] }
])
