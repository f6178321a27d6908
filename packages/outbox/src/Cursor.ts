/**
 * A place in a feed: everything up to it has been read.
 *
 * Rows are ordered by generation (which server wrote them), transaction, and place in it. What is given away is opaque: it
 * means something to the service alone that gave it.
 */
import { cursorOf } from "@ecommerce/protocol/Page"
import { Option, Schema, SchemaGetter } from "effect"

export interface Position {
  readonly generation: number
  /** Transaction ids have 64 bits; as text they lose nothing. */
  readonly xid: string
  readonly seq: string
}

/** Before every row. */
export const start: Position = { generation: 0, xid: "0", seq: "0" }

const toPosition = (place: string): Position => {
  const [generation = "0", xid = "0", seq = "0"] = place.split(".")
  return { generation: Number(generation), xid, seq }
}

/** Nothing that PostgreSQL could not hold. */
const isStorable = (place: string) => {
  const { generation, seq, xid } = toPosition(place)
  return generation <= Number.MAX_SAFE_INTEGER && BigInt(xid) < 2n ** 64n && BigInt(seq) < 2n ** 63n
}

const Place = Schema.String.check(
  Schema.isPattern(/^[0-9]{1,16}\.[0-9]{1,20}\.[0-9]{1,19}$/u, { expected: "a place" }).abort(),
  Schema.makeFilter(isStorable, { expected: "a place" })
)

export const idOf = ({ generation, seq, xid }: Position): string => `${generation}.${xid}.${seq}`

/** As it travels. */
export const Cursor = cursorOf(Place).pipe(
  Schema.decodeTo(Schema.Struct({ generation: Schema.Int, xid: Schema.String, seq: Schema.String }), {
    decode: SchemaGetter.transform(toPosition),
    encode: SchemaGetter.transform(idOf)
  })
)

const decode = Schema.decodeUnknownOption(Cursor)

/** Whether a reader that goes from one to the other stays with one history. One that comes from nowhere does not. */
export const isOneHistory = (from: string | null, to: string): boolean => {
  const [one, other] = [decode(from), decode(to)]
  return Option.isSome(one) && Option.isSome(other) && one.value.generation === other.value.generation
}
