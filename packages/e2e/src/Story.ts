/**
 * What happens to the stack: it comes up, takes orders, loses processes in the middle of them, grows, goes down and comes
 * back. Each paragraph of the story leaves checks and figures.
 */
import * as Received from "@ecommerce/telemetry/Received"
import { Effect, Option, Schema } from "effect"
import { HttpClient } from "effect/http"

import { type ComposeProject, lasting, services } from "./ComposeProject.ts"
import * as Docker from "./Docker.ts"
import { Findings, timed } from "./Findings.ts"
import * as OrderTraces from "./OrderTraces.ts"
import * as Shop from "./Shop.ts"

export const tell = Effect.fn("Story.tell")(function* (project: ComposeProject) {
  const shop: Shop.Addresses = { inventory: project.urlOf("INVENTORY_PORT"), edge: project.urlOf("EDGE_API_PORT") }
  yield* comeUp(project)
  const first = yield* firstOrder(shop)
  yield* storm(project, shop)
  yield* calm(project, shop)
  yield* measure(project)
  yield* lookAtTheBooks(project, first.orderId)
  yield* goDownAndComeBack(project, shop, first)
})

const comeUp = Effect.fn("Story.comeUp")(function* ({ compose, withoutSecrets }: ComposeProject) {
  const { check } = yield* Findings
  const { exitCode, printed } = yield* withoutSecrets("config", "--quiet")
  const says = exitCode !== 0 && printed.includes('run "npm run env" first')
  yield* check(
    "Without its secrets compose says what to do, in one line.",
    says && !printed.includes("\n") ? [] : [printed]
  )
  yield* timed("images built")(compose("build"))
  yield* timed("all healthy")(compose("up", "--detach", "--wait", ...lasting))
})

const firstOrder = Effect.fn("Story.firstOrder")(function* (shop: Shop.Addresses) {
  const { check } = yield* Findings
  const productId = yield* Shop.stockedProduct(shop, "MOUSE-001", 100)
  const { end, orderId } = yield* timed("first order, from POST to its end")(
    Effect.gen(function* () {
      const id = Option.getOrElse(yield* Shop.order(shop, productId, "order-test-001"), () => "declined")
      return { orderId: id, end: yield* Shop.endOf(shop, id) }
    })
  )
  yield* check("The first order is completed.", end === "COMPLETED" ? [] : [`order ${orderId} is ${end}`])
  return { productId, orderId }
})

/** While customers order, processes are killed with -9, the database's too, and the orchestrator is made three. */
const storm = Effect.fn("Story.storm")(function* (project: ComposeProject, shop: Shop.Addresses) {
  const { check, figure } = yield* Findings
  const productId = yield* Shop.stockedProduct(shop, "CROWD-001", 1_000_000)
  const stop = yield* Shop.crowd(shop, productId, 6)
  yield* Effect.sleep("3 seconds")
  yield* timed("inventory killed with -9, until healthy again")(project.kill("inventory"))
  yield* timed("PostgreSQL's processes killed with -9, until it answers")(project.crashDatabase)
  yield* timed("orchestrator from 1 to 3, until all healthy")(scale(project, 3))
  yield* timed("an orchestrator of 3 killed with -9, until healthy again")(project.kill("orchestrator", 2))
  yield* Effect.sleep("3 seconds")
  const { accepted, declined } = yield* stop
  yield* figure("orders accepted meanwhile", String(accepted.length))
  yield* figure("orders declined meanwhile", String(declined))

  const ends = yield* Effect.forEach(
    accepted,
    (orderId) => Effect.map(Shop.endOf(shop, orderId), (end) => ({ orderId, end })),
    { concurrency: 8 }
  )
  const counts = Map.groupBy(ends, ({ end }) => end)
  for (const [end, orders] of counts) yield* figure(`orders accepted meanwhile and now ${end}`, String(orders.length))
  yield* check(
    "Every order that was accepted has come to its end.",
    ends.filter(({ end }) => end === "on its way still").map(({ orderId }) => `order ${orderId} is on its way still`)
  )
})

const scale = ({ compose }: ComposeProject, count: number) =>
  compose("up", "--detach", "--wait", "--no-deps", "--no-recreate", `--scale=orchestrator=${count}`, "orchestrator")

/** Nobody dies now: whatever is told arrives. */
const calm = Effect.fn("Story.calm")(function* (project: ComposeProject, shop: Shop.Addresses) {
  const { check, note } = yield* Findings
  const productId = yield* Shop.stockedProduct(shop, "CALM-001", 1000)
  const keys = Array.from({ length: 30 }, (_, number) => `calm-${number}`)
  const placed = yield* Effect.forEach(keys, (key) => Shop.order(shop, productId, key), { concurrency: 10 })
  const orderIds = placed.flatMap(Option.toArray)
  yield* Effect.forEach(orderIds, (orderId) => Shop.endOf(shop, orderId), { concurrency: 10 })

  const sentence = `Each of ${orderIds.length} orders is one trace, with spans of all ${services.length} services.`
  const url = `${project.urlOf("OTLP_HTTP_PORT")}/received`
  // What ends last is exported last.
  yield* Effect.sleep("5 seconds")
  const spans = yield* receivedAt(url)
  if (spans === undefined)
    return yield* note(`Not checked: ${sentence} The collector does not tell what it has received.`)
  yield* check(sentence, OrderTraces.complaints(spans, orderIds, services))
})

