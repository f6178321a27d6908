/**
 * Does what a plan says, to the running stack. Each fault is over when this returns: what was killed is back, what was in the way
 * is gone.
 */
import { orchestrator, OrchestratorApi } from "@ecommerce/contracts/Orchestrator"
import { rowsOf } from "@ecommerce/sets/Sets"
import { type Duration, Effect, Schedule, Schema } from "effect"
import { HttpClient, HttpClientRequest } from "effect/http"
import { HttpApiClient } from "effect/http-api"

import { Customers } from "./Customers.ts"
import { Deployment, patiently } from "./Deployment.ts"
import { Evidence } from "./Evidence.ts"
import type { Fault, HeldCommand } from "./Plan.ts"
import { longestHold, longestTakeover, pauseMillis, poisonMillis } from "./RunSettings.ts"

const countRows = rowsOf(Schema.Struct({ count: Schema.Int }))

export const perform = Effect.fn("Faults.perform")(function* (fault: Fault) {
  switch (fault._tag) {
    case "Kill":
      return yield* end(fault.names, "SIGKILL")
    case "Stop":
      return yield* end([fault.name], "SIGTERM")
    case "Pause":
      return yield* pause(fault.name)
    case "RestartDatabase":
      return yield* Deployment.use(({ server }) => Effect.orDie(server.restart(fault.mode)))
    case "KillDatabase":
      return yield* killDatabase
    case "TerminateBackends":
      return yield* terminateBackends
    case "Cut":
      return yield* Effect.forEach(fault.links, (name) => Effect.flatMap(linkNamed(name), ({ cut }) => cut), {
        discard: true
      })
    case "Delay":
      return yield* during(
        Effect.flatMap(linkNamed(fault.link), ({ delayed }) => delayed(fault.byMillis)),
        Effect.sleep(fault.forMillis)
      )
    case "LoseReplies":
      return yield* during(
        Effect.flatMap(linkNamed(fault.link), ({ losingReplies }) => losingReplies),
        Effect.sleep(fault.forMillis)
      )
    case "HoldRuns":
      return yield* holdRuns(fault.command)
    case "Poison":
      return yield* poison
  }
})

const during = <A, E, R, R2>(trouble: Effect.Effect<void, never, R>, work: Effect.Effect<A, E, R2>) =>
  Effect.scoped(Effect.andThen(trouble, work))

const linkNamed = Effect.fnUntraced(function* (name: string) {
  const { links } = yield* Deployment
  const link = links.find((one) => one.name === name)
  return link ?? (yield* Effect.die(new Error(`There is no link ${name}`)))
})

/** So that whoever is killed or paused has something in hand: their captures take a while. */
const keepBusy = Effect.fnUntraced(function* (names: ReadonlyArray<string>) {
  const { cast } = yield* Deployment
  if (!names.some((name) => cast.orchestrators.includes(name))) return
  yield* Customers.use(({ send }) => send("slow card", 3 * cast.orchestrators.length))
  yield* Effect.sleep("400 millis")
})

const end = Effect.fnUntraced(function* (names: ReadonlyArray<string>, by: "SIGKILL" | "SIGTERM") {
  const { awaitLifeAfter, lives, signal } = yield* Deployment
  yield* keepBusy(names)
  const before = yield* Effect.forEach(names, (name) => Effect.map(lives(name), (life) => ({ name, life })))
  yield* Effect.forEach(names, (name) => signal(name, by))
  yield* Effect.forEach(before, ({ life, name }) => awaitLifeAfter(name, life))
})

const pause = Effect.fnUntraced(function* (name: string) {
  const { cast, signal } = yield* Deployment
  const { noted } = yield* Evidence
  yield* keepBusy([name])
  const { takeovers } = yield* noted
  const isTakenOver = Effect.map(noted, (now) => now.takeovers > takeovers)
  yield* Effect.acquireUseRelease(
    signal(name, "SIGSTOP"),
    () =>
      Effect.andThen(
        Effect.sleep(pauseMillis),
        cast.orchestrators.includes(name) ? atMost(longestTakeover, isTakenOver) : Effect.void
      ),
    () => signal(name, "SIGCONT")
  )
})

/** Whoever keeps the database alive starts it again, as soon as the backends of the dead one have noticed. */
const killDatabase = Effect.gen(function* () {
  const { failure, server } = yield* Deployment
  const before = yield* server.pid
  yield* Effect.sync(() => process.kill(before, "SIGKILL"))
  yield* server.pid.pipe(
    Effect.repeat({ until: (pid) => pid !== before, schedule: Schedule.spaced("50 millis") }),
    Effect.timeout("100 seconds"),
    Effect.raceFirst(failure),
    Effect.orDie
  )
})

