import * as Received from "@ecommerce/telemetry/Received"
import { Schema } from "effect"
import { assert, describe, it } from "vitest"

import * as OrderTraces from "../src/OrderTraces.ts"

/** As it stands on the wire: one service's export of spans, each of a trace and about an order. */
const exportOf = (service: string, spans: ReadonlyArray<readonly [traceId: string, orderId?: string]>) => ({
  resourceSpans: [
    {
      resource: { attributes: [{ key: "service.name", value: { stringValue: service } }] },
      scopeSpans: [
        {
          scope: { name: "test" },
          spans: spans.map(([traceId, orderId], place) => ({
            traceId,
            spanId: `${service}-${place}`,
            name: "work",
            kind: 1,
            startTimeUnixNano: "1",
            endTimeUnixNano: "2",
            attributes: orderId === undefined ? [] : [{ key: "order.id", value: { stringValue: orderId } }]
          }))
        }
      ]
    }
  ]
})

const decode = Schema.decodeUnknownSync(Schema.Array(Received.Traces))
const complaintsOf = (exports: ReadonlyArray<unknown>, orderIds: ReadonlyArray<string>) =>
  OrderTraces.complaints(decode(exports).flatMap(Received.spansIn), orderIds, ["edge-api", "orders"])

describe("one order is one trace", () => {
  it("is content where every service tells of each order in that order's one trace", () => {
    const exports = [
      exportOf("edge-api", [["t1", "o1"], ["t2", "o2"], ["t3"]]),
      exportOf("orders", [
        ["t1", "o1"],
        ["t2", "o2"]
      ])
    ]
    assert.deepStrictEqual(complaintsOf(exports, ["o1", "o2"]), [])
  })

  it("says which service is missing, also where it tells of another order in that trace", () => {
    const exports = [exportOf("edge-api", [["t1", "o1"]]), exportOf("orders", [["t1", "o2"]])]
    assert.deepStrictEqual(complaintsOf(exports, ["o1"]), ["the trace of order o1 has no span of orders"])
  })

  it("says which traces an order is torn into", () => {
    const exports = [exportOf("edge-api", [["t1", "o1"]]), exportOf("orders", [["t2", "o1"]])]
    assert.deepStrictEqual(complaintsOf(exports, ["o1"]), ["order o1 has 2 traces: t1, t2"])
  })

  it("does not pass over an order of which nobody tells", () => {
    assert.deepStrictEqual(complaintsOf([], ["o1"]), ["order o1 has 0 traces: "])
  })
})
