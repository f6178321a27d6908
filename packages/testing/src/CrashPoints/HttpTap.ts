/**
 * Reads along between two services: who asks whom for what, and when the answer comes. On a connection one question follows
 * the answer to the one before.
 */
import type { Moment, Tap } from "./Tap.ts"

const uuids = /[0-9a-f]{8}-[0-9a-f-]{27}/giu
const firstLine = /^(?<method>[A-Z]+) (?<path>[^ ?]*)[^ ]* HTTP/u

/** With whoever asks, where that is one of those who may die. */
export const make = (from: string | undefined, to: string): Tap => {
  let asked: string | undefined

  const momentsOf = (service: string | undefined, what: string, when: Moment["when"]) =>
    service === undefined ? [] : [{ service, what, when }]

  return {
    sent: (chunk) => {
      if (asked !== undefined) return [{ bytes: chunk, moments: [] }]
      const { method, path } = firstLine.exec(chunk.toString("latin1"))?.groups ?? {}
      asked = `${method} ${path?.replaceAll(uuids, ":id")}`
      return [{ bytes: chunk, moments: momentsOf(from, `asks ${to} for ${asked}`, "before") }]
    },
    answered: (chunk) => {
      if (asked === undefined) return [{ bytes: chunk, moments: [] }]
      const what = asked
      asked = undefined
      // A feed that has nothing to tell is asked again in a moment.
      if (chunk.toString("latin1").endsWith("\r\n\r\n[]")) return [{ bytes: chunk, moments: [] }]
      const before = [
        ...momentsOf(to, `answers ${what}`, "before"),
        ...momentsOf(from, `asks ${to} for ${what}`, "after")
      ]
      return [
        { bytes: chunk, moments: before },
        { bytes: Buffer.alloc(0), moments: momentsOf(to, `answers ${what}`, "after") }
      ]
    }
  }
}
