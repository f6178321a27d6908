import * as Books from "@ecommerce/audit/Books"
import { Customers, stock } from "@ecommerce/chaos/Customers"
import type { Kind } from "@ecommerce/chaos/Record"
import * as Verdict from "@ecommerce/chaos/Verdict"
import { auditor } from "@ecommerce/chassis/Names"
import * as ServiceProcess from "@ecommerce/testing/ServiceProcess"
import { TestDatabase } from "@ecommerce/testing/TestDatabase"
import { WholeStack } from "@ecommerce/testing/WholeStack"
import { NodeHttpClient, NodeServices } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Effect, Layer, References } from "effect"

const shop = WholeStack.layer().pipe(
  Layer.provideMerge(TestDatabase.layer),
  Layer.provideMerge(Layer.merge(NodeHttpClient.layerUndici, NodeServices.layer)),
  Layer.provideMerge(Layer.succeed(References.MinimumLogLevel, "None"))
)

const customers = Layer.unwrap(
  Effect.gen(function* () {
    const { urls } = yield* WholeStack
    return Customers.layer({ seed: 7, edgeUrls: [urls["edge-api"]], ...(yield* stock(urls.inventory)) })
  })
)

const reconcile = Effect.map(ServiceProcess.run("payment", "reconcile"), ({ code, lines }) =>
  code === 0 ? [] : lines
).pipe(Effect.orDie)

const reached = Effect.gen(function* () {
  const { urlOf } = yield* TestDatabase
  const { findings, moving, tally } = yield* Verdict.reach(yield* Books.open(() => urlOf(auditor)), reconcile)
  const broken = findings.filter(({ violations }) => violations.length > 0)
  return { broken: broken.map(({ invariant }) => invariant), findings, moving, tally }
})

/** As somebody would who has all rights and no scruples: triggers and keys are left aside. */
const change = Effect.fnUntraced(function* (...statements: ReadonlyArray<string>) {
  const { administrator: sql } = yield* TestDatabase
  yield* sql.withTransaction(
    Effect.gen(function* () {
      yield* sql`SET LOCAL session_replication_role = replica`.unprepared
      for (const statement of statements) {
        assert.isNotEmpty(yield* sql.unsafe(`${statement} RETURNING 1 AS one`).unprepared, statement)
      }
    })
  )
})

const everyKind: ReadonlyArray<Kind> = [
  "paid",
  "declined",
  "capture declined",
  "sent twice",
  "cancelled late",
  "hung up"
]

layer(customers.pipe(Layer.provideMerge(shop)), { excludeTestServices: true })("a verdict", (it) => {
  it.effect("finds nothing wrong after a day without trouble, and what was changed by hand afterwards", () =>
    Effect.gen(function* () {
      const { send, sheets } = yield* Customers
      const { urlOf } = yield* TestDatabase
      for (const kind of everyKind) yield* send(kind, 2)
      yield* Verdict.settle(yield* Books.open(() => urlOf(auditor)), 100)
      const before = yield* reached
      assert.deepStrictEqual([before.broken, before.moving], [[], []])
      assert.deepStrictEqual(before.tally.ends, { AUTHORIZATION_FAILED: 2, CANCELLED: 2, COMPLETED: 6, FAILED: 2 })
      assert.deepStrictEqual(before.tally.failures, { capture_declined: 2, payment_declined: 2 })

      const orderOf = Effect.fnUntraced(function* (kind: Kind) {
        const sheet = (yield* sheets).find((one) => one.kind === kind)
        return sheet?.answers[0]?.orderId ?? ""
      })
      const lost = yield* orderOf("paid")
      yield* change(
        `DELETE FROM edge_api.order_ledger WHERE order_id = '${lost}'`,
        `DELETE FROM orchestrator.sagas WHERE key = '${lost}'`
      )
      const held = `SELECT authorization_id FROM payment.payments WHERE order_id = '${yield* orderOf("cancelled late")}'`
      yield* change(`UPDATE payment.processor_payments SET state = 'AUTHORIZED' WHERE reference = (${held})`)
      const { broken, findings } = yield* reached
      assert.includeMembers(broken, [
        "every customer has the one order that was answered, in an end that it may have",
        "npm run reconcile finds no difference",
        "the processor's own books agree with payment's"
      ])
      const told = findings.flatMap(({ violations }) => violations).join("\n")
      assert.match(told, /paid [-0-9a-f]+ was answered with 202, and there is no such order/u)
    })
  )
})
