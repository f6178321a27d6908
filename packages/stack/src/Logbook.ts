/**
 * Where the lines go that services and PostgreSQL write: each to a file of its own, and, once the stack is up, those of
 * the services to the terminal too.
 */
import { Console, Context, Effect, FileSystem, Layer, Path, Ref, Scope, SynchronizedRef } from "effect"

import * as Repository from "./Repository.ts"

export class Logbook extends Context.Service<
  Logbook,
  {
    readonly directory: string
    readonly write: (name: string, lines: ReadonlyArray<string>) => Effect.Effect<void>
    /** From now on the lines of services are shown on the terminal. */
    readonly show: Effect.Effect<void>
  }
>()("@ecommerce/stack/Logbook") {
  /** Begins new files in this directory, so that they tell of the present run alone. */
  static readonly layer = (directory: string) =>
    Layer.effect(
      Logbook,
      Effect.gen(function* () {
        const fileSystem = yield* FileSystem.FileSystem
        const path = yield* Path.Path
        const scope = yield* Effect.scope
        yield* Repository.makeFolder(directory)
        const files = yield* SynchronizedRef.make<ReadonlyMap<string, FileSystem.File>>(new Map())
        const isShown = yield* Ref.make(false)

        const fileOf = (name: string) =>
          SynchronizedRef.modifyEffect(files, (open) =>
            Effect.gen(function* () {
              const known = open.get(name)
              if (known !== undefined) return [known, open] as const
              const file = yield* fileSystem.open(path.join(directory, `${name}.log`), { flag: "w", mode: 0o600 })
              return [file, new Map(open).set(name, file)] as const
            })
          ).pipe(Effect.provideService(Scope.Scope, scope))

        // A full disk must not take the stack down: lines that cannot be written are lost.
        const write = (name: string, lines: ReadonlyArray<string>) =>
          Effect.gen(function* () {
            const file = yield* fileOf(name)
            yield* file.writeAll(new TextEncoder().encode(lines.map((line) => `${line}\n`).join("")))
            if (name === "postgres" || !(yield* Ref.get(isShown))) return
            yield* Console.log(lines.map((line) => `${name} | ${line}`).join("\n"))
          }).pipe(Effect.ignore)

        return Logbook.of({ directory, write, show: Ref.set(isShown, true) })
      })
    )
}
