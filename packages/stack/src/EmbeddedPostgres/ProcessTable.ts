/**
 * What a process id that was written down long ago stands for today: perhaps nothing, perhaps somebody else.
 *
 * A container may not collect its dead, so a process that was killed can keep its number as a zombie for as long as
 * the container lives. It is not running then, but its number is taken.
 */
import { Effect, FileSystem, Option } from "effect"
import { ChildProcess, ChildProcessSpawner } from "effect/process"

/** Whether any process, be it another account's or a zombie, has this number. */
export const isTaken = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPERM"
  }
}

export const isRunning = Effect.fnUntraced(function* (pid: number) {
  if (!isTaken(pid)) return false
  const fs = yield* FileSystem.FileSystem
  // Absent where there is no /proc: zombies count as running there.
  const status = yield* Effect.option(fs.readFileString(`/proc/${pid}/status`))
  return !Option.exists(status, (text) => /^State:\s+Z/m.test(text))
})

/** A server has its data directory as working directory. Where /proc does not tell, its command line names it. */
export const isServerOf = Effect.fnUntraced(function* (dataDirectory: string, pid: number) {
  if (!isTaken(pid)) return false
  const fs = yield* FileSystem.FileSystem
  if (yield* fs.exists("/proc/self/cwd")) {
    const workingDirectory = yield* Effect.option(fs.readLink(`/proc/${pid}/cwd`))
    return Option.contains(workingDirectory, dataDirectory)
  }
  const spawner = yield* ChildProcessSpawner.ChildProcessSpawner
  const commandLine = yield* Effect.option(
    spawner.string(ChildProcess.make("ps", ["-o", "command=", "-p", String(pid)], { extendEnv: true }))
  )
  return Option.exists(commandLine, (text) => text.includes(dataDirectory))
})
