/**
 * docker-compose.yml as a project of its own, with secrets and ports of its own, so that it stands beside whatever else runs
 * here. Nothing of it is left when the scope closes.
 */
import { fileURLToPath } from "node:url"

import { keyOf } from "@ecommerce/chassis/Settings"
import { orchestrator } from "@ecommerce/contracts/Orchestrator"
import { claimPort } from "@ecommerce/stack/Port"
import * as Repository from "@ecommerce/stack/Repository"
import { topology } from "@ecommerce/stack/topology"
import { Effect, FileSystem, Path, Schedule, Schema } from "effect"
import { ChildProcess, ChildProcessSpawner } from "effect/process"

import * as Docker from "./Docker.ts"

export type ComposeProject = Effect.Success<typeof open>

export const services: ReadonlyArray<string> = topology.map(({ name }) => name)

/** All that is there to stay; the migrations come to their end. */
export const lasting: ReadonlyArray<string> = ["postgres", ...services, "observability"]

const name = "ecommerce-e2e"

/** What docker-compose.yml lets one choose. */
const portKeys = [
  ...services.filter((service) => service !== orchestrator.name).map((service) => keyOf(service, "PORT")),
  "POSTGRES_PORT",
  "GRAFANA_PORT",
  "OTLP_GRPC_PORT",
  "OTLP_HTTP_PORT"
]

const State = Schema.fromJsonString(
  Schema.Struct({
    restarts: Schema.Int,
    health: Schema.String,
    exitCode: Schema.Int
  })
)
const stateFormat =
  '{"restarts":{{.RestartCount}},"health":"{{if .State.Health}}{{.State.Health.Status}}{{end}}","exitCode":{{.State.ExitCode}}}'

export const open = Effect.gen(function* () {
  const path = yield* Path.Path
  const fileSystem = yield* FileSystem.FileSystem
  const spawner = yield* ChildProcessSpawner.ChildProcessSpawner
  const root = yield* Repository.root

  const folder = yield* fileSystem.makeTempDirectoryScoped({ prefix: "ecommerce-e2e-" })
  const secrets = path.join(folder, ".env")
  yield* spawner.string(ChildProcess.make(process.execPath, [path.join(root, "packages", "stack", "env.mjs"), secrets]))
  const ports = Object.fromEntries(
    yield* Effect.forEach(portKeys, (key) =>
      Effect.map(claimPort(0, "127.0.0.1"), (port) => [key, String(port)] as const)
    )
  )

  const files = [path.join(root, "docker-compose.yml"), fileURLToPath(new URL("../compose.yaml", import.meta.url))]
  const wordsWith = (envFile: string) => [
    "compose",
    `--project-name=${name}`,
    `--env-file=${envFile}`,
    ...files.map((file) => `--file=${file}`)
  ]
  const words = wordsWith(secrets)
  const compose = (...args: ReadonlyArray<string>) => Docker.ask([...words, ...args], ports)

  const empty = compose("--profile=operations", "down", "--volumes", "--remove-orphans", "--rmi=local")
  // One that was cut short may have left something.
  yield* Effect.acquireRelease(empty, () => Effect.ignore(empty))

  const containers = (service: string) =>
    Effect.map(compose("ps", "--all", "--quiet", service), (ids) => ids.split("\n").filter((id) => id !== ""))

  const statesOf = Effect.fnUntraced(function* (service: string) {
    const printed = yield* Docker.ask(["inspect", `--format=${stateFormat}`, ...(yield* containers(service))])
    return yield* Effect.forEach(printed.split("\n"), (line) => Schema.decodeEffect(State)(line))
  })

  /** The shell may die with what it kills. */
  const exec = (...args: ReadonlyArray<string>) => Docker.run([...words, "exec", "--no-TTY", ...args], ports)

  return {
    name,
    compose,
    /** As it is for whoever has not made them yet. */
    withoutSecrets: (...args: ReadonlyArray<string>) => Docker.run([...wordsWith("/dev/null"), ...args]),
    statesOf,
    /** Where a service is from outside, by the setting of its port. */
    urlOf: (key: string) => `http://127.0.0.1:${ports[key]}`,
    /** A program of operators: its exit code and what it printed. */
    operate: (...args: ReadonlyArray<string>) => Docker.run([...words, "run", "--rm", "--no-TTY", ...args], ports),
    /** kill -9 of all that runs in one of a service's containers, and until it works again. */
    kill: Effect.fn("ComposeProject.kill")(function* (service: string, index = 1) {
      const restarts = (states: ReadonlyArray<typeof State.Type>) => states.reduce((sum, one) => sum + one.restarts, 0)
      const before = restarts(yield* statesOf(service))
      yield* exec(`--index=${index}`, service, "sh", "-c", "kill -9 -1")
      yield* until(
        Effect.map(
          statesOf(service),
          (states) => restarts(states) > before && states.every(({ health }) => health === "healthy")
        )
      )
    }),
    /** kill -9 of every process that works for the database's server, which then puts itself in order, and until it answers. */
    crashDatabase: Effect.gen(function* () {
      yield* exec("--user=postgres", "postgres", "sh", "-c", "kill -9 -1")
      yield* until(
        Effect.map(
          exec("postgres", "psql", "--username=ecommerce", "--command=SELECT 1"),
          ({ exitCode }) => exitCode === 0
        )
      )
    }).pipe(Effect.withSpan("ComposeProject.crashDatabase"))
  }
})

const until = <E, R>(isSo: Effect.Effect<boolean, E, R>) =>
  isSo.pipe(
    Effect.repeat({ until: (so) => so, schedule: Schedule.spaced("200 millis") }),
    Effect.timeout("3 minutes"),
    Effect.asVoid
  )
