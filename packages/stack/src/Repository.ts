/**
 * Where things are in the checkout, and where a running stack puts its own.
 */
import { StartupError } from "@ecommerce/chassis/StartupError"
import { Effect, FileSystem, Path } from "effect"

export const root = Effect.gen(function* () {
  const path = yield* Path.Path
  return path.resolve(path.dirname(yield* path.fromFileUrl(new URL(import.meta.url))), "../../..")
}).pipe(Effect.orDie)

/** A folder of the running stack, made where it is missing. Others may pass through it: PostgreSQL runs as another account. */
export const makeFolder = Effect.fn("Repository.makeFolder")(function* (directory: string) {
  const fileSystem = yield* FileSystem.FileSystem
  yield* Effect.mapError(
    fileSystem.makeDirectory(directory, { recursive: true, mode: 0o711 }),
    () => new StartupError({ message: `The folder ${directory} cannot be made: choose another with DATA_DIRECTORY.` })
  )
})
