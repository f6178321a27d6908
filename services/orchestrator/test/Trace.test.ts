import * as SpanTree from "@ecommerce/telemetry/SpanTree"
import * as OtlpReceiver from "@ecommerce/testing/OtlpReceiver"
import { layer } from "@effect/vitest"
import { Effect, Layer } from "effect"

import { newProduct, place, shop, statesOf } from "./fixtures/Shop.ts"

const told = Layer.unwrap(Effect.map(OtlpReceiver.settings, shop)).pipe(
  Layer.provideMerge(OtlpReceiver.OtlpReceiver.layer)
)

layer(told, { excludeTestServices: true })("x", (it) => {
  it.effect("tree", () =>
    Effect.gen(function* () {
      const productId = yield* newProduct(5)
      const orderId = yield* place({ productId, quantity: 2 })
      yield* statesOf(orderId)
      yield* Effect.sleep("2 seconds")
      const { spans } = yield* OtlpReceiver.OtlpReceiver
      const all = yield* spans
      const traceIds = new Set(all.filter((s) => s.attributes["order.id"] === orderId).map((s) => s.traceId))
      console.log("traces of the order", traceIds.size, "all spans", all.length, "all traces", new Set(all.map((s) => s.traceId)).size)
      for (const id of new Set(all.map((s) => s.traceId))) {
        console.log("--- " + id + (traceIds.has(id) ? " ORDER" : ""))
        console.log(SpanTree.lines(SpanTree.make(all.filter((s) => s.traceId === id)), (s) => `${s.service} ${s.kind} ${s.name} ${(Number(s.endNanos - s.startNanos) / 1e6).toFixed(1)}ms ${s.error ?? ""} ${s.links.length || ""}`).join("\n"))
      }
      console.log(JSON.stringify(all.filter((s) => traceIds.has(s.traceId)).slice(0, 12), (_, v) => typeof v === "bigint" ? String(v) : v))
      for (const line of yield* (yield* OtlpReceiver.OtlpReceiver).lines) console.log(line.service, line.level, line.text, JSON.stringify(line.attributes), line.traceId)
    })
  )
})
