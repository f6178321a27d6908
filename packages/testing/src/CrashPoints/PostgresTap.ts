/**
 * Reads along between a service and PostgreSQL: what is about to be committed, and what was.
 *
 * A transaction is known by the tables that it has written. A statement that writes outside of a transaction is one by itself.
 */
import type { Moment, Piece, Tap } from "./Tap.ts"

/** What the service waits for: the end of a statement, with what it commits; or the end of all that it has sent together. */
type Expected =
  | { readonly _tag: "Statement"; readonly commits: string | undefined; readonly isByItself: boolean }
  | { readonly _tag: "Sync" }

const written = /(?:\bINSERT INTO|\bDELETE FROM|(?<!\bFOR |\bKEY |\bDO )\bUPDATE)\s+(?!SET\b)([a-z_]+)/giu
const subqueries = /(?:\bWITH|,)\s+([a-z_]+) AS \(/giu

/** Statements that write the same tables are told apart by the names of their parts. */
const writesOf = (sql: string) => {
  const tables = Array.from(sql.matchAll(written), ([, table = ""]) => table)
  if (tables.length === 0) return []
  const parts = Array.from(sql.matchAll(subqueries), ([, part = ""]) => part)
  return [parts.length === 0 ? tables.join("+") : `${tables.join("+")} (${parts.join(", ")})`]
}

export const make = (service: string): Tap => {
  const statements = new Map<string, string>()
  const portals = new Map<string, string>()
  const expected: Array<Expected> = []
  const fromService = new Framing(true)
  const fromPostgres = new Framing(false)
  const held: Array<Buffer> = []
  const settled: Array<Moment> = []
  let transaction: Set<string> | undefined

  const momentOf = (commits: string, when: Moment["when"]): Moment => ({ service, what: `commits ${commits}`, when })

  /** What this statement commits, when it is executed. */
  const execute = (sql: string): ReadonlyArray<Moment> => {
    const isByItself = !/^\s*(?:COMMIT|END)\b/iu.test(sql)
    const commits = committedBy(sql)
    expected.push({ _tag: "Statement", commits, isByItself })
    return commits === undefined ? [] : [momentOf(commits, "before")]
  }

  const committedBy = (sql: string) => {
    if (/^\s*(?:BEGIN|START TRANSACTION)/iu.test(sql)) transaction = new Set()
    const writes = writesOf(sql)
    if (transaction === undefined) return writes[0]
    for (const write of writes) transaction.add(write)
    if (/^\s*ROLLBACK(?! TO)/iu.test(sql)) transaction = undefined
    if (transaction === undefined || !/^\s*(?:COMMIT|END)\b/iu.test(sql)) return undefined
    const all = [...transaction]
    transaction = undefined
    return all.length === 0 ? undefined : all.join(", ")
  }

  const sent = ({ body, bytes, type }: Message): Piece => {
    switch (type) {
      case "P": {
        const [name = "", sql = ""] = texts(body)
        statements.set(name, sql)
        return { bytes, moments: [] }
      }
      case "B": {
        const [portal = "", statement = ""] = texts(body)
        portals.set(portal, statements.get(statement) ?? "")
        return { bytes, moments: [] }
      }
      case "E": {
        return { bytes, moments: execute(portals.get(texts(body)[0] ?? "") ?? "") }
      }
      case "Q": {
        const moments = execute(texts(body)[0] ?? "")
        expected.push({ _tag: "Sync" })
        return { bytes, moments }
      }
      case "S": {
        expected.push({ _tag: "Sync" })
        return { bytes, moments: [] }
      }
      default: {
        return { bytes, moments: [] }
      }
    }
  }

  const answered = ({ body, bytes, type }: Message): Piece => {
    if (type === "Z") {
      // Behind an error the rest of what was sent together is passed over.
      while (expected.length > 0 && expected.shift()?._tag !== "Sync");
      const piece = { bytes: Buffer.concat([...held, bytes]), moments: [...settled] }
      held.length = 0
      settled.length = 0
      return piece
    }
    const moments: Array<Moment> = []
    if (type === "C" && expected[0]?._tag === "Statement") {
      const { commits, isByItself } = expected[0]
      expected.shift()
      const isRolledBack = texts(body)[0] === "ROLLBACK"
      if (commits !== undefined && !isRolledBack) (isByItself ? settled : moments).push(momentOf(commits, "after"))
    }
    // A statement by itself is committed when PostgreSQL is ready for the next: nobody hears of it before.
    if (settled.length === 0) return { bytes, moments }
    held.push(bytes)
    return { bytes: Buffer.alloc(0), moments }
  }

  return {
    sent: (chunk) => fromService.read(chunk).map(sent),
    answered: (chunk) => fromPostgres.read(chunk).map(answered)
  }
}

interface Message {
  readonly type: string
  readonly body: Buffer
  /** All of it, as it is handed on. */
  readonly bytes: Buffer
}

/** Cuts what comes into messages; the rest waits for more. The first one of a client has no type. */
class Framing {
  #rest = Buffer.alloc(0)
  #isFirst: boolean

  constructor(beginsUntyped: boolean) {
    this.#isFirst = beginsUntyped
  }

  read(chunk: Buffer): ReadonlyArray<Message> {
    this.#rest = Buffer.concat([this.#rest, chunk])
    const messages: Array<Message> = []
    for (;;) {
      const head = this.#isFirst ? 0 : 1
      if (this.#rest.length < head + 4) return messages
      const end = head + this.#rest.readUInt32BE(head)
      if (this.#rest.length < end) return messages
      const bytes = this.#rest.subarray(0, end)
      messages.push({
        type: head === 0 ? "" : String.fromCharCode(bytes[0] ?? 0),
        body: bytes.subarray(head + 4),
        bytes
      })
      this.#rest = this.#rest.subarray(end)
      this.#isFirst = false
    }
  }
}

/** The texts that a message begins with. */
const texts = (body: Buffer) => body.toString("utf8").split("\u0000", 2)
