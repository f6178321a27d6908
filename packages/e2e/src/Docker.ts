/**
 * `docker`, as a function of its arguments.
 */
import { Effect, Schema, Stream } from "effect"
import { ChildProcess } from "effect/process"

export class DockerFailed extends Schema.TaggedError<DockerFailed>()("DockerFailed", {
  command: Schema.String,
  exitCode: Schema.Int,
  /** The end of what it printed. */
  said: Schema.String
}) {
  get sentence() {
    return `${this.command} ended with ${this.exitCode}:\n${this.said}`
  }
}

export interface Ended {
  readonly exitCode: number
  readonly stdout: string
  /** Both streams, as they came. */
  readonly printed: string
}

/** Until it ends, whichever way. */
export const run = Effect.fn("Docker.run")(function* (
  args: ReadonlyArray<string>,
  env: Readonly<Record<string, string>> = {}
) {
  const child = yield* ChildProcess.make("docker", args, { env, extendEnv: true, stdin: "ignore" })
  const printed: Array<string> = []
  const take = (stream: typeof child.stdout) =>
    stream.pipe(
      Stream.decodeText(),
      Stream.tap((text) => Effect.sync(() => printed.push(text))),
      Stream.mkString
    )
  const [stdout, , exitCode] = yield* Effect.all([take(child.stdout), take(child.stderr), child.exitCode], {
    concurrency: "unbounded"
  })
  const ended: Ended = { exitCode, stdout: stdout.trim(), printed: printed.join("").trim() }
  return ended
}, Effect.scoped)

/** What it printed, where it went well. */
export const ask = Effect.fnUntraced(function* (
  args: ReadonlyArray<string>,
  env: Readonly<Record<string, string>> = {}
) {
  const { exitCode, printed, stdout } = yield* run(args, env)
  if (exitCode === 0) return stdout
  const command = `docker ${args.filter((arg) => !arg.startsWith("--")).join(" ")}`
  return yield* new DockerFailed({ command, exitCode, said: printed.split("\n").slice(-15).join("\n") })
})

/** Why there is nothing to be had from Docker here; undefined where an engine answers, with compose. */
export const absence = Effect.gen(function* () {
  for (const args of [["version"], ["compose", "version"]]) {
    const { exitCode, printed } = yield* run(args)
    if (exitCode !== 0) return `"docker ${args.join(" ")}" says: ${printed.split("\n").at(-1)}`
  }
  return undefined
}).pipe(Effect.orElseSucceed(() => "there is no program docker."))
