/**
 * Keeps the child processes of the stack alive, one for one: a child that dies is started again and the others never
 * notice. A child that keeps dying takes the stack down, with a sentence that says which one, and what it last said.
 *
 * Children stop in the reverse order of their start. They are told of their supervisor by SUPERVISED=1 and by a
 * standard input that stays open for as long as it lives, so that they can end by themselves when it is killed.
 */
import { cannotStart } from "@ecommerce/chassis/Program"
import { StartupError } from "@ecommerce/chassis/StartupError"
import { Clock, Context, Deferred, type Duration, Effect, Layer, Option, Ref, Schedule } from "effect"
import { ChildProcess, ChildProcessSpawner } from "effect/process"

import { type Lines, spawnLogged } from "./Supervisor/LoggedProcess.ts"
import { defaultRule, describeDeaths, isHopeless, pauseBeforeRestart, recordDeath } from "./Supervisor/RestartRule.ts"

export interface ChildSpec {
  /** Unique within a supervisor: it is how logs, states and errors speak of the child. */
  readonly name: string
  readonly command: string
  readonly args: ReadonlyArray<string>
  /** Added to the supervisor's own environment. */
  readonly env: Record<string, string>
  readonly cwd?: string
  /** Asked again and again after each start, until it says true. */
  readonly isReady: Effect.Effect<boolean>
}

export interface ChildState {
  readonly status: "starting" | "ready" | "restarting" | "stopped"
  /** Absent while no process runs. */
  readonly pid: Option.Option<number>
  readonly restarts: number
}

export interface Options {
  /** So many deaths of one child within the window are too many. Six unless told. */
  readonly maxDeaths?: number
  /** One minute unless told. */
  readonly window?: Duration.Input
  /** How long a child may take to end after SIGTERM before its group is killed. Ten seconds unless told. */
  readonly stopTimeout?: Duration.Input
  readonly onLines: (name: string, lines: Lines) => Effect.Effect<void>
}

const readinessPollInterval = "50 millis"

export class Supervisor extends Context.Service<
  Supervisor,
  {
    /** Returns when the child is ready for the first time; fails when it dies too often before that. */
    readonly start: (spec: ChildSpec) => Effect.Effect<void, StartupError>
    /** Ends a child orderly, so that it starts again; no death. */
    readonly restart: (name: string) => Effect.Effect<void>
    readonly states: Effect.Effect<ReadonlyMap<string, ChildState>>
    /** Never succeeds: fails when some child died too often. */
    readonly failure: Effect.Effect<never, StartupError>
  }
>()("@ecommerce/stack/Supervisor") {
  static readonly make = Effect.fn("Supervisor.make")(function* (options: Options) {
    const scope = yield* Effect.scope
    const spawner = yield* ChildProcessSpawner.ChildProcessSpawner
    const rule = {
      maxDeaths: options.maxDeaths ?? defaultRule.maxDeaths,
      window: options.window ?? defaultRule.window
    }
    const states = yield* Ref.make<ReadonlyMap<string, ChildState>>(new Map())
    const asked = yield* Ref.make<ReadonlySet<string>>(new Set())
    const failure = yield* Deferred.make<never, StartupError>()

    const update = (name: string, change: Partial<ChildState>) =>
      Ref.update(states, (all) => {
        const before = all.get(name) ?? { status: "starting", pid: Option.none(), restarts: 0 }
        return new Map(all).set(name, { ...before, ...change })
      })

    /** One life of a child: returns how it ended. */
    const liveOnce = Effect.fnUntraced(function* (spec: ChildSpec, firstReady: Deferred.Deferred<void, StartupError>) {
      const child = yield* spawnLogged({
        command: ChildProcess.make(spec.command, spec.args, {
          ...(spec.cwd === undefined ? {} : { cwd: spec.cwd }),
          env: { ...spec.env, SUPERVISED: "1" },
          extendEnv: true,
          detached: true,
          killSignal: "SIGTERM",
          forceKillAfter: options.stopTimeout ?? "10 seconds"
        }),
        onLines: (lines) => options.onLines(spec.name, lines)
      })
      yield* update(spec.name, { pid: Option.some(child.pid) })
      yield* spec.isReady.pipe(
        Effect.repeat({ until: (isReady) => isReady, schedule: Schedule.spaced(readinessPollInterval) }),
        Effect.andThen(update(spec.name, { status: "ready" })),
        Effect.andThen(Deferred.succeed(firstReady, undefined)),
        Effect.forkScoped
      )
      const end = yield* child.end
      return { end, exitCode: yield* child.exitCode, lastLines: yield* child.lastLines }
    })

    /** Whether this end was a restart that somebody asked for, and no death. */
    const wasAskedFor = (name: string) =>
      Ref.modify(asked, (names) => [names.has(name), new Set([...names].filter((other) => other !== name))])

    const restart = Effect.fn("Supervisor.restart")(function* (name: string) {
      const pid = Option.getOrUndefined((yield* Ref.get(states)).get(name)?.pid ?? Option.none())
      if (pid === undefined) return
      yield* Ref.update(asked, (names) => new Set(names).add(name))
      yield* Effect.ignore(Effect.try(() => process.kill(pid, "SIGTERM")))
    })

    const keepAlive = Effect.fnUntraced(function* (
      spec: ChildSpec,
      firstReady: Deferred.Deferred<void, StartupError>
    ): Effect.fn.Return<never, StartupError, ChildProcessSpawner.ChildProcessSpawner> {
      let deaths: ReadonlyArray<number> = []
      for (let restarts = 0; ; restarts++) {
        yield* update(spec.name, { status: restarts === 0 ? "starting" : "restarting", restarts })
        const life = yield* Effect.scoped(liveOnce(spec, firstReady)).pipe(
          Effect.catch((error) =>
            Effect.succeed({ end: `no process at all (${error.message})`, exitCode: undefined, lastLines: [] })
          )
        )
        // Nothing would be different the next time: what keeps it from starting is for a person to mend.
        if (life.exitCode === cannotStart && !(yield* Deferred.isDone(firstReady))) {
          return yield* new StartupError({ message: `${spec.name}: ${life.lastLines.join("\n")}` })
        }
        if (yield* wasAskedFor(spec.name)) continue
        deaths = recordDeath(deaths, yield* Clock.currentTimeMillis, rule)
        if (isHopeless(deaths, rule)) {
          return yield* new StartupError({ message: describeDeaths(spec.name, rule, life.end, life.lastLines) })
        }
        yield* update(spec.name, { status: "restarting", pid: Option.none() })
        yield* options.onLines(spec.name, [`ended with ${life.end}; starting it again`])
        yield* Effect.sleep(pauseBeforeRestart(deaths))
      }
    })

    const start = Effect.fn("Supervisor.start")(function* (spec: ChildSpec) {
      const firstReady = yield* Deferred.make<void, StartupError>()
      // In the supervisor's scope, whose finalizers run one after the other: the last child started stops first.
      yield* keepAlive(spec, firstReady).pipe(
        Effect.provideService(ChildProcessSpawner.ChildProcessSpawner, spawner),
        Effect.ensuring(update(spec.name, { status: "stopped", pid: Option.none() })),
        Effect.catchCause((cause) =>
          Effect.andThen(Deferred.failCause(failure, cause), Deferred.failCause(firstReady, cause))
        ),
        Effect.forkIn(scope)
      )
      yield* Deferred.await(firstReady)
    })

    return Supervisor.of({ start, restart, states: Ref.get(states), failure: Deferred.await(failure) })
  })

  static readonly layer = (options: Options) => Layer.effect(Supervisor, Supervisor.make(options))
}
