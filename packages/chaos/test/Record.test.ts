import { type Answer, judge, type Sheet, tally, type Told } from "@ecommerce/chaos/Record"
import { assert, describe, it } from "@effect/vitest"

const accepted: Answer = { status: 202, body: '{"order_ledger_id":"o-1"}', orderId: "o-1", isReplay: false }
const declined: Answer = { status: 402, body: '{"order_ledger_id":"o-1"}', orderId: "o-1", isReplay: false }
const again: Answer = { ...accepted, isReplay: true }

const sheet: Sheet = {
  key: "k-1",
  kind: "paid",
  userId: "u-1",
  totalCents: 500,
  requests: 3,
  answers: [accepted, again],
  isCancelled: false,
  strange: []
}
const completed: Told = { orderId: "o-1", status: "COMPLETED", totalCents: 500, reason: null }
const failed = (reason: string): Told => ({ ...completed, status: "FAILED", reason })
const refused: Told = { ...completed, status: "AUTHORIZATION_FAILED", reason: "payment_declined" }

const judged = (changed: Partial<Sheet>, ...told: ReadonlyArray<Told>) => judge([{ ...sheet, ...changed }], () => told)

describe("a customer's record", () => {
  it("has nothing to say against the one order that was answered", () => {
    assert.deepStrictEqual(judged({}, completed), [])
    assert.deepStrictEqual(judged({}, failed("unavailable")), [])
    assert.deepStrictEqual(judged({ kind: "scarce" }, failed("insufficient_stock")), [])
    assert.deepStrictEqual(judged({ kind: "capture declined" }, failed("capture_declined")), [])
    assert.deepStrictEqual(judged({ kind: "declined", answers: [declined] }, refused), [])
    assert.deepStrictEqual(
      judged({ kind: "cancelled late", isCancelled: true }, { ...completed, status: "CANCELLED" }),
      []
    )
  })

  it.each([
    ["that is not there", {}, [], "paid k-1 was answered with 202, and there is no such order"],
    ["that is there twice", {}, [completed, { ...completed, orderId: "o-2" }], "paid k-1 is there 2 times"],
    ["that is another one", {}, [{ ...completed, orderId: "o-2" }], "paid k-1 was told of the order o-1, and has o-2"],
    ["of another worth", {}, [{ ...completed, totalCents: 499 }], "paid k-1 costs 499 instead of 500"],
    ["that is on its way for ever", {}, [{ ...completed, status: "ORDER_CREATED" }], "paid k-1 is ORDER_CREATED"],
    ["that was cancelled and is kept", { kind: "cancelled late", isCancelled: true }, [completed], "is completed"],
    ["that was cancelled by nobody", {}, [{ ...completed, status: "CANCELLED" }], "paid k-1 is CANCELLED"],
    ["that should have failed", { kind: "capture declined" }, [completed], "capture declined k-1 is COMPLETED"],
    [
      "that was accepted and is refused",
      {},
      [{ ...completed, status: "AUTHORIZATION_FAILED" }],
      "paid k-1 was answered with 202, and is AUTHORIZATION_FAILED"
    ],
    [
      "that failed for want of what there is plenty of",
      {},
      [failed("insufficient_stock")],
      "because of insufficient_stock"
    ],
    ["that failed because a good card was declined", {}, [failed("capture_declined")], "because of capture_declined"],
    [
      "that failed and does not say why",
      {},
      [{ ...completed, status: "FAILED" }],
      "paid k-1 is FAILED because of nothing"
    ],
    ["that waited too long", { kind: "scarce" }, [failed("overdue")], "scarce k-1 is FAILED because of overdue"],
    [
      "that was given up instead of declined",
      { kind: "declined", answers: [declined] },
      [{ ...refused, reason: "order_expired" }],
      "declined k-1 is AUTHORIZATION_FAILED because of order_expired"
    ],
    ["that was never answered", { answers: [] }, [], "paid k-1 never had an answer"],
    ["with two answers", { answers: [accepted, declined] }, [completed], "paid k-1 had different answers"],
    ["with a strange answer", { strange: ["was answered with 500"] }, [completed], "paid k-1 was answered with 500"]
  ] as const)("tells of an order %s", (_, changed, told, wrong) => {
    assert.include(judged(changed, ...told).join("\n"), wrong)
  })

  it("tells of an order that is the answer to two keys", () => {
    const other: Sheet = { ...sheet, key: "k-2", userId: "u-2" }
    assert.deepStrictEqual(
      judge([sheet, other], () => [completed]),
      ["the order o-1 is the answer to several keys"]
    )
  })

  it("counts what was asked, answered, asked again, replayed, and how it ended", () => {
    const other: Sheet = { ...sheet, key: "k-2", userId: "u-2", kind: "declined", requests: 1, answers: [declined] }
    assert.deepStrictEqual(
      tally([sheet, other], (userId) => (userId === "u-1" ? [completed] : [refused])),
      {
        asked: 2,
        accepted: 1,
        declined: 1,
        ends: { COMPLETED: 1, AUTHORIZATION_FAILED: 1 },
        failures: { payment_declined: 1 },
        retried: 2,
        replayed: 1
      }
    )
  })
})
