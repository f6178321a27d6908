/**
 * What is under `observability/`, and the runbook, as far as tests look at them.
 */
import { Schema } from "effect"

import * as Tree from "../tidy/Tree.ts"

const checkout = Tree.ofCheckout()

export const textOf = (path: string) => {
  const text = Tree.fileAt(checkout, path)?.text
  if (text === undefined) throw new Error(`${path} is missing`)
  return text
}

/** Files of Grafana in YAML are written as JSON, which YAML takes too, behind comments: so that nothing else has to read them. */
const read = <A>(path: string, schema: Schema.Codec<A, unknown>): A =>
  Schema.decodeUnknownSync(Schema.fromJsonString(schema))(
    textOf(path)
      .split("\n")
      .filter((line) => !line.startsWith("#"))
      .join("\n")
  )

const Source = Schema.Struct({ uid: Schema.String })

const Target = Schema.Struct({
  refId: Schema.String,
  datasource: Source,
  expr: Schema.optionalKey(Schema.String),
  query: Schema.optionalKey(Schema.String),
  legendFormat: Schema.optionalKey(Schema.String)
})

const Panel = Schema.Struct({
  id: Schema.Int,
  type: Schema.String,
  title: Schema.String,
  description: Schema.optionalKey(Schema.String),
  targets: Schema.optionalKey(Schema.Array(Target))
})

const Dashboard = Schema.Struct({
  uid: Schema.String,
  title: Schema.String,
  description: Schema.String,
  templating: Schema.Struct({
    list: Schema.Array(Schema.Struct({ name: Schema.String, definition: Schema.optionalKey(Schema.String) }))
  }),
  panels: Schema.Array(Panel)
})

export const names = ["orders", "services", "messaging"] as const

export const dashboards = names.map((name) => {
  const path = `observability/dashboards/${name}.json`
  return { path, ...read(path, Dashboard) }
})

const Rule = Schema.Struct({
  uid: Schema.String,
  title: Schema.String,
  condition: Schema.String,
  for: Schema.String,
  data: Schema.Array(
    Schema.Struct({
      refId: Schema.String,
      datasourceUid: Schema.String,
      model: Schema.Struct({ expr: Schema.optionalKey(Schema.String) })
    })
  ),
  labels: Schema.Struct({ severity: Schema.Literals(["page", "ticket"]) }),
  annotations: Schema.Struct({
    summary: Schema.String,
    description: Schema.String,
    runbook_url: Schema.String,
    __dashboardUid__: Schema.String,
    __panelId__: Schema.String
  })
})

const Alerts = Schema.Struct({
  apiVersion: Schema.Literal(1),
  groups: Schema.Array(Schema.Struct({ name: Schema.String, rules: Schema.Array(Rule) }))
})

export const alerts = read("observability/grafana/alerts.yaml", Alerts).groups.flatMap(({ rules }) => rules)

export const providers = read(
  "observability/grafana/dashboards.yaml",
  Schema.Struct({
    apiVersion: Schema.Literal(1),
    providers: Schema.Array(
      Schema.Struct({
        name: Schema.String,
        type: Schema.Literal("file"),
        options: Schema.Struct({ path: Schema.String })
      })
    )
  })
).providers

/** The runbook's sections, by the anchors that their headings have. */
export const sections = new Map(
  textOf("docs/runbook.md")
    .split(/^## /mu)
    .slice(1)
    .map((text): readonly [string, string] => {
      const [heading = ""] = text.split("\n")
      const anchor = heading
        .toLowerCase()
        .replaceAll(/[^\w\- ]/gu, "")
        .replaceAll(" ", "-")
      return [anchor, text]
    })
)

export interface Question {
  /** Where it stands, for whoever has to set it right. */
  readonly place: string
  readonly query: string
  /** Labels that are shown beside its answer. */
  readonly shown: ReadonlyArray<string>
}

const shownIn = (text: string) =>
  [...text.matchAll(/\{\{ *(?:\$labels\.)?(\w+) *\}\}/gu)].map(([, label = ""]) => label)

/** Every question to Prometheus. */
export const questions: ReadonlyArray<Question> = [
  ...dashboards.flatMap(({ panels, path, templating }) => [
    ...panels.flatMap(({ targets = [], title }) =>
      targets.flatMap(({ expr, datasource, legendFormat = "", refId }) =>
        datasource.uid === "prometheus" && expr !== undefined
          ? [{ place: `${path}, "${title}", ${refId}`, query: expr, shown: shownIn(legendFormat) }]
          : []
      )
    ),
    ...templating.list.flatMap(({ definition, name }) => {
      const [, query = "", label = ""] = /^label_values\((.+), *(\w+)\)$/u.exec(definition ?? "") ?? []
      return definition === undefined ? [] : [{ place: `${path}, $${name}`, query, shown: [label] }]
    })
  ]),
  ...alerts.flatMap(({ annotations, data, title }) =>
    data.flatMap(({ datasourceUid, model: { expr }, refId }) =>
      datasourceUid === "prometheus" && expr !== undefined
        ? [
            {
              place: `alerts.yaml, "${title}", ${refId}`,
              query: expr,
              shown: shownIn(`${annotations.summary} ${annotations.description}`)
            }
          ]
        : []
    )
  )
]

/** What is asked of Tempo and of Loki. */
export const questionsOf = (source: "tempo" | "loki") =>
  dashboards.flatMap(({ panels, path }) =>
    panels.flatMap(({ targets = [], title }) =>
      targets.flatMap(({ datasource, expr, query }) =>
        datasource.uid === source ? [{ place: `${path}, "${title}"`, query: query ?? expr ?? "" }] : []
      )
    )
  )
