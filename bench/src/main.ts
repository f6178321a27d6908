/**
 * `npm run bench`: how fast it is, in one table.
 */
import { cpus, totalmem } from "node:os"

import * as Program from "@ecommerce/chassis/Program"
import { StartupError } from "@ecommerce/chassis/StartupError"
import * as CommandLine from "@ecommerce/stack/CommandLine"
import * as Repository from "@ecommerce/stack/Repository"
import { Console, DateTime, Effect, FileSystem, Option, Path, Schema } from "effect"
import { Command, Flag } from "effect/cli"
import { ChildProcess, ChildProcessSpawner } from "effect/process"

import * as Bench from "./Bench.ts"
import { File, type Results } from "./Figures.ts"
import * as Goals from "./Goals.ts"
import * as Report from "./Report.ts"

const flags = {
  json: Flag.Boolean("json").pipe(Flag.withDescription("As JSON, for programs"), Flag.withDefault(false)),
  quick: Flag.Boolean("quick").pipe(
    Flag.withDescription("One short run of each: a look of two minutes"),
    Flag.withDefault(false)
  ),
  peers: Flag.Boolean("peers").pipe(
    Flag.withDescription("Beside others that do the same work; installs them where they are missing"),
    Flag.withDefault(false)
  ),
  growth: Flag.Boolean("growth").pipe(
    Flag.withDescription("With up to a million orders in the tables, several orchestrators, a backlog"),
    Flag.withDefault(false)
  ),
  only: Flag.String("only").pipe(
    Flag.withDescription("Some parts alone, by their names, separated by commas: stack,limit"),
    Flag.optional
  ),
  runs: Flag.Int("runs").pipe(Flag.withDescription("How often each is run: 3 unless told"), Flag.optional),
  compare: Flag.File("compare").pipe(
    Flag.withDescription("What has changed since another bench, by the file that its --json made"),
    Flag.optional
  ),
  profiles: Flag.String("profiles").pipe(
    Flag.withDescription("A folder for profiles of the processor time of each process"),
    Flag.optional
  )
}

const commitOf = Effect.gen(function* () {
  const spawner = yield* ChildProcessSpawner.ChildProcessSpawner
  const git = ChildProcess.make("git", ["describe", "--always", "--dirty"], { cwd: yield* Repository.root })
  return (yield* spawner.string(git)).trim()
}).pipe(Effect.orElseSucceed(() => "unknown"))

const machine = (): Results["machine"] => ({
  processors: `${cpus().length} × ${cpus()[0]?.model ?? "unknown"}`,
  memory: `${Math.round(totalmem() / 2 ** 30)} GiB`,
  platform: `${process.platform} ${process.arch}`,
  node: `Node ${process.versions.node}`
})

const readResults = Effect.fnUntraced(function* (file: string) {
  const fileSystem = yield* FileSystem.FileSystem
  return yield* fileSystem.readFileString(file).pipe(
    Effect.flatMap(Schema.decodeEffect(File)),
    Effect.mapError(() => new StartupError({ message: `${file} holds no results of a bench: make it with --json.` }))
  )
})

const bench = Effect.fn("bench")(function* (options: {
  readonly json: boolean
  readonly quick: boolean
  readonly peers: boolean
  readonly growth: boolean
  readonly only: Option.Option<string>
  readonly runs: Option.Option<number>
  readonly compare: Option.Option<string>
  readonly profiles: Option.Option<string>
}) {
  const path = yield* Path.Path
  const before = yield* Effect.transposeOption(Option.map(options.compare, readResults))
  // As it is now: somebody may work on it while this runs.
  const commit = yield* commitOf
  const { discarded, figures } = yield* Bench.run({
    ...options,
    only: Option.map(options.only, (names) => names.split(",")),
    runs: Option.getOrElse(options.runs, () => (options.quick ? 1 : 3)),
    profiles: Option.map(options.profiles, (directory) => path.resolve(directory)),
    // Whoever reads JSON reads standard output.
    progress: Console.error
  })
  const results: Results = {
    at: DateTime.formatIso(yield* DateTime.now),
    commit,
    machine: machine(),
    isQuick: options.quick,
    figures,
    ratios: Goals.judge(figures),
    discarded
  }
  yield* Console.log(options.json ? yield* Effect.orDie(Schema.encodeEffect(File)(results)) : Report.render(results))
  if (Option.isSome(before))
    yield* (options.json ? Console.error : Console.log)(`\n${Report.compare(before.value, results)}`)
  if (discarded.length > 0) return yield* new Program.AlreadyTold()
})

const command = Command.make("npm run bench --", flags, bench).pipe(
  Command.withDescription("How fast it is: takes orders, brings them to their end, and counts what that costs.")
)

CommandLine.run(command)
