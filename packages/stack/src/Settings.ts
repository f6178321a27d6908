/**
 * The settings of `npm start` and of `npm run migrate`, besides those that every program has.
 */
import * as Settings from "@ecommerce/chassis/Settings"
import { Config, ConfigProvider, Effect, Option, Redacted } from "effect"

export const dataDirectory = Settings.text(
  "DATA_DIRECTORY",
  ".data",
  "Where npm start keeps the embedded database and its secrets; a relative path starts at the repository's root."
)

export const postgresPort = Settings.port("POSTGRES_PORT", 15_432, "The port of the embedded PostgreSQL.")

export const maxDeaths = Settings.count(
  "SUPERVISOR_MAX_DEATHS",
  6,
  "So many deaths of one service within SUPERVISOR_WINDOW stop the whole stack."
)

export const deathWindow = Settings.duration(
  "SUPERVISOR_WINDOW",
  "60 seconds",
  "The time in which the supervisor counts the deaths of a service."
)

export const startTimeout = Settings.duration(
  "SERVICE_START_TIMEOUT",
  "60 seconds",
  "How long a service may take to become ready when npm start starts it."
)

/** A setting that is looked at only where it is set. */
export const whereSet = <A>(setting: Settings.Setting<A>) =>
  Effect.gen(function* () {
    const provider = yield* ConfigProvider.ConfigProvider
    const found = yield* Effect.orElseSucceed(provider.load([setting.key]), () => undefined)
    return found === undefined ? Option.none<A>() : Option.some(yield* setting.read)
  })

export const databasePassword = (service: string) =>
  Settings.setting({
    key: Settings.keyOf(service, "DATABASE_PASSWORD"),
    about: `The password that npm run migrate gives to the database role of ${service}; left as it is where not set.`,
    expected: "text",
    config: (key) => Config.NonEmptyString(key).pipe(Config.map((password) => Redacted.make(password)))
  })
