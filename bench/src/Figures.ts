/**
 * What a bench has found: figures with a name for programs and a title for people, each with the value of every run.
 */
import { type Effect, Schema } from "effect"

import { spread } from "./Statistics.ts"

export const Figure = Schema.Struct({
  /** `stack.c128.completed`: which part, which scenario, which measure. It never changes, so that results stay comparable. */
  id: Schema.String,
  group: Schema.String,
  title: Schema.String,
  unit: Schema.String,
  better: Schema.Literals(["more", "less", "neither"]),
  runs: Schema.Array(Schema.Number)
})
export type Figure = typeof Figure.Type

export const Results = Schema.Struct({
  at: Schema.String,
  commit: Schema.String,
  machine: Schema.Record(Schema.String, Schema.String),
  /** What was left out or made smaller: figures of a quick look are none to be quoted. */
  isQuick: Schema.Boolean,
  figures: Schema.Array(Figure),
  ratios: Schema.Array(
    Schema.Struct({
      name: Schema.String,
      value: Schema.Number,
      wanted: Schema.String,
      isReached: Schema.Boolean
    })
  ),
  /** Runs that do not count, and why. */
  discarded: Schema.Array(Schema.String)
})
export type Results = typeof Results.Type

export const File = Schema.fromJsonString(Results)

export type Measure = Omit<Figure, "runs" | "group"> & { readonly value: number | undefined }

/** Told as soon as it is known: what comes later may fail. */
export type Tell = (measures: ReadonlyArray<Measure>) => Effect.Effect<void>

/** What one run has found joins what earlier runs of the same scenario have. */
export const join = (
  figures: ReadonlyArray<Figure>,
  group: string,
  measures: ReadonlyArray<Measure>
): ReadonlyArray<Figure> => {
  const byId = new Map(figures.map((figure) => [figure.id, figure]))
  for (const { value, ...measure } of measures) {
    if (value === undefined || !Number.isFinite(value)) continue
    const known = byId.get(measure.id)
    byId.set(measure.id, { ...measure, group, runs: [...(known?.runs ?? []), value] })
  }
  return [...byId.values()]
}

export const medianOf = (figures: ReadonlyArray<Figure>, id: string): number | undefined => {
  const figure = figures.find((one) => one.id === id)
  return figure === undefined ? undefined : spread(figure.runs)?.median
}
