/**
 * Runs a command under a small shell that ends it when we are gone, even when we were killed with -9.
 *
 * The shell's standard input is a pipe that only we hold. A watcher inside it reads the pipe: each line is the name of
 * a signal for the command, and the end of the pipe means that we want the command to stop, or that we are dead. Both
 * take the same road: SIGINT (PostgreSQL's fast shutdown), then SIGQUIT (immediate), then SIGKILL.
 */
import { fileURLToPath } from "node:url"

import { Deferred, Effect, Queue, Schema, Stream } from "effect"
import type { Cause } from "effect"
import { ChildProcess } from "effect/process"

import { spawnLogged } from "../Supervisor/LoggedProcess.ts"

/** `end` and `lastLines` speak of the command, whose exit code the shell passes on; `pid` is the command's own. */
export interface Guarded {
  readonly pid: number
  readonly end: Effect.Effect<string>
  readonly lastLines: Effect.Effect<ReadonlyArray<string>>
  readonly signal: (name: "INT" | "QUIT") => Effect.Effect<void>
}

/** A file rather than an argument, so that a list of processes stays readable. */
const script = fileURLToPath(new URL("./guard.sh", import.meta.url))

/** A little more than the watcher needs for all its three signals. */
const stopTimeout = "9 seconds"

const decodePid = Schema.decodeEffect(Schema.NumberFromString)

export const spawnGuarded = Effect.fn("Guard.spawnGuarded")(function* (
  command: ReadonlyArray<string>,
  onLine: (line: string) => Effect.Effect<void>
) {
  const signals = yield* Queue.unbounded<string, Cause.Done>()
  const pid = yield* Deferred.make<number>()
  // The guard's first line is the command's process id; all else comes from the command (initdb is talkative).
  const onOutput = (line: string) =>
    Deferred.isDoneUnsafe(pid)
      ? onLine(line)
      : decodePid(line).pipe(
          Effect.flatMap((decoded) => Deferred.succeed(pid, decoded)),
          Effect.ignore
        )
  const guard = yield* spawnLogged({
    command: ChildProcess.make("sh", [script, ...command], {
      // Not ours: the command's account may be unable to enter it, and initdb asks for its name.
      cwd: "/",
      extendEnv: true,
      // The server reads these from its environment; whoever set them meant a client.
      env: { LC_ALL: "C", PGDATA: undefined, PGPORT: undefined, PGDATESTYLE: undefined, PGCLIENTENCODING: undefined },
      detached: true,
      stdin: Stream.fromQueue(signals).pipe(
        Stream.map((signal) => `${signal}\n`),
        Stream.encodeText
      ),
      // For what the guard leaves behind when somebody kills it: its group still holds the command.
      killSignal: "SIGINT",
      forceKillAfter: "5 seconds"
    }),
    onLines: (lines) => Effect.forEach(lines, onLine, { discard: true }),
    onOutput: (lines) => Effect.forEach(lines, onOutput, { discard: true })
  })
  yield* Effect.addFinalizer(() =>
    Queue.end(signals).pipe(Effect.andThen(guard.end), Effect.timeoutOption(stopTimeout))
  )
  const guarded: Guarded = {
    // The guard's own, should it end before it could say more: there is no process to speak of then.
    pid: yield* Effect.raceFirst(Deferred.await(pid), Effect.as(guard.end, guard.pid)),
    end: guard.end,
    lastLines: guard.lastLines,
    signal: (name) => Effect.asVoid(Queue.offer(signals, name))
  }
  return guarded
})

/**
 * The sentence in PostgreSQL's last words: the last line that tells of an error, without time and process id,
 * else the last line there is.
 */
export const lastComplaint = (lines: ReadonlyArray<string>): string => {
  const complaint = lines.findLast((line) => /(FATAL|PANIC|ERROR|error):/.test(line)) ?? lines.at(-1)
  return complaint?.replace(/^.*?(FATAL|PANIC|ERROR|error):\s*/, "") ?? "it said nothing"
}
