/**
 * `npm run feeds`: who reads whose events, how far they are behind, and what could not be used; and what there is to do.
 */
import * as Database from "@ecommerce/chassis/Database"
import * as ChassisSettings from "@ecommerce/chassis/Settings"
import { StartupError } from "@ecommerce/chassis/StartupError"
import * as FeedDesk from "@ecommerce/outbox/FeedDesk"
import { Console, Effect, Option, Path, Redacted } from "effect"
import { Argument, Command } from "effect/cli"
import { SqlError } from "effect/sql"

import * as CommandLine from "./CommandLine.ts"
import * as Credentials from "./Credentials.ts"
import { Logbook } from "./Logbook.ts"
import * as Repository from "./Repository.ts"
import * as Settings from "./Settings.ts"
import * as Stack from "./Stack.ts"
import * as StackDatabase from "./StackDatabase.ts"
import { topology } from "./topology.ts"
import * as Welcome from "./Welcome.ts"

const actions = ["list", "redrive", "discard", "pause", "resume", "resume-anew", "remove"] as const
type Action = (typeof actions)[number]

const flags = {
  action: Argument.Literals("action", actions).pipe(Argument.withDefault("list")),
  name: Argument.String("name").pipe(
    Argument.withDescription("A consumer, such as edge-api.prices"),
    Argument.withDefault("")
  )
}

type Desk = Effect.Success<typeof FeedDesk.make>

/** Does this with the desk of every service. */
const atEveryDesk = Effect.fnUntraced(function* <A, E>(work: (desk: Desk, service: string) => Effect.Effect<A, E>) {
  const path = yield* Path.Path
  const dataDirectory = path.resolve(yield* Repository.root, yield* Settings.dataDirectory.read)
  return yield* Effect.gen(function* () {
    const credentials = yield* Credentials.load(dataDirectory)
    const database = yield* StackDatabase.open(dataDirectory, credentials)
    // Its own, and nobody has brought it up to date yet.
    if (database.state === "ready") yield* StackDatabase.prepare(database, credentials)
    return yield* Effect.forEach(topology, (place) =>
      Effect.gen(function* () {
        const own = yield* Settings.whereSet(ChassisSettings.serviceDatabaseUrl(place.name))
        const { DATABASE_URL } = yield* Stack.environmentOf(place, credentials, database.url)
        const url = Option.getOrElse(own, () => Redacted.make(DATABASE_URL))
        const tables = Database.layerFrom({ url, applicationName: "feeds", maxConnections: 1 })
        return yield* Effect.provide(
          Effect.flatMap(FeedDesk.make, (desk) => work(desk, place.name)),
          tables
        ).pipe(
          Effect.mapError(
            (error) =>
              new StartupError({
                message: `The database of ${place.name}: ${SqlError.isSqlError(error) ? Database.describe(error) : String(error)}`
              })
          )
        )
      })
    )
  }).pipe(Effect.provide(Logbook.layer(path.join(dataDirectory, "logs"))))
})

const list = Effect.gen(function* () {
  const desks = yield* atEveryDesk((desk, service) =>
    Effect.all({
      service: Effect.succeed(service),
      readers: desk.readers,
      subscriptions: desk.subscriptions,
      letters: desk.letters
    })
  )
  const readers = desks.flatMap(({ readers, service }) => {
    if (readers.length === 0) return [[service, "nobody", "", "", ""]]
    return readers.map(({ eventsBehind, name, secondsBehind, seenSecondsAgo }) => [
      service,
      name,
      eventsBehind === FeedDesk.mostCounted ? `${eventsBehind} or more` : String(eventsBehind),
      `${secondsBehind.toFixed(1)} s`,
      `${seenSecondsAgo.toFixed(0)} s ago`
    ])
  })
  const subscriptions = desks.flatMap(({ subscriptions }) =>
    subscriptions.map(({ deadLetters, isPaused, movedSecondsAgo, name }) => [
      name,
      isPaused ? "paused" : "reads",
      String(deadLetters),
      `${movedSecondsAgo.toFixed(0)} s ago`
    ])
  )
  const letters = desks.flatMap(({ letters }) =>
    letters.map(({ consumer, diedSecondsAgo, error, eventId, subject, type }) => [
      consumer,
      eventId,
      type,
      subject,
      `${diedSecondsAgo.toFixed(0)} s ago`,
      error.replaceAll(/\s+/gu, " ")
    ])
  )
  yield* Console.log(`\n${Welcome.columns(["feed of", "read by", "events behind", "behind", "moved"], readers)}`)
  yield* Console.log(`\n${Welcome.columns(["consumer", "state", "dead letters", "moved"], subscriptions)}`)
  if (letters.length > 0) {
    yield* Console.log(`\n${Welcome.columns(["dead letter of", "event", "type", "subject", "died", "error"], letters)}`)
  }
})

const acts: Readonly<Record<Exclude<Action, "list">, (desk: Desk, name: string) => Effect.Effect<number, unknown>>> = {
  redrive: (desk, name) => desk.redrive(name),
  discard: (desk, name) => desk.discard(name),
  pause: (desk, name) => desk.pause(name),
  resume: (desk, name) => desk.resume(name),
  "resume-anew": (desk, name) => desk.resumeAnew(name),
  remove: (desk, name) => desk.remove(name)
}

const run = Effect.fn("feeds")(function* ({ action, name }: { readonly action: Action; readonly name: string }) {
  if (action === "list") return yield* list
  const counts = yield* atEveryDesk((desk) => acts[action](desk, name))
  const count = counts.reduce((sum, one) => sum + one, 0)
  if (count === 0) return yield* new StartupError({ message: `There is nothing to ${action} for "${name}".` })
  yield* Console.log(`${action}: ${count}`)
})

const command = Command.make("npm run feeds --", flags, run).pipe(
  Command.withDescription(
    "Lists feeds, consumers and dead letters; redrive, discard, pause, resume, resume-anew or remove one."
  )
)

CommandLine.run(command)
