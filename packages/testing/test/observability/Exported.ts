/**
 * What services export, as Prometheus has it: every metric with its labels and the values that they had. Once as whoever scrapes
 * `/metrics` sees it, and once as it comes over OTLP, where Prometheus makes names and labels of its own.
 */
import { Schema } from "effect"

import { askedBy } from "./PromQl.ts"

type Labels = Map<string, Set<string>>
export type Exported = ReadonlyMap<string, ReadonlyMap<string, ReadonlySet<string>>>

interface Sample {
  readonly name: string
  readonly labels: ReadonlyArray<readonly [name: string, value: string]>
}

export const of = (samples: ReadonlyArray<Sample>): Exported => {
  const exported = new Map<string, Labels>()
  for (const { labels, name } of samples) {
    const known: Labels = exported.get(name) ?? new Map()
    exported.set(name, known)
    for (const [label, value] of labels) known.set(label, (known.get(label) ?? new Set()).add(value))
  }
  return exported
}

/** A page of `/metrics`; whoever scrapes it adds where it is from. */
export const scraped = (service: string, text: string): ReadonlyArray<Sample> =>
  text
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("#"))
    .map((line) => ({
      name: /^[\w:]+/u.exec(line)?.[0] ?? "",
      labels: [
        ...jobOf(service, "scraped"),
        ...[...line.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/gu)].map(
          ([, label = "", value = ""]): readonly [string, string] => [label, value]
        )
      ]
    }))

const jobOf = (service: string, instance: string): ReadonlyArray<readonly [string, string]> => [
  ["job", `ecommerce/${service}`],
  ["instance", instance]
]

const Attributes = Schema.optionalKey(
  Schema.Array(
    Schema.Struct({ key: Schema.String, value: Schema.Struct({ stringValue: Schema.optionalKey(Schema.String) }) })
  )
)
const DataPoints = Schema.Struct({
  isMonotonic: Schema.optionalKey(Schema.Boolean),
  dataPoints: Schema.Array(
    Schema.Struct({ attributes: Attributes, explicitBounds: Schema.optionalKey(Schema.Array(Schema.Number)) })
  )
})
const OtlpMetric = Schema.Struct({
  name: Schema.String,
  unit: Schema.optionalKey(Schema.String),
  sum: Schema.optionalKey(DataPoints),
  gauge: Schema.optionalKey(DataPoints),
  histogram: Schema.optionalKey(DataPoints)
})
const Metrics = Schema.Struct({
  resourceMetrics: Schema.Array(
    Schema.Struct({
      resource: Schema.Struct({ attributes: Attributes }),
      scopeMetrics: Schema.Array(Schema.Struct({ metrics: Schema.Array(OtlpMetric) }))
    })
  )
})
const decode = Schema.decodeUnknownSync(Schema.fromJsonString(Metrics))

/** One export over OTLP. */
export const received = (body: string): ReadonlyArray<Sample> =>
  decode(body).resourceMetrics.flatMap(({ resource, scopeMetrics }) => {
    const from = new Map(labelsOf(resource.attributes))
    // So Prometheus names who it was; without the namespace the job is the bare name.
    const namespace = from.get("service.namespace")
    const job = [...(namespace === undefined ? [] : [namespace]), from.get("service.name")].join("/")
    const common: Sample["labels"] = [
      ["job", job],
      ["instance", from.get("service.instance.id") ?? ""]
    ]
    return scopeMetrics.flatMap(({ metrics }) =>
      metrics.flatMap((metric) => {
        const name = nameOf(metric)
        const points = (metric.sum ?? metric.gauge ?? metric.histogram)?.dataPoints ?? []
        return points.flatMap(({ attributes, explicitBounds }) => {
          const labels = [...common, ...labelsOf(attributes)]
          if (explicitBounds === undefined) return [{ name, labels }]
          return [
            { name: `${name}_sum`, labels },
            { name: `${name}_count`, labels },
            ...explicitBounds.map((bound): Sample => ({
              name: `${name}_bucket`,
              labels: [...labels, ["le", String(bound)]]
            }))
          ]
        })
      })
    )
  })

const labelsOf = (attributes: typeof Attributes.schema.Type = []) =>
  attributes.map(({ key, value }): readonly [string, string] => [key, value.stringValue ?? ""])

const words = new Map([
  ["s", "seconds"],
  ["By", "bytes"],
  ["1", ""]
])

/**
 * The unit belongs to the name, and so does `total` for what only rises; a gauge of the unit 1 is taken for a ratio. As in
 * https://github.com/prometheus/otlptranslator, which Prometheus uses unless told otherwise.
 */
const nameOf = ({ gauge, name, sum, unit = "" }: typeof OtlpMetric.Type) => {
  const tokens = name.split("_")
  const add = (word: string) => (word === "" || tokens.includes(word) ? undefined : tokens.push(word))
  add(unit.includes("{") ? "" : (words.get(unit) ?? unit))
  if (sum?.isMonotonic === true) add("total")
  if (gauge !== undefined && unit === "1") add("ratio")
  return tokens.join("_")
}

/** What a query asks for that is not there. */
export const missingFrom = (exported: Exported, query: string): ReadonlyArray<string> =>
  askedBy(query).flatMap(({ labels, metric }) => {
    const known = exported.get(metric)
    if (known === undefined) return [`there is no metric ${metric}`]
    return labels.flatMap(({ name, value }) => {
      const values = known.get(name)
      if (values === undefined) return [`${metric} has no label ${name}`]
      if (value === undefined || value.includes("$") || values.has(value)) return []
      return [`${metric} has never had ${name}="${value}"`]
    })
  })
