/**
 * The secrets of a local stack: made once, kept in the data folder, readable by their owner only.
 *
 * The passwords of the database roles are derived from one secret, so that a service that joins later has its own
 * without a change of the file.
 */
import { createHmac, randomBytes } from "node:crypto"

import { StartupError } from "@ecommerce/chassis/StartupError"
import { Effect, FileSystem, Path, Redacted, Schema } from "effect"

import * as Repository from "./Repository.ts"

export interface Credentials {
  readonly serviceToken: Redacted.Redacted<string>
  /** Of the database's superuser, and of each service's role. */
  readonly superuserPassword: Redacted.Redacted<string>
  readonly passwordOf: (service: string) => Redacted.Redacted<string>
}

const Stored = Schema.fromJsonString(Schema.Struct({ serviceToken: Schema.String, databaseSecret: Schema.String }))

/** Reads the file in this directory, or makes it. */
export const load = Effect.fn("Credentials.load")(function* (directory: string) {
  const fileSystem = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const file = path.join(directory, "credentials.json")
  yield* Repository.makeFolder(directory)
  const unusable = () =>
    new StartupError({
      message: `${file} cannot be read or written: make the folder writable, or choose another with DATA_DIRECTORY.`
    })

  if (!(yield* Effect.mapError(fileSystem.exists(file), unusable))) {
    const made = yield* Effect.orDie(
      Schema.encodeEffect(Stored)({ serviceToken: makeSecret(), databaseSecret: makeSecret() })
    )
    // Under another name first: a start that is cut short must not leave half a file.
    const draft = `${file}.${process.pid}`
    yield* fileSystem
      .writeFileString(draft, made, { mode: 0o600 })
      .pipe(Effect.andThen(fileSystem.rename(draft, file)), Effect.mapError(unusable))
  }
  const stored = yield* fileSystem
    .readFileString(file)
    .pipe(Effect.flatMap(Schema.decodeEffect(Stored)), Effect.mapError(unusable))
  return derive(stored)
})

/** Secrets that live as long as this process, for tests. */
export const ephemeral = Effect.sync(() => derive({ serviceToken: makeSecret(), databaseSecret: makeSecret() }))

const derive = (stored: typeof Stored.Type): Credentials => {
  const derived = (name: string) =>
    Redacted.make(createHmac("sha256", stored.databaseSecret).update(name).digest("base64url"))
  return {
    serviceToken: Redacted.make(stored.serviceToken),
    superuserPassword: derived("superuser"),
    passwordOf: (service) => derived(`service ${service}`)
  }
}

const makeSecret = () => randomBytes(24).toString("base64url")
