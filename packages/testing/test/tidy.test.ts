/**
 * The habits of the house, as far as a machine can see them. Each rule stands beside made-up files that break it.
 */
import { assert, describe, it } from "vitest"

import { codeRules } from "./tidy/CodeRules.ts"
import { documentRules } from "./tidy/DocumentRules.ts"
import { importRules } from "./tidy/ImportRules.ts"
import { nameRules } from "./tidy/NameRules.ts"
import { settingRules } from "./tidy/SettingRules.ts"
import { scan } from "./tidy/Source.ts"
import * as Tree from "./tidy/Tree.ts"
import { workspaceRules } from "./tidy/WorkspaceRules.ts"

const checkout = Tree.ofCheckout()

const rules = [...codeRules, ...nameRules, ...importRules, ...workspaceRules, ...documentRules, ...settingRules]

describe.each(rules)("$title", ({ breaks, check, keeps }) => {
  it("It is so in this repository.", () => {
    assert.deepStrictEqual(check(checkout), [])
  })

  it.each(breaks.map((files) => [describeFiles(files), files] as const))("It notices %s.", (_, files) => {
    assert.isNotEmpty(check(Tree.of(files)))
  })

  it("It lets pass what only looks alike.", () => {
    assert.deepStrictEqual(check(Tree.of(keeps)), [])
  })
})

const describeFiles = (files: Readonly<Record<string, string>>) =>
  Object.entries(files)
    .map(([path, text]) => `${path}: ${text.replaceAll("\n", " ").slice(0, 80)}`)
    .join(" and ")

describe("What the rules look at", () => {
  it("The checkout is found, with the code and without what is installed.", () => {
    const paths = checkout.map(({ path }) => path)
    assert.includeMembers(paths, ["package.json", "packages/testing/test/tidy.test.ts"])
    assert.isEmpty(paths.filter((path) => path.includes("node_modules")))
  })

  it("Without git the same code is found.", () => {
    const code = (paths: ReadonlyArray<string>) => paths.filter((path) => path.endsWith(".ts")).toSorted()
    assert.deepStrictEqual(code(Tree.walk("")), code(checkout.map(({ path }) => path)))
  })

  it.each([
    ["a // b", "a", "// b"],
    ['"a // b"', '" "', ""],
    ["`a ${b /* c */ + `d`} e`", "` ${b + ` `} `", "/* c */"],
    ["a = /[/'\"]/ // b", "a =", "// b"],
    ["a / b / c // d", "a / b / c", "// d"],
    ["`${{ a: { b } }}` + c", "`${{ a: { b } }}` + c", ""],
    ["'\\'' // a", "' '", "// a"]
  ])("%s is taken apart into code and comments.", (text, code, comments) => {
    const scanned = scan(text)
    assert.strictEqual(scanned.code.trim().replaceAll(/\s+/g, " "), code)
    assert.strictEqual(scanned.comments.trim().replaceAll(/\s+/g, " "), comments)
    assert.deepStrictEqual([scanned.code.length, scanned.comments.length], [text.length, text.length])
  })

  it("No file is taken apart wrongly: in the code of each, every brace that opens also closes.", () => {
    const count = (code: string, brace: string) => code.split(brace).length
    const uneven = checkout.filter(({ code }) => count(code, "{") !== count(code, "}"))
    assert.deepStrictEqual(
      uneven.map(({ path }) => path),
      []
    )
  })
})
