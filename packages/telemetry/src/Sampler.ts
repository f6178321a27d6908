/**
 * Which traces are recorded, as `OTEL_TRACES_SAMPLER` and `OTEL_TRACES_SAMPLER_ARG` say.
 *
 * A ratio looks at the trace's id alone, so that every service decides the same about one order, with nobody asked.
 */

export const names = [
  "always_on",
  "always_off",
  "traceidratio",
  "parentbased_always_on",
  "parentbased_always_off",
  "parentbased_traceidratio"
] as const

export type Name = (typeof names)[number]

export interface Sampler {
  /** Of a trace that begins here. */
  readonly root: (traceId: string) => boolean
  /** Of a trace that came from elsewhere, whose caller has decided so. */
  readonly child: (isParentSampled: boolean, traceId: string) => boolean
  /** Every span of every trace: nothing has to be held back for those that fail. */
  readonly isAll: boolean
}

export const make = (name: Name, ratio: number): Sampler => {
  const root = rootOf(name.replace("parentbased_", ""), ratio)
  const isParentBased = name.startsWith("parentbased_")
  return {
    root,
    child: (isParentSampled, traceId) => (isParentBased ? isParentSampled : root(traceId)),
    isAll: !isParentBased && (name === "always_on" || (name === "traceidratio" && ratio >= 1))
  }
}

const rootOf = (name: string, ratio: number): Sampler["root"] => {
  if (name === "always_on") return () => true
  if (name === "always_off") return () => false
  // The last 7 bytes are those that are random by W3C Trace Context, whoever made the id.
  return (traceId) => Number.parseInt(traceId.slice(-13), 16) < ratio * 2 ** 52
}