/** A collector made for tests lists what it has received; Grafana's own does not. */
const receivedAt = Effect.fnUntraced(
  function* (url: string) {
    const response = yield* HttpClient.get(url)
    if (response.status !== 200) return undefined
    const { traces } = yield* Effect.flatMap(response.json, decodeReceived)
    return traces.flatMap(Received.spansIn)
  },
  Effect.catchTag("HttpClientError", () => Effect.undefined)
)

const decodeReceived = Schema.decodeUnknownEffect(Schema.Struct({ traces: Schema.Array(Received.Traces) }))

const Usage = Schema.fromJsonString(Schema.Struct({ Name: Schema.String, MemUsage: Schema.String }))

const measure = Effect.fn("Story.measure")(function* ({ compose, name }: ComposeProject) {
  const { figure } = yield* Findings
  const ids = (yield* compose("ps", "--quiet")).split("\n")
  const lines = (yield* Docker.ask(["stats", "--no-stream", "--format={{json .}}", ...ids])).split("\n")
  const usages = yield* Effect.forEach(lines, (line) => Schema.decodeEffect(Usage)(line))
  for (const { MemUsage, Name } of usages.toSorted((a, b) => a.Name.localeCompare(b.Name))) {
    yield* figure(`memory of ${Name.replace(`${name}-`, "")}`, MemUsage)
  }
  yield* Effect.forEach(services, (service) =>
    Effect.flatMap(Docker.ask(["image", "inspect", "--format={{.Size}}", `${name}-${service}`]), (size) =>
      figure(`image of ${service}`, megabytes(size))
    )
  )
  const base = yield* Docker.run(["image", "inspect", "--format={{.Size}}", "node:24-bookworm-slim"])
  if (base.exitCode === 0) yield* figure("of which node:24-bookworm-slim", megabytes(base.stdout))
})

const megabytes = (bytes: string) => `${(Number(bytes) / 1_000_000).toFixed(0)} MB`

const lookAtTheBooks = Effect.fn("Story.lookAtTheBooks")(function* ({ operate }: ComposeProject, orderId: string) {
  const { check } = yield* Findings
  const programs = [
    { sentence: "What all services have stored fits together (audit).", words: ["audit", "--wait", "180"] },
    { sentence: "Payment's books agree with the processor's (reconcile).", words: ["reconcile"] },
    { sentence: "Operators see who reads whose events (feeds).", words: ["feeds"] },
    { sentence: "Operators read an order's story (sagas show).", words: ["sagas", "show", orderId] }
  ]
  yield* Effect.forEach(programs, ({ sentence, words }) =>
    Effect.flatMap(operate(...words), ({ exitCode, printed, stdout }) =>
      check(sentence, exitCode === 0 ? [] : (stdout === "" ? printed : stdout).split("\n").slice(-40))
    )
  )
})

const goDownAndComeBack = Effect.fn("Story.goDownAndComeBack")(function* (
  { compose, name, statesOf }: ComposeProject,
  shop: Shop.Addresses,
  first: { readonly productId: string; readonly orderId: string }
) {
  const { check } = yield* Findings
  yield* timed("all stopped")(compose("stop"))
  const ours = [...services, "postgres"]
  const codes = yield* Effect.forEach(ours, (service) =>
    Effect.map(statesOf(service), (states) => states.map(({ exitCode }) => ({ service, exitCode })))
  )
  yield* check(
    "Whoever is asked to stop does so in time, and ends with 0.",
    codes
      .flat()
      .filter(({ exitCode }) => exitCode !== 0)
      .map(({ exitCode, service }) => `${service} ended with ${exitCode}`)
  )

  yield* compose("down")
  yield* timed("all healthy, with what was there")(compose("up", "--detach", "--wait", ...lasting))
  const isThere = yield* Shop.hasProduct(shop, first.productId)
  const status = yield* Shop.statusOf(shop, first.orderId)
  yield* check("down keeps the data.", [
    ...(isThere ? [] : [`product ${first.productId} is gone`]),
    ...(status === "COMPLETED" ? [] : [`order ${first.orderId} is ${status}`])
  ])

  yield* compose("down", "--volumes")
  const left = yield* Docker.ask(["volume", "ls", "--quiet", `--filter=label=com.docker.compose.project=${name}`])
  yield* check("down --volumes drops it.", left === "" ? [] : left.split("\n"))
})
