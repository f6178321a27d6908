import { fileURLToPath } from "node:url"

import { auditor } from "@ecommerce/chassis/Names"
import { TestDatabase } from "@ecommerce/testing/TestDatabase"
import { NodeServices } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Effect, FileSystem, Layer, Redacted, Schema, Stream } from "effect"
import { ChildProcess } from "effect/process"

import { orders, world } from "./fixtures/World.ts"

const program = fileURLToPath(new URL("../src/main.ts", import.meta.url))

/** `npm run audit` on a server that is somebody's own; these settings before all others. */
const audit = (args: ReadonlyArray<string> = [], settings: Readonly<Record<string, string>> = {}) =>
  Effect.gen(function* () {
    const { administratorUrl, urlOf } = yield* TestDatabase
    const fileSystem = yield* FileSystem.FileSystem
    const folder = yield* fileSystem.makeTempDirectoryScoped({ prefix: "ecommerce-audit-" })
    const child = yield* ChildProcess.make(process.execPath, [program, ...args], {
      env: {
        DATA_DIRECTORY: folder,
        ECOMMERCE_CONFIG_FILE: `${folder}/none.json`,
        DATABASE_URL: Redacted.value(administratorUrl),
        AUDIT_DATABASE_PASSWORD: decodeURIComponent(new URL(Redacted.value(urlOf(auditor))).password),
        ...settings
      },
      extendEnv: true
    })
    const [printed, code] = yield* Effect.all([Stream.mkString(Stream.decodeText(child.all)), child.exitCode], {
      concurrency: "unbounded"
    })
    return { printed, code: Number(code) }
  }).pipe(Effect.scoped)

const decodeReport = Schema.decodeUnknownSync(
  Schema.fromJsonString(
    Schema.Struct({
      clean: Schema.Boolean,
      findings: Schema.Array(Schema.Struct({ invariant: Schema.String, violations: Schema.Array(Schema.String) })),
      moving: Schema.Array(Schema.String)
    })
  )
)

const inWorld = <E>(name: string, test: Effect.Effect<void, E, TestDatabase | NodeServices.NodeServices>) =>
  layer(Layer.merge(world, NodeServices.layer), { excludeTestServices: true })("npm run audit", (it) => {
    it.effect(name, () => test)
  })

inWorld(
  "ends with 0 where all is well, and prints a line for each invariant",
  Effect.gen(function* () {
    const { code, printed } = yield* audit()
    assert.strictEqual(code, 0, printed)
    assert.match(printed, /ok +the ledger tells how each order has ended +3 +0/u)
    assert.notInclude(printed, "FAILS")
  })
)

inWorld(
  "ends with 1 where something is wrong, and tells of which order, also to programs",
  Effect.gen(function* () {
    const { administrator: sql } = yield* TestDatabase
    yield* sql`DELETE FROM payment.processor_operations`
    yield* sql`UPDATE payment.processor_payments SET state = 'AUTHORIZED' WHERE state = 'VOIDED'`
    const { code, printed } = yield* audit()
    assert.strictEqual(code, 1, printed)
    assert.match(printed, /FAILS +the processor's own books agree with payment's +3 +1/u)
    assert.include(printed, `order ${orders.failed} has ended, and the processor holds money for it`)

    const asJson = yield* audit(["--json"])
    const { clean, findings, moving } = decodeReport(asJson.printed)
    assert.deepStrictEqual([asJson.code, clean, moving], [1, false, []])
    assert.deepStrictEqual(
      findings.flatMap(({ violations }) => violations),
      [`order ${orders.failed} has ended, and the processor holds money for it`]
    )
  })
)

inWorld(
  "ends with 2 while an order is on its way, and with 0 where that has ended before the wait is over",
  Effect.gen(function* () {
    const { administrator: sql } = yield* TestDatabase
    const key = orders.failed
    yield* sql`
      UPDATE orchestrator.sagas SET status = 'COMPENSATING', step = 'create-order', ended_at = NULL,
        deadline_at = now() + interval '9 minutes', updated_at = now() WHERE key = ${key}`
    const { code, printed } = yield* audit()
    assert.strictEqual(code, 2, printed)
    assert.include(printed, "Not quiet yet: 1 orders are on their way.")

    const ends = Effect.andThen(
      Effect.sleep("2 seconds"),
      sql`UPDATE orchestrator.sagas SET status = 'FAILED', step = NULL, ended_at = now() WHERE key = ${key}`
    )
    const [waited] = yield* Effect.all([audit(["--wait", "60"]), ends], { concurrency: "unbounded" })
    assert.strictEqual(waited.code, 0, waited.printed)
  })
)

inWorld(
  "says in one sentence that a database does not let it in, and ends with 78",
  Effect.gen(function* () {
    const { code, printed } = yield* audit([], { AUDIT_DATABASE_PASSWORD: "wrong" })
    assert.strictEqual(code, 78)
    assert.include(printed, "The books cannot be read: password authentication failed")
    assert.notInclude(printed, "    at ")
  })
)
