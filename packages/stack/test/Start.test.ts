import { TestDatabase } from "@ecommerce/testing/TestDatabase"
import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem, Layer, Path, Redacted, Schedule, Schema } from "effect"
import { FetchHttpClient, HttpClient, HttpClientRequest } from "effect/http"
import { ChildProcess, ChildProcessSpawner } from "effect/process"

import { isOpenToAll } from "./fixtures/Access.ts"
import {
  childrenOf,
  emptyPlace,
  runner,
  type Place,
  serviceOf,
  start,
  startAndWait,
  statusOf,
  untilReady
} from "./fixtures/RunningStack.ts"
import { processesAbout } from "./fixtures/TestPostgres.ts"

const platform = Layer.mergeAll(NodeServices.layer, FetchHttpClient.layer)

const createProduct = (place: Place) =>
  Effect.flatMap(HttpClient.HttpClient, (client) =>
    client.execute(
      HttpClientRequest.post(`http://127.0.0.1:${place.inventoryPort}/products`).pipe(
        HttpClientRequest.bodyText('{"name": "Mouse", "sku": "MOUSE-001", "priceCents": 2999}', "application/json")
      )
    )
  ).pipe(Effect.map((answer) => answer.status))

const madeIn = Schema.decodeUnknownEffect(Schema.fromJsonString(Schema.Struct({ id: Schema.String })))
const endedIn = Schema.decodeUnknownEffect(Schema.fromJsonString(Schema.Struct({ status: Schema.String })))

