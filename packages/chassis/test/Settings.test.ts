import { rateLimit } from "@ecommerce/chassis/RateLimits"
import * as Settings from "@ecommerce/chassis/Settings"
import { trustedProxies } from "@ecommerce/chassis/TrustedProxies"
import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem, Path, Redacted } from "effect"

const port = Settings.port("SHOP_PORT", 3001, "The shop's port.")

const withSettings =
  (environment: Record<string, string>, fileContent?: string) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>) =>
    Effect.gen(function* () {
      const fileSystem = yield* FileSystem.FileSystem
      const path = yield* Path.Path
      const file = path.join(yield* fileSystem.makeTempDirectoryScoped(), "ecommerce.config.json")
      if (fileContent !== undefined) yield* fileSystem.writeFileString(file, fileContent)
      return yield* Effect.provide(effect, Settings.layerFrom(environment, file))
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))

const sentenceOf = <A>(setting: Settings.Setting<A>) => Effect.map(Effect.flip(setting.read), (error) => error.message)

describe("a setting", () => {
  it.effect("is taken from the environment before the file, and from the file before its default", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* port.read.pipe(withSettings({ SHOP_PORT: "1" }, '{"SHOP_PORT": 2}')), 1)
      assert.strictEqual(yield* port.read.pipe(withSettings({}, '{"SHOP_PORT": 2}')), 2)
      assert.strictEqual(yield* port.read.pipe(withSettings({}, "{}")), 3001)
      assert.strictEqual(yield* port.read.pipe(withSettings({})), 3001)
    })
  )

  it.effect("is looked up by itself: one key in the environment does not hide another one in the file", () =>
    Effect.gen(function* () {
      const settings = withSettings({ HOST: "0.0.0.0", SHOP_PORT_OLD: "9" }, '{"HOST": "::1", "SHOP_PORT": 2}')
      const found = yield* settings(Effect.all([Settings.host.read, port.read]))
      assert.deepStrictEqual(found, ["0.0.0.0", 2])
    })
  )

  it.effect("that is empty counts as missing", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* port.read.pipe(withSettings({ SHOP_PORT: "" }, '{"SHOP_PORT": 2}')), 2)
    })
  )

  it.effect.each([
    [port, "abc", "SHOP_PORT is wrong: expected a port number"],
    [port, "70000", "SHOP_PORT is wrong: expected a port number"],
    [port, "30.5", "SHOP_PORT is wrong: expected a port number"],
    [Settings.logFormat, "xml", "LOG_FORMAT is wrong: expected auto, json or pretty"],
    [Settings.logLevel, "loud", "LOG_LEVEL is wrong: expected Trace, Debug, Info"],
    [Settings.shutdownTimeout, "soon", "SHUTDOWN_TIMEOUT is wrong: expected a duration"],
    [Settings.databasePoolSize, "0", "DATABASE_POOL_SIZE is wrong: expected a whole number above 0"],
    [rateLimit, "none", "RATE_LIMIT is wrong: expected a whole number above 0"],
    [trustedProxies, "10.0.0.0/33", "TRUSTED_PROXIES is wrong: expected networks separated by commas"],
    [trustedProxies, "10.0.0.0/8,proxy", "TRUSTED_PROXIES is wrong: expected networks separated by commas"],
    [trustedProxies, "all", 'TRUSTED_PROXIES is wrong: expected networks separated by commas, such as "10.'],
    [Settings.databaseUrl, "mysql://x", "DATABASE_URL is wrong: expected a PostgreSQL URL"],
    [Settings.serviceTokens, "short", "SERVICE_TOKEN is wrong: expected one or more tokens of at least 16 characters"],
    [Settings.serviceTokens, "", "SERVICE_TOKEN is missing: expected one or more tokens"]
  ] as const)("that is wrong or missing names its key and what was expected (%#)", ([setting, value, expected]) =>
    Effect.gen(function* () {
      const message = yield* sentenceOf<unknown>(setting).pipe(withSettings({ [setting.key]: value }))
      assert.include(message, expected)
      if (value !== "") assert.notInclude(message.replace(setting.key, ""), `"${value}"`)
    })
  )

  it.effect("may be a list of tokens, so that one can replace another without a moment in which both fail", () =>
    Effect.gen(function* () {
      const tokens = yield* Settings.serviceTokens.read.pipe(
        withSettings({ SERVICE_TOKEN: "0123456789abcdef,fedcba9876543210" })
      )
      assert.deepStrictEqual(tokens.map(Redacted.value), ["0123456789abcdef", "fedcba9876543210"])
    })
  )

  it.effect("of a service's own database goes before the one of all", () =>
    Effect.gen(function* () {
      const url = Settings.serviceDatabaseUrl("edge-api")
      const all = "postgres://a:b@localhost:5432/all"
      const own = "postgres://a:b@localhost:5432/own"
      const read = Effect.map(url.read, Redacted.value)
      assert.strictEqual(yield* read.pipe(withSettings({ DATABASE_URL: all })), all)
      assert.strictEqual(yield* read.pipe(withSettings({ DATABASE_URL: all, EDGE_API_DATABASE_URL: own })), own)
      assert.include(yield* sentenceOf(url).pipe(withSettings({})), "DATABASE_URL is missing")
    })
  )
})

describe("where another service is", () => {
  const url = Settings.serviceUrl({ name: "edge-api", port: 3000 })

  it.effect("is its own address, or this machine at its port", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* url.read.pipe(withSettings({})), "http://127.0.0.1:3000")
      assert.strictEqual(yield* url.read.pipe(withSettings({ EDGE_API_PORT: "4000" })), "http://127.0.0.1:4000")
      const elsewhere = { EDGE_API_PORT: "4000", EDGE_API_URL: "https://edge.example.com:8443" }
      assert.strictEqual(yield* url.read.pipe(withSettings(elsewhere)), "https://edge.example.com:8443")
      assert.strictEqual(yield* url.read.pipe(withSettings({}, '{"EDGE_API_URL": "http://e"}')), "http://e")
    })
  )

  it.effect.each(["edge:3000", "ftp://edge", "edge"])("is not %s", (value) =>
    Effect.gen(function* () {
      const message = yield* sentenceOf(url).pipe(withSettings({ EDGE_API_URL: value }))
      assert.include(message, "EDGE_API_URL is wrong: expected an address such as http://")
      assert.notInclude(message, "\n")
    })
  )
})

describe("the settings file", () => {
  it.effect.each(["{", "[1]", '{"HOST": {"nested": true}}', "null"])(
    "that is no flat object is told of: %s",
    (content) =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(Settings.host.read.pipe(withSettings({}, content)))
        assert.include(error.message, "ecommerce.config.json cannot be read as one flat JSON object")
      })
  )
})
