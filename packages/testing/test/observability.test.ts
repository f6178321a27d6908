/**
 * Whether dashboards and alerts ask for what services really export, and whether an alert tells whoever it wakes what to do.
 */
import { TestDatabase } from "@ecommerce/testing/TestDatabase"
import { WholeStack } from "@ecommerce/testing/WholeStack"
import { NodeHttpClient } from "@effect/platform-node"
import { assert, describe, it, layer } from "@effect/vitest"
import { Effect, Layer, References } from "effect"

import * as OtlpReceiver from "../src/OtlpReceiver.ts"
import * as Exported from "./observability/Exported.ts"
import * as Files from "./observability/Files.ts"
import * as Happenings from "./observability/Happenings.ts"
import { askedBy } from "./observability/PromQl.ts"
import * as Tree from "./tidy/Tree.ts"

const stack = Layer.unwrap(
  Effect.map(OtlpReceiver.settings, (settings) =>
    WholeStack.layer({ ...settings, OTEL_METRIC_EXPORT_INTERVAL: "2000", LOG_LEVEL: "Info" })
  )
).pipe(
  Layer.provideMerge(TestDatabase.layer),
  Layer.provideMerge(NodeHttpClient.layerUndici),
  Layer.provideMerge(Layer.succeed(References.MinimumLogLevel, "None")),
  Layer.provideMerge(OtlpReceiver.OtlpReceiver.layer)
)

const missing = (exported: Exported.Exported, questions: ReadonlyArray<Files.Question>) =>
  questions.flatMap(({ place, query, shown }) => [
    ...Exported.missingFrom(exported, query).map((lack) => `${place}: ${lack}`),
    ...shown
      .filter((label) => !askedBy(query).some(({ metric }) => exported.get(metric)?.has(label) === true))
      .map((label) => `${place}: no metric has the label ${label} that is shown`)
  ])

layer(stack, { excludeTestServices: true })("what dashboards and alerts ask for", (it) => {
  it.effect("is exported, under these names and with these labels, at /metrics and over OTLP", () =>
    Effect.gen(function* () {
      yield* Happenings.orders
      const lacks = Effect.map(Happenings.exported, ({ received, scraped }) => ({
        scraped: missing(scraped, Files.questions),
        received: missing(received, Files.questions)
      }))
      yield* Happenings.untilExported(
        Effect.map(lacks, ({ received, scraped }) => received.length + scraped.length === 0)
      )
      assert.deepStrictEqual(yield* lacks, { scraped: [], received: [] })
    })
  )

  it.effect("has the same names at /metrics and over OTLP, where Prometheus makes its own of them", () =>
    Effect.gen(function* () {
      const { received, scraped } = yield* Happenings.exported
      assert.deepStrictEqual([...received.keys()].toSorted(), [...scraped.keys()].toSorted())
    })
  )

  it.effect("is missed where no such metric, label or value is exported", () =>
    Effect.gen(function* () {
      const { scraped } = yield* Happenings.exported
      const lacks = (query: string, shown: ReadonlyArray<string> = []) =>
        missing(scraped, [{ place: "here", query, shown }])
      assert.deepStrictEqual(lacks('max by (job) (sagas_stuck{job=~"$service"})', ["job"]), [])
      assert.deepStrictEqual(lacks("sum(rate(sagas_asleep_total[5m]))"), [
        "here: there is no metric sagas_asleep_total"
      ])
      assert.deepStrictEqual(lacks('sagas_ended_total{fate="completed"}'), [
        "here: sagas_ended_total has no label fate"
      ])
      assert.deepStrictEqual(lacks('sum(rate(sagas_ended_total{outcome="complete"}[5m])) by (saga)'), [
        'here: sagas_ended_total has never had outcome="complete"'
      ])
      assert.deepStrictEqual(lacks("sum(rate(sagas_ended_total[5m])) by (step) / sum(sagas_open)"), [
        "here: sagas_ended_total has no label step"
      ])
      assert.deepStrictEqual(lacks("max(sagas_stuck)", ["step"]), ["here: no metric has the label step that is shown"])
    })
  )

  it.effect("are attributes that spans and log lines have", () =>
    Effect.gen(function* () {
      const { lines, spans } = yield* OtlpReceiver.OtlpReceiver
      const ofSpans = new Set((yield* spans).flatMap(({ attributes }) => Object.keys(attributes)))
      const ofLines = new Set((yield* lines).flatMap(({ attributes }) => Object.keys(attributes)))
      const attributes = Files.questionsOf("tempo").flatMap(({ place, query }) =>
        [...query.matchAll(/span\.([\w.]+)/gu)].map(([, name = ""]) => ({ place, name }))
      )
      assert.isNotEmpty(attributes)
      assert.deepStrictEqual(
        attributes.filter(({ name }) => !ofSpans.has(name)),
        []
      )
      // Loki writes a dot as an underscore.
      const keys = new Set([...ofLines].map((name) => name.replaceAll(".", "_")))
      const asked = Files.questionsOf("loki").flatMap(({ place, query }) =>
        [...query.matchAll(/\| *(\w+) *=~?/gu)].map(([, name = ""]) => ({ place, name }))
      )
      assert.isNotEmpty(asked)
      assert.deepStrictEqual(
        asked.filter(({ name }) => !keys.has(name)),
        []
      )
    })
  )
})

