/**
 * The settings of every program, and the only place that reads the environment.
 *
 * A setting is looked up by its key in three places, key by key: the environment, then the optional file
 * `ecommerce.config.json` (a flat object with the same keys), then its default. A missing or wrong value ends the
 * start with one sentence that names the key and says what was expected.
 */
import { fileURLToPath } from "node:url"

import type { Place } from "@ecommerce/protocol/Place"
import { NodeFileSystem } from "@effect/platform-node"
import { Config, ConfigProvider, Duration, Effect, FileSystem, Layer, Redacted, Schema, SchemaGetter } from "effect"

import { StartupError } from "./StartupError.ts"

/** A service's own settings carry its name: `inventory` has INVENTORY_PORT, `edge-api` has EDGE_API_PORT. */
export const keyOf = (service: string, setting: string) => `${service.replaceAll("-", "_").toUpperCase()}_${setting}`

export interface Setting<A> {
  readonly key: string
  readonly about: string
  /** What a right value looks like, in words. */
  readonly expected: string
  /** The default as it would be written in the environment; undefined where a value must be given. */
  readonly fallback: string | undefined
  readonly read: Effect.Effect<A, StartupError>
}

export const setting = <A>(declaration: {
  readonly key: string
  readonly about: string
  readonly expected: string
  readonly fallback?: string | undefined
  readonly config: (key: string) => Config.Config<A>
}): Setting<A> => {
  const { about, config, expected, fallback, key } = declaration
  const read = Effect.gen(function* () {
    const provider = yield* ConfigProvider.ConfigProvider
    const found = yield* provider.load([key])
    if (found === undefined && fallback === undefined) {
      return yield* new StartupError({ message: `The setting ${key} is missing: expected ${expected}.` })
    }
    const source = found === undefined ? ConfigProvider.fromUnknown({ [key]: fallback }) : provider
    return yield* config(key)
      .parse(source)
      .pipe(Effect.mapError(() => new StartupError({ message: `The setting ${key} is wrong: expected ${expected}.` })))
  }).pipe(Effect.catchTag("SourceError", (error) => new StartupError({ message: error.message })))
  return { key, about, expected, fallback, read }
}

export const port = (key: string, fallback: number, about: string) =>
  setting({
    key,
    about,
    expected: "a port number up to 65535, or 0 for any free one",
    fallback: String(fallback),
    config: portConfig
  })

const portConfig = (key: string) => Config.schema(PortNumber, key)
const PortNumber = Schema.NumberFromString.check(Schema.isInt(), Schema.isBetween({ minimum: 0, maximum: 65_535 }))

export const duration = (key: string, fallback: string, about: string) =>
  setting({
    key,
    about,
    expected: 'a duration such as "500 millis" or "10 seconds"',
    fallback,
    config: Config.Duration
  })

export const count = (key: string, fallback: number, about: string) =>
  setting({ key, about, expected: "a whole number above 0", fallback: String(fallback), config: countConfig })

const countConfig = (key: string) =>
  Config.schema(Schema.NumberFromString.check(Schema.isInt(), Schema.isGreaterThan(0)), key)

export const text = (key: string, fallback: string, about: string) =>
  setting({ key, about, expected: "text", fallback, config: Config.NonEmptyString })

export const host = text("HOST", "127.0.0.1", "The address that servers listen on; 0.0.0.0 in a container.")

export const logFormat = setting({
  key: "LOG_FORMAT",
  about: "How log lines look: json for machines, pretty for people, auto to choose by whether a terminal reads them.",
  expected: "auto, json or pretty",
  fallback: "auto",
  config: (key) => Config.Literals(["auto", "json", "pretty"], key)
})

export const logLevel = setting({
  key: "LOG_LEVEL",
  about: "The least important log lines to write.",
  expected: "Trace, Debug, Info, Warn, Error, Fatal or None",
  fallback: "Info",
  config: (key) => Config.LogLevel(key)
})

export const shutdownTimeout = duration(
  "SHUTDOWN_TIMEOUT",
  "8 seconds",
  "How long a stopping service may finish what it has begun."
)

export const databasePoolSize = count("DATABASE_POOL_SIZE", 10, "How many connections one service process may open.")

export const commandsAtOnce = count(
  "COMMANDS_AT_ONCE",
  64,
  "How many batches of commands one service process takes on at once; more are answered with 503."
)

export const idempotencyKeep = setting({
  key: "IDEMPOTENCY_KEEP",
  about: "How long the answer to a request with an Idempotency-Key is kept.",
  expected: 'a duration of at least "24 hours"',
  fallback: "24 hours",
  config: (key) => Config.schema(Schema.DurationFromString.check(atLeastADay), key)
})

/** Clients are promised a day in which they may send a request again. */
const atLeastADay = Schema.makeFilter((kept: Duration.Duration) => Duration.toHours(kept) >= 24)

/** Several tokens, separated by commas, are all valid: add the new one, move the callers, remove the old one. */
export const serviceTokens = setting({
  key: "SERVICE_TOKEN",
  about: "The token (or tokens, separated by commas) that services and operators show each other.",
  expected: "one or more tokens of at least 16 characters, separated by commas",
  config: (key) =>
    Config.schema(ServiceTokens, key).pipe(Config.map((tokens) => tokens.map((token) => Redacted.make(token))))
})

