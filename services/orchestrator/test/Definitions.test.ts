import { readFileSync } from "node:fs"

import { diagram } from "@ecommerce/saga/Saga"
import { assert, describe, it } from "@effect/vitest"

import { placeOrder } from "../src/PlaceOrder.ts"
import { definitions } from "../src/Sagas.ts"
import * as Settings from "../src/Settings.ts"

const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8")

describe("what the README shows", () => {
  it("is the diagram that the definition draws", () => {
    const [, shown] = /^```mermaid\n([^]*?)^```$/mu.exec(readme) ?? []
    assert.strictEqual(shown, `${diagram(placeOrder).trim()}\n`)
  })

  it("is every setting with its default", () => {
    for (const setting of Object.values(Settings)) {
      if (!("fallback" in setting)) continue
      assert.match(readme, new RegExp(`\\| \`${setting.key}\` +\\| \`${setting.fallback}\` +\\|`, "u"))
    }
  })
})

describe("the definitions", () => {
  it("have no two of one name and version", () => {
    const names = definitions.map(({ name, version }) => `${name} ${version}`)
    assert.strictEqual(new Set(names).size, names.length)
  })

  it("let go of the money first, and know no way back once it is taken", () => {
    assert.deepStrictEqual(placeOrder.plan, {
      owed: ["cancel-payment"],
      steps: [
        { name: "create-order", undo: "own" },
        { name: "reserve-stock", undo: "own" },
        { name: "capture-payment", undo: "owed" },
        { name: "confirm-order", undo: "none" }
      ]
    })
  })
})
