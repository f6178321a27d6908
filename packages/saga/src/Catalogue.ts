/**
 * The definitions that are known here, each version by itself.
 */
import { Result } from "effect"

import * as Decide from "./Decide.ts"
import type { Definition, NewSaga } from "./Saga.ts"
import type { Opening } from "./SagaStore.ts"
import { type Held, storedOf } from "./SagaStore/Rows.ts"

interface Versioned {
  readonly definition: string
  readonly definitionVersion: number
}

export const make = <R>(definitions: ReadonlyArray<Definition<R>>) => {
  const known = new Map(
    definitions.map((definition) => [
      nameOf({ definition: definition.name, definitionVersion: definition.version }),
      definition
    ])
  )
  const find = (saga: Versioned) => known.get(nameOf(saga))

  /** Only what is known is claimed, and only what is known is begun. */
  const definitionOf = (saga: Versioned) => {
    const definition = find(saga)
    if (definition === undefined) throw new Error(`There is no definition ${nameOf(saga)} here`)
    return definition
  }

  const openingOf = (saga: NewSaga): Opening => ({ saga, decision: Decide.begin(definitionOf(saga).plan) })

  /** What takes back a saga that is completed, where something does; of an old version too. It belongs to the same trace. */
  const takeBack = (saga: Held): Opening | undefined => {
    const newest = definitions
      .filter(({ name }) => name === saga.definition)
      .toSorted((a, b) => b.version - a.version)[0]
    const next = (find(saga) ?? newest)?.afterwards?.(storedOf(saga))
    return next === undefined ? undefined : openingOf({ ...next, traceparent: next.traceparent ?? saga.traceparent })
  }

  /**
   * The same for one that this completes: it begins in that transaction, if somebody has asked to cancel by then. Where there can
   * be none (its input cannot be read any more), the saga has its end all the same.
   */
  const followUp = (saga: Held, { state }: Decide.Decision): Opening | undefined =>
    state.status === "COMPLETED" ? Result.getOrUndefined(Result.try(() => takeBack(saga))) : undefined

  return {
    find,
    definitionOf,
    openingOf,
    takeBack,
    followUp,
    names: [...new Set(definitions.map(({ name }) => name))],
    versions: definitions.map(({ name, version }) => ({ name, version }))
  }
}

const nameOf = ({ definition, definitionVersion }: Versioned) => `${definition} ${definitionVersion}`
