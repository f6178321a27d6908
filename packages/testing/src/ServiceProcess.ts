/**
 * A service's program as a process of its own, over the test's database: to be killed with -9, stopped, and started again.
 */
import { roleOf } from "@ecommerce/chassis/Names"
import * as Settings from "@ecommerce/chassis/Settings"
import { rowsOf } from "@ecommerce/sets/Sets"
import { claimPort } from "@ecommerce/stack/Port"
import * as Repository from "@ecommerce/stack/Repository"
import { Effect, Fiber, Path, Redacted, Ref, Schedule, Schema, Stream } from "effect"
import { HttpClient, HttpClientRequest } from "effect/http"
import { ChildProcess } from "effect/process"

import { TestDatabase } from "./TestDatabase.ts"

export interface ServiceProcess {
  readonly url: string
  /** Knows its address. */
  readonly client: HttpClient.HttpClient
  readonly signal: (signal: "SIGSTOP" | "SIGCONT") => Effect.Effect<void>
  /** kill -9, and until it is gone. */
  readonly kill: Effect.Effect<void>
}

/** Runs until the test's end at the latest; this returns when it is ready. */
export const start = Effect.fn("ServiceProcess.start")(function* (
  service: string,
  settings: Readonly<Record<string, string>> = {}
) {
  const port = yield* claimPort(0, "127.0.0.1")
  const { exitCode, handle, printed } = yield* spawn(service, "main", {
    [Settings.keyOf(service, "PORT")]: String(port),
    ...settings
  })
  const url = `http://127.0.0.1:${port}`
  const client = HttpClient.mapRequest(yield* HttpClient.HttpClient, HttpClientRequest.prependUrl(url))
  yield* client.get("/health/ready").pipe(
    Effect.timeout("5 seconds"),
    Effect.match({ onFailure: () => false, onSuccess: ({ status }) => status === 200 }),
    until,
    Effect.raceFirst(
      Effect.andThen(
        exitCode,
        Effect.flatMap(printed, (text) => Effect.die(`It ended: ${text}`))
      )
    )
  )
  const running: ServiceProcess = {
    url,
    client,
    signal: (signal) => Effect.sync(() => process.kill(handle.pid, signal)),
    kill: Effect.orDie(handle.kill({ killSignal: "SIGKILL" }))
  }
  return running
})

/** Another program of the service, to its end. */
export const run = (service: string, program: string, settings: Readonly<Record<string, string>> = {}) =>
  Effect.scoped(
    Effect.gen(function* () {
      const { exitCode, printed } = yield* spawn(service, program, settings)
      const code = yield* Effect.timeout(exitCode, "100 seconds")
      return { code, lines: (yield* printed).trim().split("\n") }
    })
  )

const spawn = Effect.fnUntraced(function* (
  service: string,
  program: string,
  settings: Readonly<Record<string, string>>
) {
  const { serviceToken, urlOf } = yield* TestDatabase
  const path = yield* Path.Path
  const folder = path.join(yield* Repository.root, "services", service, "src")
  const handle = yield* ChildProcess.make(process.execPath, [path.join(folder, `${program}.ts`)], {
    env: {
      DATABASE_URL: Redacted.value(urlOf(service)),
      [Settings.keyOf(service, "DATABASE_URL")]: "",
      SERVICE_TOKEN: serviceToken,
      // It ends with the tests' own process, whatever becomes of that.
      SUPERVISED: "true",
      ECOMMERCE_CONFIG_FILE: path.join(folder, "none.json"),
      LOG_LEVEL: "Error",
      ...settings
    },
    extendEnv: true,
    // One that is stopped hears nothing else.
    killSignal: "SIGKILL"
  })
  const text = yield* Ref.make("")
  const reading = yield* handle.all.pipe(
    Stream.decodeText(),
    Stream.runForEach((more) => Ref.update(text, (before) => before + more)),
    Effect.ignore,
    Effect.forkScoped
  )
  return {
    handle,
    printed: Ref.get(text),
    exitCode: handle.exitCode.pipe(
      Effect.match({ onFailure: () => "killed", onSuccess: Number }),
      Effect.tap(() => Fiber.await(reading))
    )
  }
})

/** Asks again and again, with patience for a slow machine. */
export const until = <E, R>(isSo: Effect.Effect<boolean, E, R>) =>
  isSo.pipe(
    Effect.repeat({ until: (so) => so, schedule: Schedule.spaced("20 millis") }),
    Effect.timeout("100 seconds"),
    Effect.asVoid
  )

const heldUpRows = rowsOf(Schema.Struct({ role: Schema.String }))

/** Until a service is at a place where a test's trigger holds it up, in its database. */
export const untilHeldUp = (service: string) =>
  Effect.flatMap(TestDatabase, ({ administrator }) =>
    until(
      Effect.map(
        heldUpRows(administrator`
          SELECT usename AS role FROM pg_stat_activity
          WHERE datname = current_database() AND wait_event = 'PgSleep'`),
        (rows) => rows.some(({ role }) => role === roleOf(service))
      )
    )
  )
