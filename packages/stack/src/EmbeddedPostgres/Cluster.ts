/**
 * The directory with the databases: makes it, and refuses one that this PostgreSQL cannot or must not run on.
 */
import { StartupError } from "@ecommerce/chassis/StartupError"
import { Effect, FileSystem, Option, Path, Redacted, Schedule } from "effect"

import { chooseAccount } from "./Account.ts"
import type { Account } from "./Account.ts"
import type { Binaries } from "./Binaries.ts"
import { lastComplaint, spawnGuarded } from "./Guard.ts"
import { isRunning, isServerOf, isTaken } from "./ProcessTable.ts"

export interface ClusterOptions {
  readonly dataDirectory: string
  readonly password: Redacted.Redacted
  readonly durable: boolean
}

export interface Cluster {
  /** Absolute and without links. */
  readonly directory: string
  readonly account: Account
}

/** How long the guard of a killed stack may take to stop its server: its two polite signals, and a little. */
const leftoverGrace = "8 seconds"

export const prepareCluster = Effect.fn("Cluster.prepareCluster")(
  function* (options: ClusterOptions, binaries: Binaries) {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const wanted = path.resolve(options.dataDirectory)
    yield* fs.makeDirectory(path.dirname(wanted), { recursive: true })
    const directory = (yield* fs.exists(wanted))
      ? yield* fs.realPath(wanted)
      : path.join(yield* fs.realPath(path.dirname(wanted)), path.basename(wanted))

    // Tidiness only. It fails while the initdb of a stack killed a moment ago still writes; the next start has it then.
    yield* Effect.ignore(sweepWorkshops(directory))
    const isNew = !(yield* fs.exists(directory)) || (yield* fs.readDirectory(directory)).length === 0
    const account = yield* chooseAccount(isNew ? Option.none() : Option.some(directory))
    if (isNew) {
      yield* initialize({ ...options, directory, account, binaries })
    } else {
      yield* checkVersion(directory, binaries)
      yield* fs.access(directory, { writable: true })
    }
    yield* awaitLeftover(directory)
    const cluster: Cluster = { directory, account }
    return cluster
  },
  (effect, options) =>
    Effect.catchTag(effect, "PlatformError", (error) =>
      Effect.fail(
        new StartupError({
          message: `PostgreSQL cannot use the data directory ${options.dataDirectory}: ${error.message}`
        })
      )
    )
)

const checkVersion = Effect.fnUntraced(function* (directory: string, binaries: Binaries) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const versionFile = path.join(directory, "PG_VERSION")
  if (!(yield* fs.exists(versionFile))) {
    return yield* new StartupError({
      message: `The data directory ${directory} is not empty and not PostgreSQL's: choose another one.`
    })
  }
  const version = (yield* fs.readFileString(versionFile)).trim()
  if (version !== binaries.majorVersion) {
    return yield* new StartupError({
      message: `The data directory ${directory} was made by PostgreSQL ${version}, and this is PostgreSQL ${binaries.majorVersion}: move it away, or choose another one.`
    })
  }
})

/**
 * Made beside its place and moved there when it is complete: whatever stands in the data directory is whole, however
 * abruptly an earlier initdb ended.
 */
const initialize = Effect.fn("Cluster.initialize")(function* (
  options: ClusterOptions & { readonly directory: string; readonly account: Account; readonly binaries: Binaries }
) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const { account, binaries, directory } = options
  const workshop = yield* openWorkshop(directory)
  const unfinished = path.join(workshop, "cluster")
  const passwordFile = path.join(workshop, "password")
  yield* fs.makeDirectory(unfinished, { mode: 0o700 })
  yield* fs.writeFileString(passwordFile, `${Redacted.value(options.password)}\n`, { mode: 0o600 })
  yield* Effect.forEach([workshop, unfinished, passwordFile], account.own)

  const command = [
    binaries.initdb,
    `--pgdata=${unfinished}`,
    "--username=postgres",
    `--pwfile=${passwordFile}`,
    "--auth=scram-sha-256",
    "--encoding=UTF8",
    // Not ICU and not the system's: sorts alike on every machine.
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    "--locale=C",
    ...(options.durable ? [] : ["--no-sync"])
  ]
  // Its output is for people who run it by hand. When it fails, the error below says what it said.
  const quiet = () => Effect.void
  const initdb = yield* spawnGuarded(yield* account.run(command, [binaries.initdb, unfinished]), quiet)
  const end = yield* initdb.end
  if (end !== "exit code 0") {
    return yield* new StartupError({
      message: `PostgreSQL could not make its data directory ${directory}: ${lastComplaint(yield* initdb.lastLines)} (${end})`
    })
  }
  yield* fs.rename(unfinished, directory).pipe(
    // Two stacks that start at once both make one; the first to move it wins, and both may go on with that.
    Effect.catch((error) =>
      Effect.flatMap(fs.exists(path.join(directory, "PG_VERSION")), (isThere) =>
        isThere ? Effect.void : Effect.fail(error)
      )
    )
  )
}, Effect.scoped)

/** Where this process makes the cluster: beside the data directory, and gone again afterwards. */
const openWorkshop = Effect.fnUntraced(function* (directory: string) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const workshop = path.join(path.dirname(directory), `${workshopPrefix(path, directory)}${process.pid}`)
  yield* Effect.acquireRelease(fs.makeDirectory(workshop, { mode: 0o700 }), () =>
    Effect.ignore(fs.remove(workshop, { recursive: true }))
  )
  return workshop
})

/** Those of processes that were killed stay behind. Our own number counts too: a container has the same each time. */
const sweepWorkshops = Effect.fnUntraced(function* (directory: string) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const parent = path.dirname(directory)
  const prefix = workshopPrefix(path, directory)
  for (const name of yield* fs.readDirectory(parent)) {
    if (!name.startsWith(prefix)) continue
    const pid = Number.parseInt(name.slice(prefix.length), 10)
    if (pid === process.pid || !(yield* isRunning(pid))) yield* fs.remove(path.join(parent, name), { recursive: true })
  }
})

const workshopPrefix = (path: Path.Path, directory: string) => `.${path.basename(directory)}.initdb-`

/** The server of a stack that was killed a moment ago is still shutting down: wait for it. */
const awaitLeftover = Effect.fn("Cluster.awaitLeftover")(function* (directory: string) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const pidFile = path.join(directory, "postmaster.pid")
  const recordedPid = fs.readFileString(pidFile).pipe(
    Effect.map((text) => Number.parseInt(text, 10)),
    Effect.option
  )
  const leftover = Effect.gen(function* () {
    const pid = yield* recordedPid
    return Option.isSome(pid) && (yield* isServerOf(directory, pid.value)) ? pid : Option.none()
  })
  const last = yield* leftover.pipe(
    Effect.repeat({ until: Option.isNone, schedule: Schedule.spaced("100 millis") }),
    Effect.timeoutOption(leftoverGrace)
  )
  if (Option.isNone(last)) {
    const pid = Option.getOrElse(yield* recordedPid, () => Number.NaN)
    return yield* new StartupError({
      message: `The data directory ${directory} is in use by another running stack (pid ${pid}): stop that one first.`
    })
  }
  // PostgreSQL overlooks a stale file, except when its number belongs to some other process by now.
  const stalePid = yield* recordedPid
  if (Option.isSome(stalePid) && isTaken(stalePid.value)) yield* fs.remove(pidFile, { force: true })
})
