/**
 * Serving commands: a batch in, one outcome an item, in order.
 *
 * What every command needs is done here, once: an item that cannot be read fails alone; the same item twice runs once;
 * an item that PostgreSQL cannot store is found by halving, and the others are done; a deadlock is run again (all of it in
 * `@ecommerce/sets/Isolation`). What remains for a command is one transaction over a set of distinct keys.
 */
import { isTraceparent, spanOf } from "@ecommerce/protocol/Traceparent"
import { isolated } from "@ecommerce/sets/Isolation"
import { type Outcomes, successes } from "@ecommerce/sets/Sets"
import * as Trace from "@ecommerce/telemetry/Trace"
import { Effect, Fiber, Option, Predicate, Result } from "effect"
import type { SqlError } from "effect/sql"

import { BadItem, type Command, type General, type KeyConflict, type Received, type Unavailable } from "./Command.ts"
import * as Wire from "./Wire.ts"

/**
 * One transaction for all of these items, each with a key of its own; one outcome an item, in their order. A key that
 * was used before is judged by what is stored under it: the same digest has the same answer, another one KeyConflict.
 */
export type Run<Payload, Success, Refusal> = (
  items: ReadonlyArray<Received<Payload>>
) => Effect.Effect<Outcomes<Success, Refusal | KeyConflict | Unavailable>, SqlError.SqlError>

/** The operation of a command, for whatever items come: duplicates, conflicts and items that cannot be stored included. */
export const operation = <Payload, Success, Refusal>(run: Run<Payload, Success, Refusal>) =>
  isolated<Received<Payload>, Result.Result<Success, Refusal | General>, never>({
    run,
    keyOf: ({ key }) => key,
    contentOf: ({ digest }) => digest,
    onBadItem: ({ key }) => Result.fail(new BadItem({ key, reason: "It cannot be stored." }))
  })

/** An item that comes without a wire: from a test, or from the service itself. */
export const receive = <Payload, Success, Refusal>(
  command: Command<Payload, Success, Refusal>,
  payload: Payload,
  traceparent: string | null = null
): Received<Payload> => ({ key: command.keyOf(payload), digest: command.digestOf(payload), traceparent, payload })

/** A trace that is none is left out: telemetry never decides over an order. */
const traceparentIn = ({ traceparent }: { readonly traceparent?: unknown }) =>
  Predicate.isString(traceparent) && isTraceparent(traceparent) ? traceparent : null

/** To which trace each key's item belongs, for the events that tell of it. */
export const tracesOf = (items: ReadonlyArray<Received<unknown>>): ReadonlyMap<string, string | null> =>
  new Map(items.map(({ key, traceparent }) => [key, traceparent]))

/**
 * Whoever asked may have hung up: what has begun is done all the same, because an operation that is cut off half-way leaves
 * more work behind than it saves. Its place among the batches is taken until then.
 */
export const toTheEnd = <A, E, R>(work: Effect.Effect<A, E, R>) =>
  Effect.uninterruptible(Effect.flatMap(Effect.forkDetach(Effect.interruptible(work)), Fiber.join))

/** The endpoint's handler: `"reserve-stock": CommandServer.handler(reserveStock, reservations.reserve)`. */
export const handler = <Payload, Success, Refusal>(
  command: Command<Payload, Success, Refusal>,
  run: Run<Payload, Success, Refusal>
) => {
  const execute = operation(run)
  const complaintOf = Wire.complaintOf(command.payload)

  const read = (item: Wire.Item<Payload>): Result.Result<Received<Payload>, BadItem> => {
    if ("unreadable" in item) return Result.fail(new BadItem(complaintOf(item.unreadable)))
    const received = receive(command, item.payload, traceparentIn(item))
    // Ids may come in capitals; what they are compared by is their one spelling.
    if (item.key.toLowerCase() === received.key.toLowerCase()) return Result.succeed(received)
    return Result.fail(new BadItem({ key: item.key, reason: `Its key is not that of its payload, ${received.key}.` }))
  }

  /** Each item's work is told under its own order, however many come together. */
  const inTheirTraces = (
    received: ReadonlyArray<Received<Payload>>,
    work: Effect.Effect<ReadonlyArray<Result.Result<Success, Refusal | General>>>
  ) =>
    Trace.eachOf(
      "server",
      received.map(({ payload, traceparent }) => ({
        name: command.name,
        parent: Option.getOrUndefined(spanOf(traceparent)),
        attributes: { "rpc.method": command.name, ...Trace.idsIn(payload) }
      }))
    )(work, (outcomes) => outcomes.map((outcome) => (Result.isFailure(outcome) ? outcome.failure : undefined)))

  return Effect.fnUntraced(function* (request: { readonly payload: Wire.Batch<Payload> }) {
    const items = request.payload.commands.map(read)
    const received = successes(items)
    const outcomes = yield* toTheEnd(inTheirTraces(received, Effect.orDie(execute(received))))
    const next = outcomes.values()
    return {
      outcomes: items.map((item) => {
        if (Result.isFailure(item)) return Result.fail(item.failure)
        const { value } = next.next()
        if (value === undefined) throw new Error(`${command.name} did not answer every item`)
        return value
      })
    }
  })
}