const terminateBackends = Effect.flatMap(Deployment, ({ administrator: sql }) =>
  patiently(sql`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename LIKE 'ecommerce%'`)
)

const holdRuns = Effect.fnUntraced(function* (command: HeldCommand) {
  const { administrator: sql, links } = yield* Deployment
  const { send } = yield* Customers
  const concerned = links.filter(({ name }) => name.startsWith(orchestrator.name))
  /** Sagas that have sent this run, have heard nothing, and have undone it. */
  const turnedBack = Effect.map(
    countRows(sql`
      SELECT count(DISTINCT saga_id)::integer AS count
      FROM orchestrator.saga_journal AS run JOIN orchestrator.saga_journal AS undo USING (saga_id)
      WHERE run.kind = 'run' AND run.step = ${command} AND run.outcome IN ('unavailable', 'unknown')
        AND undo.kind = 'undo' AND undo.step = ${undoOf[command]} AND undo.outcome = 'done'`),
    ([row]) => row?.count ?? 0
  )
  const before = yield* patiently(turnedBack)
  yield* during(
    Effect.forEach(concerned, ({ holding }) => holding(`POST /commands/${command} `), { discard: true }),
    // Their customers turn them back while the run is on its way.
    Effect.andThen(
      send("cancelled early", 5),
      atMost(
        longestHold,
        Effect.map(turnedBack, (count) => count > before)
      )
    )
  )
  yield* Effect.sleep("1 second")
})

/** As a saga's journal calls what undoes it. */
const undoOf: Readonly<Record<HeldCommand, string>> = {
  "create-order": "create-order",
  "reserve-stock": "reserve-stock",
  "capture-payment": "cancel-payment"
}

/** Until this is so, whoever is away meanwhile; but not for ever. */
const atMost = <E, R>(longest: Duration.Input, isSo: Effect.Effect<boolean, E, R>) =>
  Effect.orElseSucceed(isSo, () => false).pipe(
    Effect.repeat({ until: (so) => so, schedule: Schedule.spaced("200 millis") }),
    Effect.timeoutOption(longest)
  )

/** Every fourth order, as it happens to end with. Ten in a row would be nobody's fault but the consumer's. */
const refuseSome = `
  CREATE OR REPLACE FUNCTION orchestrator.refuse_some() RETURNS trigger LANGUAGE plpgsql AS $$
  BEGIN
    IF get_byte(decode(right(NEW.key, 2), 'hex'), 0) < 64 THEN
      RAISE EXCEPTION 'poison' USING ERRCODE = 'data_exception';
    END IF;
    RETURN NEW;
  END $$`

const poison = Effect.gen(function* () {
  const { administrator: sql } = yield* Deployment
  const letters = Effect.map(
    countRows(sql`SELECT count(*)::integer AS count FROM orchestrator.dead_letters`),
    ([row]) => row?.count ?? 0
  )
  yield* Effect.acquireUseRelease(
    patiently(
      Effect.andThen(
        sql.unsafe(refuseSome).unprepared,
        sql`CREATE OR REPLACE TRIGGER refuse_some BEFORE INSERT ON orchestrator.sagas
          FOR EACH ROW EXECUTE FUNCTION orchestrator.refuse_some()`.unprepared
      )
    ),
    () =>
      Effect.andThen(
        Customers.use(({ send }) => send("paid", 12)),
        Effect.sleep(poisonMillis)
      ),
    () => patiently(sql`DROP FUNCTION IF EXISTS orchestrator.refuse_some() CASCADE`.unprepared)
  )
  // What is on its way still belongs to it.
  yield* Effect.sleep("500 millis")
  const found = yield* patiently(letters)
  yield* Evidence.use(({ note }) => note("deadLetters", found))
  // Again, should more have come: whoever cancels one of them meanwhile is put aside too.
  yield* letters.pipe(
    Effect.tap((count) => (count > 0 ? redrive : Effect.void)),
    Effect.repeat({ until: (count) => count === 0, schedule: Schedule.spaced("1 second") }),
    patiently
  )
})

/** As an operator would, at whichever orchestrator answers. */
const redrive = Effect.gen(function* () {
  const { cast, credentials, urlOf } = yield* Deployment
  const httpClient = HttpClient.mapRequest(
    yield* HttpClient.HttpClient,
    HttpClientRequest.bearerToken(credentials.serviceToken)
  )
  const ask = (name: string) =>
    Effect.flatMap(
      HttpApiClient.group(OrchestratorApi, { group: "deadLetters", httpClient, baseUrl: urlOf(name) }),
      (client) => client.redrive({ params: { consumer: "orchestrator.orders" } })
    ).pipe(Effect.timeout("3 seconds"))
  yield* Effect.ignore(Effect.firstSuccessOf(cast.orchestrators.map(ask)))
})
