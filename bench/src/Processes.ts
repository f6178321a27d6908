/**
 * What processes have used so far, as Linux tells it under /proc: processor time and memory. Elsewhere nothing is told.
 */
import { Effect, FileSystem, Schedule } from "effect"

/** The kernel counts in hundredths of a second on every platform that this runs on. */
const millisPerTick = 10

interface Use {
  readonly parent: number
  readonly millis: number
  /** Of children that have ended. */
  readonly childrenMillis: number
}

/** The name in parentheses may hold blanks and parentheses of its own. */
export const readStat = (stat: string): Use => {
  const fields = stat
    .slice(stat.lastIndexOf(")") + 2)
    .split(" ")
    .map(Number)
  const [parent = 0, user = 0, system = 0, childrenUser = 0, childrenSystem = 0] = [1, 11, 12, 13, 14].map(
    (place) => fields[place]
  )
  return {
    parent,
    millis: (user + system) * millisPerTick,
    childrenMillis: (childrenUser + childrenSystem) * millisPerTick
  }
}

const useOf = Effect.fnUntraced(function* (pid: number) {
  const fileSystem = yield* FileSystem.FileSystem
  return yield* Effect.option(Effect.map(fileSystem.readFileString(`/proc/${pid}/stat`), readStat))
})

/** Processor time of a process by itself. */
export const cpuMillis = Effect.fn("Processes.cpuMillis")(function* (pid: number) {
  const use = yield* useOf(pid)
  return use._tag === "Some" ? use.value.millis : 0
})

const pids = Effect.gen(function* () {
  const fileSystem = yield* FileSystem.FileSystem
  const names = yield* Effect.orElseSucceed(fileSystem.readDirectory("/proc"), (): Array<string> => [])
  return names.map(Number).filter(Number.isInteger)
})

const childrenOf = Effect.fnUntraced(function* (parent: number) {
  const uses = yield* Effect.forEach(yield* pids, (pid) => Effect.map(useOf(pid), (use) => ({ pid, use })))
  return uses.flatMap(({ pid, use }) =>
    use._tag === "Some" && use.value.parent === parent ? [{ pid, ...use.value }] : []
  )
})

/** Of a process and of all its children, those that have ended included: what a server uses that forks for each client. */
export const familyCpuMillis = Effect.fn("Processes.familyCpuMillis")(function* (parent: number) {
  const own = yield* useOf(parent)
  const children = yield* childrenOf(parent)
  let millis = own._tag === "Some" ? own.value.millis + own.value.childrenMillis : 0
  for (const child of children) millis += child.millis
  return millis
})

/** Memory that the process has for itself, and its share of what it shares with others, in MiB. */
export const memoryMebibytes = Effect.fn("Processes.memoryMebibytes")(function* (pid: number) {
  const fileSystem = yield* FileSystem.FileSystem
  const rollup = yield* Effect.orElseSucceed(fileSystem.readFileString(`/proc/${pid}/smaps_rollup`), () => "")
  return Number(/^Pss:\s+(\d+) kB/m.exec(rollup)?.[1] ?? Number.NaN) / 1024
})

export const familyMemoryMebibytes = Effect.fn("Processes.familyMemoryMebibytes")(function* (parent: number) {
  const family = [parent, ...(yield* childrenOf(parent)).map(({ pid }) => pid)]
  const parts = yield* Effect.forEach(family, memoryMebibytes)
  let sum = 0
  for (const part of parts) if (Number.isFinite(part)) sum += part
  return sum
})

/** Until none of them uses the processor any more, or for a while. */
export const untilQuiet = (cpu: Effect.Effect<number, never, FileSystem.FileSystem>) =>
  Effect.gen(function* () {
    const before = yield* cpu
    yield* Effect.sleep("500 millis")
    return (yield* cpu) - before < 100
  }).pipe(Effect.repeat({ until: (isQuiet) => isQuiet, schedule: Schedule.recurs(20) }), Effect.asVoid)
