/**
 * A child process in a process group of its own, read until it is gone: the lines that come together are told together,
 * because a busy service writes thousands a second.
 *
 * Its own group keeps the terminal's Ctrl-C away from it, so that whoever started it decides in which order things
 * stop. Reading goes on while it is being stopped: what a process says on its way out is often the useful part.
 */
import { constants } from "node:os"

import { type Array as Arr, Effect, Exit, Fiber, Ref, Scope, Stream } from "effect"
import type { PlatformError } from "effect"
import { type ChildProcess, ChildProcessSpawner } from "effect/process"

export type Lines = Arr.NonEmptyReadonlyArray<string>

export interface LoggedProcess {
  readonly pid: number
  /** Succeeds when the process has ended, with "exit code 1" or "signal SIGKILL". */
  /** Undefined when a signal ended it. */
  readonly exitCode: Effect.Effect<number | undefined>
  readonly end: Effect.Effect<string>
  /** The last lines it wrote; waits a moment for those still on their way when the process has ended. */
  readonly lastLines: Effect.Effect<ReadonlyArray<string>>
}

const keptLines = 15

/**
 * Bounded, because grandchildren that outlive the process hold the pipe open: a backend of a killed PostgreSQL does,
 * for as long as its query runs.
 */
const drainTimeout = "300 millis"

/** The command's own kill options say how it is stopped when the scope closes; standard output goes to `onOutput`. */
export const spawnLogged = Effect.fnUntraced(function* (options: {
  readonly command: ChildProcess.StandardCommand
  readonly onLines: (lines: Lines) => Effect.Effect<void>
  readonly onOutput?: (lines: Lines) => Effect.Effect<void>
}) {
  const spawner = yield* ChildProcessSpawner.ChildProcessSpawner
  const tail = yield* Ref.make<ReadonlyArray<string>>([])
  const keep = (lines: Lines) => Ref.update(tail, (kept) => [...kept, ...lines].slice(-keptLines))
  const onLines = (lines: Lines) => Effect.andThen(keep(lines), options.onLines(lines))

  const { handle, reader } = yield* Effect.acquireRelease(
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const handle = yield* spawner.spawn(options.command).pipe(Scope.provide(scope))
      // Detached and interrupted by hand: a scoped fiber would stop reading before the process is stopped.
      const reader = yield* Effect.all(
        [readLines(handle.stdout, options.onOutput ?? onLines), readLines(handle.stderr, onLines)],
        { concurrency: 2, discard: true }
      ).pipe(Effect.forkDetach)
      return { handle, reader, scope }
    }),
    ({ reader, scope }) =>
      Scope.close(scope, Exit.void).pipe(
        Effect.andThen(Effect.timeoutOption(Fiber.await(reader), drainTimeout)),
        Effect.andThen(Fiber.interrupt(reader))
      )
  )

  const lastLines = Fiber.await(reader).pipe(Effect.timeoutOption(drainTimeout), Effect.andThen(Ref.get(tail)))
  const exitCode = Effect.orElseSucceed(handle.exitCode, () => undefined)
  const logged: LoggedProcess = { pid: handle.pid, end: describeEnd(handle.exitCode), exitCode, lastLines }
  return logged
})

const readLines = (
  output: Stream.Stream<Uint8Array, PlatformError.PlatformError>,
  onLines: (lines: Lines) => Effect.Effect<void>
) => output.pipe(Stream.decodeText(), Stream.splitLines, Stream.runForEachArray(onLines), Effect.ignore)

const describeEnd = (exitCode: Effect.Effect<number, PlatformError.PlatformError>): Effect.Effect<string> =>
  exitCode.pipe(
    Effect.map((code) => {
      // A shell passes on the signal that ended its child as 128 plus the signal's number.
      const signal = Object.entries(constants.signals).find(([, number]) => code === 128 + number)
      return signal === undefined ? `exit code ${code}` : `signal ${signal[0]}`
    }),
    // Effect's handle reports a signal as a failure that names it in its text only.
    Effect.catch((error) => Effect.succeed(`signal ${/SIG[A-Z0-9]+/.exec(String(error.cause))?.[0] ?? error.message}`))
  )