describe("a query", () => {
  it.each([
    ["a{b='c'}", ["a b=c"]],
    ['sum by (x, y) (rate(a_total{b="c",d=~"e|f"}[5m])) > 0.5', ["a_total b=c d x y"]],
    ["sum(rate(a[$__rate_interval])) by (x) / ignoring (y) group_left sum(b offset 5m)", ["a x", "b"]],
    ['(count(count_over_time(a{job="$job"}[2m])) or vector(0)) < 1e3', ["a job=$job"]],
    [
      "histogram_quantile(0.95, sum by (le) (rate(a_bucket[5m]))) unless on (x) max without (y) (b)",
      ["a_bucket le", "b y"]
    ]
  ])("is taken apart into metrics and labels: %s", (query, parts) => {
    const asked = askedBy(query).map(({ labels, metric }) =>
      [metric, ...labels.map(({ name, value }) => (value === undefined ? name : `${name}=${value}`))].join(" ")
    )
    assert.deepStrictEqual(asked, parts)
  })

  it.each(["a{b=`c`}", "sum(a", '{__name__="a"}', "a & b"])("is refused where it cannot be read: %s", (query) => {
    assert.throws(() => askedBy(query))
  })
})

describe("a dashboard", () => {
  it.each(Files.dashboards)("says of each panel what it shows, and has each once: $path", ({ panels }) => {
    const shown = panels.filter(({ type }) => type !== "row")
    assert.isNotEmpty(shown)
    assert.deepStrictEqual(
      shown.filter(({ description = "" }) => description.length < 20).map(({ title }) => title),
      []
    )
    assert.lengthOf(new Set(panels.map(({ id }) => id)), panels.length)
    assert.lengthOf(new Set(panels.map(({ title }) => title)), panels.length)
  })

  it("is provided by a folder that the README names as the place of its file", () => {
    const [provider] = Files.providers
    assert.include(Files.textOf("observability/README.md"), provider?.options.path ?? "nowhere")
  })
})

const parts = ["What it means", "What customers notice", "What to look at", "What to do", "It is over when"]

describe("an alert", () => {
  it.each(Files.alerts)("compares, and leads to a panel: $title", ({ annotations, condition, data }) => {
    assert.include(
      data.map(({ refId }) => refId),
      condition
    )
    const { __dashboardUid__: ofDashboard, __panelId__: panel } = annotations
    const panels = Files.dashboards.find(({ uid }) => uid === ofDashboard)?.panels ?? []
    assert.include(
      panels.map(({ id }) => String(id)),
      panel
    )
  })

  it.each(Files.alerts)(
    "has a section in the runbook that says all there is to say: $title",
    ({ annotations, uid }) => {
      const [path, anchor = ""] = annotations.runbook_url.split("#")
      assert.deepStrictEqual([path, anchor], ["docs/runbook.md", uid])
      const section = Files.sections.get(anchor) ?? ""
      assert.deepStrictEqual(
        parts.filter((part) => !section.includes(`**${part}`)),
        []
      )
    }
  )

  it("is there for each section of the runbook that is about one, once", () => {
    const about = [...Files.sections].filter(([, text]) => text.includes(`**${parts[0]}`)).map(([anchor]) => anchor)
    assert.deepStrictEqual(about.toSorted(), Files.alerts.map(({ uid }) => uid).toSorted())
  })
})

describe("the runbook", () => {
  it("names only commands that there are", () => {
    const { scripts } = Tree.readManifest(Files.textOf("package.json"))
    const named = [...Files.textOf("docs/runbook.md").matchAll(/npm run ([\w:-]+)/gu)].map(([, name = ""]) => name)
    assert.isNotEmpty(named)
    assert.deepStrictEqual(
      named.filter((name) => !Object.hasOwn(scripts, name)),
      []
    )
  })
})
