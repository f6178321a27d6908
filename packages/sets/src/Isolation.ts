/**
 * One bad item never spoils a set, and a set that got in another one's way is simply done again.
 *
 * An operation on a set runs as one transaction. What may go wrong with it is settled here, once for all operations:
 *
 * - The same key twice in one set: what asks for the same is run once and answers both. What asks for something else
 *   under that key is run afterwards, and judged like any later request: by what is stored under the key.
 * - A data error (SQLSTATE class 22 or 23, or a value that the driver cannot encode) fails the whole transaction without saying which item it was. The set is
 *   done again in halves, and their halves, until the bad item is alone; all others are done.
 * - A deadlock or a serialization failure: the whole set once more, a few times, with a pause by chance.
 */
import { Effect, Predicate, Schedule } from "effect"
import type { SqlError } from "effect/sql"

export interface Operation<Item, Outcome, R> {
  /** One transaction for all of these items, each with a key of its own; one outcome an item, in their order. */
  readonly run: (items: ReadonlyArray<Item>) => Effect.Effect<ReadonlyArray<Outcome>, SqlError.SqlError, R>
  readonly keyOf: (item: Item) => string
  /** Equal for two items that ask for the same. */
  readonly contentOf: (item: Item) => string
  readonly onBadItem: (item: Item) => Outcome
}

export const isolated = <Item, Outcome, R>(operation: Operation<Item, Outcome, R>) => {
  const requestOf = (item: Item) => JSON.stringify([operation.keyOf(item), operation.contentOf(item)])

  const runAll = (
    items: ReadonlyArray<Item>,
    known: ReadonlyMap<string, Outcome>
  ): Effect.Effect<ReadonlyMap<string, Outcome>, SqlError.SqlError, R> => {
    const open = items.filter((item) => !known.has(requestOf(item)))
    if (open.length === 0) return Effect.succeed(known)
    const round = oneForEach(open, operation.keyOf)
    return Effect.flatMap(runInHalves(operation, round), (outcomes) => {
      const decided = round.flatMap((item, place) =>
        outcomes.slice(place, place + 1).map((outcome) => [requestOf(item), outcome] as const)
      )
      return runAll(open, new Map([...known, ...decided]))
    })
  }

  return (items: ReadonlyArray<Item>): Effect.Effect<ReadonlyArray<Outcome>, SqlError.SqlError, R> =>
    Effect.map(runAll(items, new Map()), (outcomes) =>
      items.flatMap((item) => {
        const outcome = outcomes.get(requestOf(item))
        return outcome === undefined ? [] : [outcome]
      })
    )
}

/** The first of the items with each key. */
const oneForEach = <Item>(items: ReadonlyArray<Item>, keyOf: (item: Item) => string) => {
  const first = new Map<string, Item>()
  for (const item of items) if (!first.has(keyOf(item))) first.set(keyOf(item), item)
  return [...first.values()]
}

const runInHalves = <Item, Outcome, R>(
  operation: Operation<Item, Outcome, R>,
  items: ReadonlyArray<Item>
): Effect.Effect<ReadonlyArray<Outcome>, SqlError.SqlError, R> =>
  items.length === 0
    ? Effect.succeed([])
    : operation.run(items).pipe(
        Effect.retry({ while: isInTheWay, schedule: pauses, times: 5 }),
        Effect.catchIf(isDataError, (error) => {
          const [only] = items
          if (items.length === 1 && only !== undefined) {
            return Effect.as(logBadItem(operation.keyOf(only), error), [operation.onBadItem(only)])
          }
          const middle = Math.ceil(items.length / 2)
          // One after the other: the order of the items is the order in which they get what is scarce.
          return Effect.map(
            Effect.all([runInHalves(operation, items.slice(0, middle)), runInHalves(operation, items.slice(middle))]),
            ([left, right]) => [...left, ...right]
          )
        })
      )

/** Said, because it may be a bug of ours. Without what PostgreSQL says of the values, which may be somebody's own. */
const logBadItem = (key: string, error: SqlError.SqlError) =>
  Effect.logWarning("An item cannot be stored").pipe(
    Effect.annotateLogs({ key, sqlState: sqlStateOf(error), constraint: constraintOf(error) })
  )

const pauses = Schedule.exponential("5 millis").pipe(Schedule.jittered)

const isInTheWay = ({ reason }: SqlError.SqlError) =>
  reason._tag === "DeadlockError" || reason._tag === "SerializationError"

/** PostgreSQL's own, or the driver's when it cannot even write the value down. */
export const isDataError = (error: SqlError.SqlError) =>
  /^2[23]/u.test(sqlStateOf(error)) || Predicate.isTagged(error.reason.cause, "PgTypesCodecError")

const constraintOf = ({ reason: { cause } }: SqlError.SqlError) =>
  Predicate.hasProperty(cause, "constraint") && Predicate.isString(cause.constraint) ? cause.constraint : ""

/** The five characters by which PostgreSQL tells its errors apart; empty where the error is not PostgreSQL's. */
export const sqlStateOf = ({ reason: { cause } }: SqlError.SqlError): string =>
  Predicate.hasProperty(cause, "code") && Predicate.isString(cause.code) ? cause.code : ""
