/**
 * The account that PostgreSQL runs as.
 *
 * PostgreSQL refuses to run as root, and root is who many containers and machines for continuous integration run as.
 * Then it runs as the owner of its data directory, else as `postgres`, else as `nobody`. An ordinary user runs it
 * directly.
 */
import { StartupError } from "@ecommerce/chassis/StartupError"
import { Effect, FileSystem, Option, Path } from "effect"
import type { PlatformError } from "effect"
import { ChildProcess, ChildProcessSpawner } from "effect/process"

interface Identity {
  readonly uid: number
  readonly gid: number
}

export interface Account {
  /** Makes a file or directory of ours the account's. */
  readonly own: (file: string) => Effect.Effect<void, PlatformError.PlatformError>
  /** The command that runs `command` as the account, which may need the files given. */
  readonly run: (
    command: ReadonlyArray<string>,
    files: ReadonlyArray<string>
  ) => Effect.Effect<ReadonlyArray<string>, PlatformError.PlatformError>
}

const waysOut = "run this as an ordinary user, or set DATABASE_URL to a PostgreSQL of your own"

/** `dataDirectory` is absent as long as nothing is in it: whose it is says nothing then. */
export const chooseAccount = Effect.fn("Account.chooseAccount")(function* (dataDirectory: Option.Option<string>) {
  const fs = yield* FileSystem.FileSystem
  const ourUid = process.getuid?.()
  const owner = Option.isSome(dataDirectory) ? yield* ownerOf(dataDirectory.value) : undefined

  if (ourUid !== 0) {
    if (owner !== undefined && owner.uid !== ourUid) {
      return yield* new StartupError({
        message: `The data directory ${Option.getOrElse(dataDirectory, () => "")} belongs to another account (uid ${owner.uid}): run this as that account, or choose another data directory.`
      })
    }
    const ourselves: Account = { own: () => Effect.void, run: (command) => Effect.succeed(command) }
    return ourselves
  }

  if (owner?.uid === 0) {
    return yield* new StartupError({
      message: `The data directory ${Option.getOrElse(dataDirectory, () => "")} belongs to root, and PostgreSQL does not run as root: give it to another account with chown -R.`
    })
  }
  const identity = owner ?? (yield* findIdentity("postgres")) ?? (yield* findIdentity("nobody"))
  if (identity === undefined) {
    return yield* new StartupError({
      message: `PostgreSQL does not run as root, and this machine has neither an account postgres nor nobody: ${waysOut}.`
    })
  }
  yield* requireSetpriv
  const account: Account = {
    own: (file) => fs.chown(file, identity.uid, identity.gid),
    run: Effect.fnUntraced(
      function* (command, files) {
        const reachable = yield* Effect.forEach(files, (file) => canReach(identity, file))
        return [...setpriv(identity, reachable.every(Boolean) ? undefined : yield* passingRight), ...command]
      },
      Effect.provideContext(yield* Effect.context<FileSystem.FileSystem | Path.Path>())
    )
  }
  return account
})

/**
 * A clone that root made often lies where no other account may enter (/root, or a directory of mktemp). The account
 * keeps root's right to pass by then, as an ambient capability: it may enter directories and still is not root. The
 * secure bit is for access(2), by which PostgreSQL checks its binaries and which sets capabilities aside without it.
 */
const setpriv = (identity: Identity, right: string | undefined): ReadonlyArray<string> => [
  "setpriv",
  `--reuid=${identity.uid}`,
  `--regid=${identity.gid}`,
  "--clear-groups",
  ...(right === undefined ? [] : [`--inh-caps=+${right}`, `--ambient-caps=+${right}`, "--securebits=+no_setuid_fixup"])
]

/** To read and to enter is enough; containers often have only the stronger right, to write anywhere too. */
const passingRight = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const status = yield* Effect.orElseSucceed(fs.readFileString("/proc/self/status"), () => "")
  const permitted = BigInt(`0x${/^CapPrm:\s*([0-9a-f]+)$/mu.exec(status)?.[1] ?? "0"}`)
  const dacReadSearch = 2n
  return (permitted >> dacReadSearch) & 1n ? "dac_read_search" : "dac_override"
})

const requireSetpriv = Effect.gen(function* () {
  const spawner = yield* ChildProcessSpawner.ChildProcessSpawner
  const help = yield* spawner.string(ChildProcess.make("setpriv", ["--help"], { extendEnv: true })).pipe(Effect.option)
  // BusyBox has a setpriv that cannot change the account.
  if (!Option.exists(help, (text) => text.includes("--reuid"))) {
    return yield* new StartupError({
      message: `PostgreSQL does not run as root, and this machine has no setpriv (from util-linux) to run it as another account: ${waysOut}.`
    })
  }
})

const ownerOf = Effect.fnUntraced(function* (file: string) {
  const fs = yield* FileSystem.FileSystem
  const info = yield* fs.stat(file)
  return Option.getOrUndefined(Option.all({ uid: info.uid, gid: info.gid }))
})

const findIdentity = Effect.fnUntraced(function* (name: string) {
  const spawner = yield* ChildProcessSpawner.ChildProcessSpawner
  const ask = (what: "-u" | "-g") =>
    spawner.string(ChildProcess.make("id", [what, name], { extendEnv: true, stderr: "ignore" })).pipe(
      Effect.map((answer) => Number.parseInt(answer, 10)),
      Effect.orElseSucceed(() => Number.NaN)
    )
  const identity: Identity = { uid: yield* ask("-u"), gid: yield* ask("-g") }
  return Number.isNaN(identity.uid) || Number.isNaN(identity.gid) ? undefined : identity
})

/** Whether the account may read and execute the file, and enter every directory above it. */
const canReach = Effect.fnUntraced(function* (identity: Identity, file: string) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const mayDo = Effect.fnUntraced(function* (wanted: number, place: string) {
    const info = yield* fs.stat(place)
    const isOwner = Option.contains(info.uid, identity.uid)
    const isOfGroup = Option.contains(info.gid, identity.gid)
    const granted = isOwner ? info.mode >> 6 : isOfGroup ? info.mode >> 3 : info.mode
    return (granted & wanted) === wanted
  })
  if (!(yield* mayDo(0o5, file))) return false
  for (let place = path.dirname(file); ; place = path.dirname(place)) {
    if (!(yield* mayDo(0o1, place))) return false
    if (place === path.dirname(place)) return true
  }
})
