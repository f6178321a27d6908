/** The embedded PostgreSQL as its users see it: real servers, real processes, real signals. */
import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, FileSystem, Path, Redacted } from "effect"

import {
  emptyPlace,
  eventually,
  holdElsewhere,
  kill,
  messageOf,
  parentOf,
  processesAbout,
  query,
  startOn
} from "./fixtures/TestPostgres.ts"

const isRoot = process.getuid?.() === 0

describe("a server", () => {
  it.live("takes the password, speaks UTF-8 and keeps its data from one life to the next", () =>
    Effect.gen(function* () {
      const place = yield* emptyPlace
      yield* Effect.gen(function* () {
        const postgres = yield* startOn(place)
        yield* query(postgres.url("postgres"), "create table letters as select 'Grüße' as text")
        const wrongUrl = Redacted.make(`postgres://postgres:wrong@127.0.0.1:${postgres.port}/postgres`)
        assert.isTrue((yield* Effect.exit(query(wrongUrl, "select 1")))._tag === "Failure")
      }).pipe(Effect.scoped)
      assert.deepStrictEqual(yield* processesAbout(place), [])

      const postgres = yield* startOn(place, { settings: { max_connections: "17" } })
      assert.deepStrictEqual(yield* query(postgres.url("postgres"), "select text from letters"), [{ text: "Grüße" }])
      assert.deepStrictEqual(
        yield* query(
          postgres.url("postgres"),
          `select current_setting('server_encoding') as encoding, current_setting('max_connections') as connections,
            current_setting('data_checksums') as checksums, datlocprovider as provider, datlocale as locale,
            current_setting('fsync') as fsync
          from pg_database where datname = 'postgres'`
        ),
        [
          {
            encoding: "UTF8",
            connections: "17",
            checksums: "on",
            provider: "b",
            locale: "C.UTF-8",
            fsync: "off"
          }
        ]
      )
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
  )

  it.live("is reached past TCP by those on its machine, with the same password", () =>
    Effect.gen(function* () {
      const postgres = yield* startOn(yield* emptyPlace)
      const peer = "select inet_client_addr() is null as is_past_tcp"
      assert.deepStrictEqual(yield* query(postgres.localUrl("postgres"), peer), [{ is_past_tcp: true }])
      assert.deepStrictEqual(yield* query(postgres.url("postgres"), peer), [{ is_past_tcp: false }])
      const wrong = new URL(Redacted.value(postgres.localUrl("postgres")))
      wrong.password = "wrong"
      assert.isTrue((yield* Effect.exit(query(Redacted.make(wrong.href), "select 1")))._tag === "Failure")
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
  )

  it.live("is reached over TCP where the path of its folder is too long for a socket", () =>
    Effect.gen(function* () {
      const path = yield* Path.Path
      const postgres = yield* startOn(path.join(yield* emptyPlace, "long".repeat(30)))
      assert.deepStrictEqual(
        yield* query(postgres.localUrl("postgres"), "select inet_client_addr() is null as is_past_tcp"),
        [{ is_past_tcp: false }]
      )
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
  )

  it.live("is up again when its restart returns, whether it was stopped fast or immediately", () =>
    Effect.gen(function* () {
      const postgres = yield* startOn(yield* emptyPlace, { durable: true })
      for (const mode of ["fast", "immediate"] as const) {
        const pidBefore = yield* postgres.pid
        yield* postgres.restart(mode)
        assert.notStrictEqual(yield* postgres.pid, pidBefore)
        assert.deepStrictEqual(yield* query(postgres.url("postgres"), "select 1 as one"), [{ one: 1 }])
      }
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
  )

  it.live("is started again on its port when it is killed, even while a query of it still runs", () =>
    Effect.gen(function* () {
      const postgres = yield* startOn(yield* emptyPlace)
      const pidBefore = yield* postgres.pid
      // Busy without ever waiting: its backend does not notice that the server is gone before it is done.
      const busy = yield* query(
        postgres.url("postgres"),
        `do $$ declare till timestamptz := clock_timestamp() + interval '3 seconds';
          begin while clock_timestamp() < till loop end loop; end $$`
      ).pipe(Effect.ignore, Effect.forkScoped)
      yield* eventually(
        Effect.map(
          query(postgres.url("postgres"), "select from pg_stat_activity where state = 'active' and query like 'do %'"),
          (rows) => rows.length > 0
        )
      )
      yield* kill(pidBefore, "SIGKILL")
      yield* eventually(Effect.map(postgres.pid, (pid) => pid !== pidBefore))
      assert.deepStrictEqual(yield* query(postgres.url("postgres"), "select 1 as one"), [{ one: 1 }])
      yield* Fiber.interrupt(busy)
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
  )

  it.live("that keeps dying is given up, with the end of its log", () =>
    Effect.gen(function* () {
      const place = yield* emptyPlace
      const postgres = yield* startOn(place, { restartRule: { maxDeaths: 3, window: "60 seconds" } })
      for (const _ of [1, 2, 3]) {
        const pid = yield* postgres.pid
        yield* kill(pid, "SIGKILL")
        yield* Effect.raceFirst(
          eventually(Effect.map(postgres.pid, (now) => now !== pid)),
          Effect.ignore(postgres.failure)
        )
      }
      const { message } = yield* Effect.flip(postgres.failure)
      assert.match(message, /^PostgreSQL died 3 times within 60 seconds, the last time with signal SIGKILL\. /)
      assert.include(message, "database system is ready to accept connections")
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
  )
})

describe("nothing stays behind", () => {
  it.live("when the process that holds the server is killed, and the next one may start right away", () =>
    Effect.gen(function* () {
      const place = yield* emptyPlace
      const { firstLine, holder } = yield* holdElsewhere([], place)
      const serverPid = Number.parseInt(firstLine, 10)
      yield* kill(holder.pid, "SIGKILL")
      yield* Effect.scoped(startOn(place))
      assert.throws(() => process.kill(serverPid, 0), "ESRCH")
      assert.deepStrictEqual(yield* processesAbout(place), [])
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
  )

  it.live("when the guard is killed, and the server comes back", () =>
    Effect.gen(function* () {
      const place = yield* emptyPlace
      yield* Effect.gen(function* () {
        const postgres = yield* startOn(place)
        const pid = yield* postgres.pid
        yield* kill(yield* parentOf(pid), "SIGKILL")
        yield* eventually(Effect.map(postgres.pid, (now) => now !== pid))
        assert.deepStrictEqual(yield* query(postgres.url("postgres"), "select 1 as one"), [{ one: 1 }])
      }).pipe(Effect.scoped)
      assert.deepStrictEqual(yield* processesAbout(place), [])
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
  )

  // From the middle of initdb to the middle of the server's start, on this machine and on slower ones.
  it.live.each([0, 100, 500, 900, 1100])(
    "when its start is interrupted after %i ms, and the next start works",
    (delay) =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const path = yield* Path.Path
        const place = yield* emptyPlace
        yield* Effect.scoped(startOn(place)).pipe(Effect.timeoutOption(delay))
        assert.deepStrictEqual(yield* processesAbout(path.dirname(place)), [])
        assert.deepStrictEqual(
          (yield* fs.readDirectory(path.dirname(place))).filter((name) => name !== "data"),
          []
        )
        yield* startOn(place)
      }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
  )

  it.live("of an initdb that was killed half-way, once the next start is through", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const path = yield* Path.Path
      const place = yield* emptyPlace
      yield* holdElsewhere(["timeout", "-s", "KILL", "0.8"], place)
      yield* eventually(Effect.map(processesAbout(path.dirname(place)), (left) => left.length === 0))
      yield* startOn(place)
      assert.deepStrictEqual(yield* fs.readDirectory(path.dirname(place)), ["data"])
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
  )
})

describe("a start that cannot work says why", () => {
  it.live("when another stack runs on the data directory", () =>
    Effect.gen(function* () {
      const place = yield* emptyPlace
      const postgres = yield* startOn(place)
      const message = yield* messageOf(startOn(place))
      const pid = yield* postgres.pid
      assert.strictEqual(
        message,
        `The data directory ${place} is in use by another running stack (pid ${pid}): stop that one first.`
      )
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
  )

  it.live("when something else listens on the port", () =>
    Effect.gen(function* () {
      const { port } = yield* startOn(yield* emptyPlace)
      const message = yield* messageOf(startOn(yield* emptyPlace, { port }))
      assert.strictEqual(
        message,
        `PostgreSQL: Port ${port} is taken by another process: stop it, or choose another with POSTGRES_PORT.`
      )
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
  )

  it.live("when PostgreSQL itself refuses, in PostgreSQL's own words", () =>
    Effect.gen(function* () {
      const message = yield* messageOf(startOn(yield* emptyPlace, { settings: { shared_buffers: "plenty" } }))
      assert.strictEqual(
        message,
        'PostgreSQL does not start: invalid value for parameter "shared_buffers": "plenty" (exit code 1)'
      )
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
  )

  it.live("when the data directory is another PostgreSQL's or holds something else", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const path = yield* Path.Path
      const place = yield* emptyPlace
      yield* fs.makeDirectory(place)
      yield* fs.writeFileString(path.join(place, "thesis.tex"), "")
      if (isRoot) yield* fs.chown(place, 65534, 65534)
      assert.match(yield* messageOf(startOn(place)), /is not empty and not PostgreSQL's: choose another one\.$/)
      yield* fs.writeFileString(path.join(place, "PG_VERSION"), "16\n")
      assert.match(yield* messageOf(startOn(place)), /was made by PostgreSQL 16, and this is PostgreSQL 18: /)
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
  )

  it.live("when the data directory cannot be made", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const place = yield* emptyPlace
      yield* fs.writeFileString(place, "a file")
      const message = yield* messageOf(startOn(`${place}/below`))
      assert.include(message, `PostgreSQL cannot use the data directory ${place}/below: `)
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
  )
})

it.live("a stale postmaster.pid is no obstacle, even when its number is a living process's", () =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const place = yield* emptyPlace
    yield* Effect.scoped(startOn(place))
    yield* fs.writeFileString(path.join(place, "postmaster.pid"), `${process.pid}\n${place}\n`)
    yield* startOn(place)
  }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
)