/** What a service shows to others: the first of the tokens. */
export const ownServiceToken = Effect.flatMap(serviceTokens.read, ([first]) =>
  first === undefined ? new StartupError({ message: "There is no service token." }) : Effect.succeed(first)
)

const ServiceTokens = Schema.String.pipe(
  Schema.decodeTo(Schema.Array(Schema.String.check(Schema.isMinLength(16))).check(Schema.isMinLength(1)), {
    decode: SchemaGetter.transform((text: string) => text.split(",").map((token) => token.trim())),
    encode: SchemaGetter.transform((tokens: ReadonlyArray<string>) => tokens.join(","))
  })
)

export const watchParent = setting({
  key: "WATCH_PARENT",
  about: "Set by packages/stack/run.mjs: the process ends when the one that started it is gone.",
  expected: "true or false",
  fallback: "false",
  config: (key) => Config.Boolean(key)
})

export const supervised = setting({
  key: "SUPERVISED",
  about: "Set by a supervisor: the process ends when its standard input closes.",
  expected: "true or false",
  fallback: "false",
  config: (key) => Config.Boolean(key)
})

export const servicePort = (place: Place) => port(keyOf(place.name, "PORT"), place.port, `The port of ${place.name}.`)

const isPostgresUrl = (text: string) => {
  const url = URL.parse(text)
  if (url === null) return false
  return /^postgres(ql)?:$/u.test(url.protocol) && url.username !== "" && url.hostname !== "" && url.pathname.length > 1
}
const postgresUrl = (key: string) =>
  Config.schema(Schema.String.check(Schema.makeFilter(isPostgresUrl)), key).pipe(
    Config.map((url) => Redacted.make(url))
  )

const urlExpected = "a PostgreSQL URL: postgres://user:password@host:5432/database"

export const databaseUrl = setting({
  key: "DATABASE_URL",
  about: "The database. For `npm start` and `npm run migrate` its user must be allowed to create roles and schemas.",
  expected: urlExpected,
  config: postgresUrl
})

/** A service's own database, so that any of them can move to a server of its own; DATABASE_URL where it is not set. */
export const serviceDatabaseUrl = (name: string) => {
  const own = setting({
    key: keyOf(name, "DATABASE_URL"),
    about: `The database of ${name}, where it is not DATABASE_URL's.`,
    expected: urlExpected,
    config: postgresUrl
  })
  return { ...own, read: whereSet(own, databaseUrl.read) }
}

/** Where another service is: at its own address, where it has one, else on this machine, at its port. */
export const serviceUrl = (place: Place) => {
  const own = setting({
    key: keyOf(place.name, "URL"),
    about: `Where ${place.name} is, where that is not this machine.`,
    expected: "an address such as http://inventory:3001",
    config: (key) => Config.schema(Schema.String.check(Schema.makeFilter(isHttpUrl)), key)
  })
  const here = Effect.map(servicePort(place).read, (port) => `http://127.0.0.1:${port}`)
  return { ...own, read: whereSet(own, here) }
}

const isHttpUrl = (text: string) => /^https?:$/u.test(URL.parse(text)?.protocol ?? "")

/** Its own value where somebody has set it, else what there is instead. */
export const whereSet = <A, B>(own: Setting<A>, fallback: Effect.Effect<B, StartupError>) =>
  Effect.flatMap(ConfigProvider.ConfigProvider, (provider) => provider.load([own.key])).pipe(
    Effect.orElseSucceed(() => undefined),
    Effect.flatMap((found): Effect.Effect<A | B, StartupError> => (found === undefined ? fallback : own.read))
  )

/** Looks a key up in each record in turn. (`ConfigProvider.orElse` would let INVENTORY_PORT_X hide INVENTORY_PORT.) */
export const providerOf = (...records: ReadonlyArray<Readonly<Record<string, unknown>>>) =>
  ConfigProvider.make((path) => {
    const key = path.join("_")
    const value = records.map((record) => record[key]).find((found) => found !== undefined && found !== "")
    return Effect.succeed(value === undefined ? undefined : ConfigProvider.makeValue(String(value)))
  })

const readFile = Effect.fn("Settings.readFile")(function* (file: string) {
  const fileSystem = yield* FileSystem.FileSystem
  if (!(yield* fileSystem.exists(file))) return {}
  const content = yield* fileSystem.readFileString(file)
  return yield* decodeFile(content)
})

const decodeFile = Schema.decodeUnknownEffect(
  Schema.fromJsonString(Schema.Record(Schema.String, Schema.Union([Schema.String, Schema.Number, Schema.Boolean])))
)

/** The environment over this file over the defaults. */
export const layerFrom = (environment: Readonly<Record<string, unknown>>, file: string) =>
  ConfigProvider.layer(
    readFile(file).pipe(
      Effect.mapError(
        () =>
          new StartupError({
            message: `${file} cannot be read as one flat JSON object of texts, numbers and booleans.`
          })
      ),
      Effect.map((fromFile) => providerOf(environment, fromFile))
    )
  ).pipe(Layer.provide(NodeFileSystem.layer))

/** ECOMMERCE_CONFIG_FILE names another file: another stack's, or none, for tests that must not meet a developer's own. */
export const layer: Layer.Layer<never, StartupError> = Layer.suspend(() => {
  const ownFile = fileURLToPath(new URL("../../../ecommerce.config.json", import.meta.url))
  return layerFrom(process.env, process.env["ECOMMERCE_CONFIG_FILE"] ?? ownFile)
})
