/**
 * `npm run sagas`: orders on their way, as a table that lives; one order's story; and what there is to do with one that does not
 * get on. It asks the orchestrator that runs.
 */
import { StartupError } from "@ecommerce/chassis/StartupError"
import { OrderId } from "@ecommerce/contracts/Ids"
import type { SagaSummary } from "@ecommerce/contracts/Orchestrator/Sagas"
import { NodeHttpClient } from "@effect/platform-node"
import { Console, DateTime, Duration, Effect, Predicate, Schema } from "effect"
import { Argument, Command } from "effect/cli"

import * as CommandLine from "./CommandLine.ts"
import { connect, type Sagas, storyOf } from "./SagaStory.ts"
import * as Welcome from "./Welcome.ts"

const states = ["open", "stuck", "running", "compensating", "completed", "failed", "cancelled"] as const
const filters = {
  open: "OPEN",
  stuck: "STUCK",
  running: "RUNNING",
  compensating: "COMPENSATING",
  completed: "COMPLETED",
  failed: "FAILED",
  cancelled: "CANCELLED"
} as const

const ageOf = (at: DateTime.Utc, now: DateTime.Utc) =>
  Duration.format(Duration.seconds(Math.round(Duration.toSeconds(DateTime.distance(at, now)))))

const whatItDoes = ({ dueAt, isOwned, stuck }: SagaSummary, now: DateTime.Utc) => {
  if (stuck !== null) return `stuck: ${stuck}`
  if (isOwned) return "under way"
  if (dueAt === null) return "waits for somebody"
  return DateTime.isGreaterThan(dueAt, now) ? `again in ${ageOf(now, dueAt)}` : "due"
}

const tableOf = (sagas: ReadonlyArray<SagaSummary>, now: DateTime.Utc) =>
  Welcome.columns(
    ["order", "saga", "state", "step", "attempts", "now", "since", "why"],
    sagas.map((saga) => [
      saga.key,
      `${saga.definition} ${saga.definitionVersion}`,
      saga.status,
      saga.step ?? "",
      saga.step === null ? "" : String(saga.attempts),
      saga.endedAt === null ? whatItDoes(saga, now) : "ended",
      ageOf(saga.endedAt ?? saga.createdAt, now),
      saga.failure === null ? "" : `${saga.failure.code} (${saga.failure.step})`
    ])
  )

const list = Effect.fn("sagas.list")(function* (client: Sagas, state: (typeof states)[number]) {
  const { nextCursor, sagas } = yield* client.list({ query: { state: filters[state], limit: 40 } })
  const now = yield* DateTime.now
  const more = nextCursor === null ? "" : "\n\n  … and more"
  return `\n${sagas.length === 0 ? `  No saga is ${state}.` : tableOf(sagas, now)}${more}`
})

/** Again every second on a terminal, until Ctrl-C; once where a program reads. */
const watch = Effect.fn("sagas.watch")(function* (client: Sagas, state: (typeof states)[number]) {
  if (!process.stdout.isTTY) return yield* Effect.flatMap(list(client, state), Console.log)
  return yield* Effect.forever(
    Effect.andThen(
      Effect.flatMap(list(client, state), (text) => Console.log(`\u001b[2J\u001b[H${text}\n\n  Ctrl-C ends this.`)),
      Effect.sleep("1 second")
    )
  )
})

const decodeId = Schema.decodeUnknownEffect(OrderId)

const readId = (text: string) =>
  Effect.mapError(decodeId(text), () => new StartupError({ message: `"${text}" is not the id of an order or a saga.` }))

/** All sagas of an order, or the one saga with this id. */
const idsOf = Effect.fnUntraced(function* (client: Sagas, text: string) {
  const id = yield* readId(text)
  const { sagas } = yield* client.ofOrder({ params: { orderId: id } })
  return sagas.length === 0 ? [id] : sagas.map((saga) => saga.id)
})

const tell = Effect.fn("sagas.tell")(function* (client: Sagas, text: string) {
  const ids = yield* idsOf(client, text)
  const sagas = yield* Effect.forEach(ids, (id) => client.get({ params: { id } }), { concurrency: 4 })
  yield* Console.log(sagas.map(storyOf).join("\n"))
})

/** Of an order the saga that began last: it is the one that may still go somewhere. What is cancelled is the first. */
const act = Effect.fn("sagas.act")(function* (client: Sagas, { action, by, note, subject }: Input) {
  const ids = yield* idsOf(client, subject)
  const id = (action === "cancel" ? ids.at(0) : ids.at(-1)) ?? subject
  if (action === "resolve" && (by === "" || note === "")) {
    return yield* new StartupError({
      message: 'Say who you are and what you did: resolve <id> "Grace" "refunded by hand".'
    })
  }
  if (action === "retry") yield* client.retry({ params: { id } })
  if (action === "cancel") yield* client.cancel({ params: { id } })
  if (action === "resolve") yield* client.resolve({ params: { id }, payload: { by, note } })
  yield* Console.log(`${action}: asked of the saga ${id}`)
})

const acts = ["retry", "cancel", "resolve"] as const

const flags = {
  action: Argument.Literals("action", [...states, "show", ...acts]).pipe(
    Argument.withDescription("A state to list, show for one order's story, or what to do with one"),
    Argument.withDefault("open")
  ),
  subject: Argument.String("id").pipe(
    Argument.withDescription("The id of an order or of a saga"),
    Argument.withDefault("")
  ),
  by: Argument.String("by").pipe(Argument.withDescription("For resolve: who you are"), Argument.withDefault("")),
  note: Argument.String("note").pipe(
    Argument.withDescription("For resolve: what you did by hand"),
    Argument.withDefault("")
  )
}

interface Input {
  readonly action: (typeof states)[number] | "show" | (typeof acts)[number]
  readonly subject: string
  readonly by: string
  readonly note: string
}

const run = Effect.fn("sagas")(function* (input: Input) {
  const { action, subject } = input
  const { baseUrl, sagas } = yield* connect
  const state = states.find((one) => one === action)
  const work =
    state === undefined ? (action === "show" ? tell(sagas, subject) : act(sagas, input)) : watch(sagas, state)
  yield* Effect.mapError(work, (error) =>
    Predicate.isTagged(error, "StartupError") ? error : new StartupError({ message: complaint(baseUrl, error) })
  )
}, Effect.provide(NodeHttpClient.layerUndici))

const complaint = (baseUrl: string, error: unknown) => {
  if (Predicate.isTagged(error, "HttpClientError")) {
    return `The orchestrator does not answer at ${baseUrl}: is it running (npm start)?`
  }
  return Predicate.hasProperty(error, "title") ? String(error.title) : String(error)
}

const command = Command.make("npm run sagas --", flags, run).pipe(
  Command.withDescription("Shows sagas as they run, one order's story, or retries, cancels or resolves one.")
)

CommandLine.run(command)