/** Types what a newcomer is told to try first, and waits; answers how the order has ended. */
const tryFirst = Effect.fn("tryFirst")(function* (printed: string) {
  const { string } = yield* ChildProcessSpawner.ChildProcessSpawner
  const type = (command: string) => string(ChildProcess.make("bash", ["-c", command]))
  const [product = "", order = ""] = Array.from(printed.matchAll(/curl [^]*?\}'/gu), ([command]) => command)
  const { id } = yield* Effect.flatMap(type(product), madeIn)
  const asked = order.replace("<id>", id).replace("curl", 'curl -H "Prefer: wait=60"')
  return (yield* Effect.flatMap(type(asked), endedIn)).status
})

/** Of the running PostgreSQL, as Linux writes them; none elsewhere. */
const capabilitiesOf = Effect.fn("capabilitiesOf")(function* (place: Place) {
  const fileSystem = yield* FileSystem.FileSystem
  const pid = (yield* fileSystem.readFileString(`${place.dataDirectory}/postgres/postmaster.pid`)).split("\n")[0]
  const status = yield* Effect.orElseSucceed(fileSystem.readFileString(`/proc/${pid}/status`), () => "")
  return /^CapEff:\s*([0-9a-f]+)$/mu.exec(status)?.[1] ?? ""
})

const kill = (pid: number) => Effect.sync(() => process.kill(pid, "SIGKILL"))

describe("npm start", () => {
  it.live("prints where everything is, ends on SIGTERM with 0, leaves nothing running, and finds its data again", () =>
    Effect.gen(function* () {
      const place = yield* emptyPlace
      const first = yield* startAndWait(place)
      const printed = yield* first.printed
      // PostgreSQL has no right that an ordinary account has not, unless it needs one to reach its own binaries.
      if (isOpenToAll(runner)) assert.match(yield* capabilitiesOf(place), /^0*$/)
      assert.match(printed, /service +url +docs +state/)
      assert.match(printed, new RegExp(`inventory +http://localhost:${place.inventoryPort} +\\S+/docs +ready`))
      assert.include(printed, `curl -X POST http://localhost:${place.inventoryPort}/products`)
      assert.strictEqual(yield* createProduct(place), 201)
      const fileSystem = yield* FileSystem.FileSystem
      const log = yield* fileSystem.readFileString(`${place.dataDirectory}/logs/inventory.log`)
      // Nobody reads at a terminal here, so every line is JSON.
      const lines = log
        .trim()
        .split("\n")
        .map((line): unknown => JSON.parse(line))
      assert.containSubset(lines, [{ level: "INFO", service: "inventory" }])
      const service = yield* serviceOf(first)
      yield* first.signal("SIGTERM")
      assert.strictEqual(yield* Effect.timeout(first.exitCode, "100 seconds"), 0)
      assert.strictEqual(yield* statusOf(place, "/health/live"), 0)
      assert.throws(() => process.kill(service, 0))
      assert.deepStrictEqual(yield* processesAbout(place.dataDirectory), [])

      const second = yield* startAndWait(place)
      assert.strictEqual(yield* createProduct(place), 409)
      yield* second.signal("SIGINT")
      assert.strictEqual(yield* Effect.timeout(second.exitCode, "100 seconds"), 0)

      // A product of that name is there, unless everything is gone.
      const fresh = yield* startAndWait(place, ["--fresh"], { MOCK_FAILURE_RATE: "0" })
      assert.strictEqual(yield* tryFirst(yield* fresh.printed), "COMPLETED")
      yield* fresh.signal("SIGTERM")
      assert.strictEqual(yield* Effect.timeout(fresh.exitCode, "100 seconds"), 0)
    }).pipe(Effect.scoped, Effect.provide(platform))
  )

  it.live("restarts what dies: a service alone, and the database under a service that carries on", () =>
    Effect.gen(function* () {
      const place = yield* emptyPlace
      const stack = yield* startAndWait(place)

      const service = yield* serviceOf(stack)
      yield* kill(service)
      yield* serviceOf(stack).pipe(
        Effect.repeat({ until: (pid) => pid !== 0 && pid !== service, schedule: Schedule.spaced("50 millis") }),
        Effect.timeout("100 seconds")
      )
      yield* untilReady(place)
      const reborn = yield* serviceOf(stack)

      const fileSystem = yield* FileSystem.FileSystem
      const path = yield* Path.Path
      const pidFile = path.join(place.dataDirectory, "postgres", "postmaster.pid")
      const postmaster = Effect.map(fileSystem.readFileString(pidFile), (text) => Number(text.split("\n")[0]))
      const before = yield* postmaster
      yield* kill(before)
      yield* postmaster.pipe(
        Effect.orElseSucceed(() => before),
        Effect.repeat({ until: (pid) => pid !== before, schedule: Schedule.spaced("50 millis") }),
        Effect.timeout("100 seconds")
      )
      yield* untilReady(place)
      assert.strictEqual(yield* createProduct(place), 201)
      assert.strictEqual(yield* serviceOf(stack), reborn)

      yield* stack.signal("SIGTERM")
      assert.strictEqual(yield* Effect.timeout(stack.exitCode, "100 seconds"), 0)
    }).pipe(Effect.scoped, Effect.provide(platform))
  )

  it.live("stops as a whole when one service keeps dying, and says which one, with the end of its log", () =>
    Effect.gen(function* () {
      const place = yield* emptyPlace
      const stack = yield* startAndWait(place, [], { SUPERVISOR_MAX_DEATHS: "2" })
      const service = yield* serviceOf(stack)
      yield* kill(service)
      yield* untilReady(place)
      yield* kill(yield* serviceOf(stack))
      assert.notStrictEqual(yield* Effect.timeout(stack.exitCode, "100 seconds"), 0)
      const printed = yield* stack.printed
      assert.include(printed, "inventory died 2 times within 60 seconds")
      assert.include(printed, "inventory listens on")
      assert.deepStrictEqual(yield* processesAbout(place.dataDirectory), [])
    }).pipe(Effect.scoped, Effect.provide(platform))
  )

  // The second way is how a machine with an older Node runs it the first time: through another process.
  it.live.each(["itself", "under another Node"] as const)(
    "leaves nothing running when it is killed with -9, %s",
    (how) =>
      Effect.gen(function* () {
        const place = yield* emptyPlace
        const fileSystem = yield* FileSystem.FileSystem
        const otherNode = `${place.dataDirectory}/node`
        if (how !== "itself") yield* fileSystem.copyFile(process.execPath, otherNode)
        const through = [otherNode, runner, "packages/stack/src/main.ts"]
        const stack = yield* startAndWait(place, [], {}, how === "itself" ? undefined : through)
        yield* kill(stack.pid)
        yield* Effect.all([statusOf(place, "/health/live"), processesAbout(place.dataDirectory)]).pipe(
          Effect.repeat({
            until: ([status, processes]) => status === 0 && processes.length === 0,
            schedule: Schedule.spaced("100 millis")
          }),
          Effect.timeout("100 seconds")
        )
      }).pipe(Effect.scoped, Effect.provide(platform))
  )

  it.live("shares its database with a second one on other ports, which ends when the database is gone", () =>
    Effect.gen(function* () {
      const place = yield* emptyPlace
      const first = yield* startAndWait(place)
      const elsewhere = yield* emptyPlace
      const second = yield* startAndWait(place, [], elsewhere.ports)
      assert.strictEqual(yield* createProduct(elsewhere), 201)
      assert.strictEqual(yield* createProduct(place), 409)
      yield* first.signal("SIGTERM")
      assert.strictEqual(yield* Effect.timeout(first.exitCode, "100 seconds"), 0)
      assert.notStrictEqual(yield* Effect.timeout(second.exitCode, "100 seconds"), 0)
      assert.include(yield* second.printed, "the other npm start that ran it has ended")
    }).pipe(Effect.scoped, Effect.provide(platform))
  )

  it.live("uses the server of DATABASE_URL where it is set, and starts none", () =>
    Effect.gen(function* () {
      const place = yield* emptyPlace
      const database = yield* TestDatabase
      const url = Redacted.value(database.administratorUrl)
      const stack = yield* startAndWait(place, [], { DATABASE_URL: url })
      assert.strictEqual(yield* createProduct(place), 201)
      assert.deepStrictEqual(yield* childrenOf(stack.pid, "postgres"), [])
      assert.deepStrictEqual(yield* database.administrator`SELECT sku FROM inventory.products`, [{ sku: "MOUSE-001" }])
      yield* stack.signal("SIGTERM")
      assert.strictEqual(yield* Effect.timeout(stack.exitCode, "100 seconds"), 0)
    }).pipe(Effect.scoped, Effect.provide(platform), Effect.provide(TestDatabase.layerOwnServer))
  )
})

describe("npm start says in one sentence, with a non-zero exit code and no stack trace,", () => {
  const sentence = Effect.fn("sentence")(function* (
    place: Place,
    environment: Readonly<Record<string, string>>,
    args: ReadonlyArray<string> = []
  ) {
    const stack = yield* start(place, args, environment)
    assert.notStrictEqual(yield* Effect.timeout(stack.exitCode, "100 seconds"), 0)
    const printed = (yield* stack.printed).replace("Starting ...\n", "").trim()
    assert.notMatch(printed, /\n\s+at /)
    return printed
  })

  it.live("that a port is taken", () =>
    Effect.gen(function* () {
      const place = yield* emptyPlace
      const other = yield* emptyPlace
      const stack = yield* startAndWait(other)
      const printed = yield* sentence(place, { INVENTORY_PORT: String(other.inventoryPort) })
      assert.strictEqual(
        printed,
        `Port ${other.inventoryPort} is taken by another process: stop it, or choose another with INVENTORY_PORT.`
      )
      yield* stack.signal("SIGTERM")
      yield* stack.exitCode
    }).pipe(Effect.scoped, Effect.provide(platform))
  )

  it.live.each([
    [{ INVENTORY_PORT: "three" }, "The setting INVENTORY_PORT is wrong: expected a port number"],
    [{ SUPERVISOR_WINDOW: "soon" }, "The setting SUPERVISOR_WINDOW is wrong: expected a duration"],
    [{ SERVICE_TOKEN: "short" }, "The setting SERVICE_TOKEN is wrong: expected one or more tokens"],
    [{ DATABASE_URL: "mysql://nobody" }, "The setting DATABASE_URL is wrong: expected a PostgreSQL URL"],
    [{ DATABASE_URL: "postgres://a:b@127.0.0.1:99999/shop" }, "The setting DATABASE_URL is wrong"],
    [{ HOST: "10.99.99.99" }, "Nobody can listen on 10.99.99.99"],
    [{ DATABASE_POOL_SIZE: "many" }, "inventory: The setting DATABASE_POOL_SIZE is wrong"],
    [{ DATABASE_URL: "postgres://a:b@127.0.0.1:9/shop" }, "The database 127.0.0.1:9/shop could not be prepared"],
    [
      { DATA_DIRECTORY: "/dev/null/data" },
      "The folder /dev/null/data/logs cannot be made: choose another with DATA_DIRECTORY"
    ]
  ] as const)("what is wrong with a setting: %j", ([environment, expected]) =>
    Effect.gen(function* () {
      const printed = yield* sentence(yield* emptyPlace, environment)
      assert.include(printed, expected)
      assert.strictEqual(printed.split("\n").length, 1)
    }).pipe(Effect.scoped, Effect.provide(platform))
  )

  it.live("that a service does not become ready, and what it lacks", () =>
    Effect.gen(function* () {
      const printed = yield* sentence(yield* emptyPlace, {
        INVENTORY_DATABASE_URL: "postgres://a:b@127.0.0.1:9/shop",
        SERVICE_START_TIMEOUT: "10 seconds"
      })
      assert.include(printed, "inventory is not ready after SERVICE_START_TIMEOUT")
      assert.include(printed, '"database":"cannot be reached"')
    }).pipe(Effect.scoped, Effect.provide(platform))
  )

  it.live("that it does not throw away what is not its own", () =>
    Effect.gen(function* () {
      const database = yield* TestDatabase
      const printed = yield* sentence(yield* emptyPlace, { DATABASE_URL: Redacted.value(database.administratorUrl) }, [
        "--fresh"
      ])
      assert.include(printed, "--fresh empties only the embedded database")
    }).pipe(Effect.scoped, Effect.provide(platform), Effect.provide(TestDatabase.layerOwnServer))
  )

  it.live("that a flag is unknown", () =>
    Effect.gen(function* () {
      assert.include(yield* sentence(yield* emptyPlace, {}, ["--frehs"]), "Unrecognized flag: --frehs")
    }).pipe(Effect.scoped, Effect.provide(platform))
  )
})
