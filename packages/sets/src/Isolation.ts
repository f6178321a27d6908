/**
 * One bad item never spoils a set, and a set that got in another one's way is simply done again.
 *
 * An operation on a set runs as one transaction. What may go wrong with it is settled here, once for all operations:
 *
 * - The same key twice in one set: the first runs, and a second one with the same content has its outcome. With
 *   another content it is a conflict.
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
  readonly onConflict: (item: Item) => Outcome
  readonly onBadItem: (item: Item) => Outcome
}

export const isolated =
  <Item, Outcome, R>(operation: Operation<Item, Outcome, R>) =>
  (items: ReadonlyArray<Item>): Effect.Effect<ReadonlyArray<Outcome>, SqlError.SqlError, R> =>
    Effect.gen(function* () {
      const first = new Map<string, Item>()
      for (const item of items) if (!first.has(operation.keyOf(item))) first.set(operation.keyOf(item), item)
      const distinct = [...first.values()]
      const outcomes = yield* runInHalves(operation, distinct)
      const outcomeOf = new Map(distinct.map((item, place) => [operation.keyOf(item), outcomes[place]]))
      return items.map((item) => {
        const key = operation.keyOf(item)
        const ran = first.get(key)
        const outcome = outcomeOf.get(key)
        if (ran === undefined || outcome === undefined) throw new Error(`No outcome for the item with the key ${key}`)
        return operation.contentOf(ran) === operation.contentOf(item) ? outcome : operation.onConflict(item)
      })
    })

const runInHalves = <Item, Outcome, R>(
  operation: Operation<Item, Outcome, R>,
  items: ReadonlyArray<Item>
): Effect.Effect<ReadonlyArray<Outcome>, SqlError.SqlError, R> =>
  items.length === 0
    ? Effect.succeed([])
    : operation.run(items).pipe(
        Effect.retry({ while: isInTheWay, schedule: pauses, times: 5 }),
        Effect.catchIf(isDataError, () => {
          const [only] = items
          if (items.length === 1 && only !== undefined) return Effect.succeed([operation.onBadItem(only)])
          const middle = Math.ceil(items.length / 2)
          // One after the other: the order of the items is the order in which they get what is scarce.
          return Effect.map(
            Effect.all([runInHalves(operation, items.slice(0, middle)), runInHalves(operation, items.slice(middle))]),
            ([left, right]) => [...left, ...right]
          )
        })
      )

const pauses = Schedule.exponential("5 millis").pipe(Schedule.jittered)

const isInTheWay = ({ reason }: SqlError.SqlError) =>
  reason._tag === "DeadlockError" || reason._tag === "SerializationError"

/** PostgreSQL's own, or the driver's when it cannot even write the value down. */
const isDataError = (error: SqlError.SqlError) =>
  /^2[23]/u.test(sqlStateOf(error)) || Predicate.isTagged(error.reason.cause, "PgTypesCodecError")

/** The five characters by which PostgreSQL tells its errors apart; empty where the error is not PostgreSQL's. */
export const sqlStateOf = ({ reason: { cause } }: SqlError.SqlError): string =>
  Predicate.hasProperty(cause, "code") && Predicate.isString(cause.code) ? cause.code : ""
