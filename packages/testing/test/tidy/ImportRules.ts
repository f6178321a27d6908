/**
 * Rules about who may import whom.
 */
import { posix } from "node:path"

import type { Rule } from "./Rule.ts"
import * as Source from "./Source.ts"
import * as Tree from "./Tree.ts"

/**
 * The house from the ground up. A module imports from lower floors, never from above and never from a neighbour.
 * Stack, testing, audit, e2e, chaos and bench are the workshop: they run, test and measure the house, and no room of the house knows
 * them.
 * Tests may look up as well: the workshop is made for them.
 */
const floors: ReadonlyArray<ReadonlyArray<string>> = [
  ["packages/telemetry"],
  ["packages/protocol", "packages/sets"],
  ["packages/commands", "packages/outbox", "packages/saga"],
  ["packages/contracts", "packages/chassis"],
  ["services/*", "packages/stack"],
  ["packages/testing", "packages/audit", "packages/e2e"],
  ["packages/chaos", "bench"]
]

const floorOf = (directory: string) =>
  floors.findIndex((rooms) => rooms.includes(directory) || rooms.includes(directory.replace(/\/.*$/, "/*")))

interface Link {
  readonly source: Source.Source
  readonly index: number
  /** Where the import stands, and where it leads, as folders of packages. */
  readonly from: string
  readonly to: string | undefined
  /** The name of the imported package; undefined for a relative import. */
  readonly packageName: string | undefined
}

const linksOf = (tree: Tree.Tree): ReadonlyArray<Link> => {
  const named = new Map(Tree.workspaces(tree).map(({ directory, manifest }) => [manifest?.name, directory]))
  return tree.flatMap((source) => {
    const from = Tree.workspaceOf(source.path)
    if (from === undefined) return []
    return source.imports.map(({ index, specifier }) => {
      if (specifier.startsWith(".")) {
        const to = Tree.workspaceOf(posix.join(posix.dirname(source.path), specifier))
        return { source, index, from, to, packageName: undefined }
      }
      const packageName = /^(?:@[^/]+\/)?[^/]+/.exec(specifier)?.[0]
      return { source, index, from, to: named.get(packageName), packageName }
    })
  })
}

const isOfSrc = ({ from, source }: Link) => source.path.startsWith(`${from}/src/`)

const complain = ({ index, source }: Link, complaint: string) => Source.at(source, index, complaint)

const strangers: Rule = {
  title: "Services never import one another.",
  check: (tree) =>
    linksOf(tree)
      .filter(({ from, to }) => from.startsWith("services/") && to?.startsWith("services/") === true && from !== to)
      .map((link) => complain(link, `imports ${link.to}, another service`)),
  breaks: [
    {
      "services/a/src/A.ts": 'import { b } from "@ecommerce/b/B"',
      "services/b/package.json": '{ "name": "@ecommerce/b" }'
    },
    { "services/a/test/a.test.ts": 'import { b } from "../../b/src/B.ts"' },
    { "services/a/src/A.ts": 'const b = await import("../../b/src/B.ts")' }
  ],
  keeps: { "services/a/test/a.test.ts": 'import { a } from "../src/A.ts"', "services/b/src/B.ts": "" }
}

const manifest = (name: string, more = {}) => JSON.stringify({ name: `@ecommerce/${name}`, ...more })

const downwards: Rule = {
  title: "Imports between packages lead downwards.",
  check: (tree) => [
    ...Tree.workspaces(tree)
      .filter(({ directory }) => floorOf(directory) === -1)
      .map(({ directory }) => `${directory} stands on no floor of the house: see ImportRules.ts`),
    ...linksOf(tree)
      .filter((link) => isOfSrc(link) && link.to !== undefined && link.from !== link.to)
      .filter(({ from, to }) => to !== undefined && floorOf(from) <= floorOf(to))
      .map((link) => complain(link, `imports ${link.to}, which does not stand below ${link.from}`))
  ],
  breaks: [
    {
      "packages/protocol/src/A.ts": 'import { b } from "@ecommerce/chassis/B"',
      "packages/chassis/package.json": manifest("chassis")
    },
    {
      "packages/contracts/src/A.ts": 'import type { B } from "@ecommerce/chassis/B"',
      "packages/chassis/package.json": manifest("chassis")
    },
    {
      "services/a/src/A.ts": 'import { b } from "@ecommerce/testing/B"',
      "packages/testing/package.json": manifest("testing")
    },
    { "packages/stack/src/A.ts": 'import { b } from "@ecommerce/a/B"', "services/a/package.json": manifest("a") },
    { "packages/attic/package.json": manifest("attic") }
  ],
  keeps: {
    "services/a/src/A.ts": 'import { b } from "@ecommerce/chassis/B"',
    "services/a/test/a.test.ts": 'import { b } from "@ecommerce/testing/B"',
    "packages/chassis/src/B.ts": 'import { c } from "@ecommerce/protocol/C"\nimport { d } from "./D.ts"',
    "packages/chassis/package.json": manifest("chassis"),
    "packages/protocol/package.json": manifest("protocol"),
    "packages/testing/package.json": manifest("testing")
  }
}

const atHome: Rule = {
  title: "A relative import stays in its own package.",
  check: (tree) =>
    linksOf(tree)
      .filter(({ from, packageName, to }) => packageName === undefined && from !== to)
      .map((link) => complain(link, `leaves ${link.from} by a relative path`)),
  breaks: [
    { "packages/a/src/A.ts": 'import { b } from "../../b/src/B.ts"' },
    { "packages/a/test/a.test.ts": 'import "../../../vitest.config.ts"' }
  ],
  keeps: { "packages/a/test/a.test.ts": 'import { a } from "../src/A.ts"\nimport { b } from "./fixtures/B.ts"' }
}

/** Tools that every test may use, such as vitest, are declared once, at the root. */
const declaredFor = (tree: Tree.Tree, link: Link) => {
  const read = (path: string) => {
    const source = Tree.fileAt(tree, path)
    return source === undefined ? undefined : Tree.readManifest(source.text)
  }
  const own = read(`${link.from}/package.json`)
  const forSrc = { ...own?.dependencies, ...own?.optionalDependencies, ...own?.peerDependencies }
  return isOfSrc(link) ? forSrc : { ...forSrc, ...own?.devDependencies, ...read("package.json")?.devDependencies }
}

const declared: Rule = {
  title: "A package declares what it imports.",
  check: (tree) =>
    linksOf(tree)
      .filter(({ packageName }) => packageName !== undefined && !packageName.startsWith("node:"))
      .filter((link) => link.from !== link.to && !Object.hasOwn(declaredFor(tree, link), link.packageName ?? ""))
      .map((link) => complain(link, `imports ${link.packageName}, which ${link.from}/package.json does not declare`)),
  breaks: [
    { "packages/a/src/A.ts": 'import { b } from "@ecommerce/b/B"', "packages/a/package.json": manifest("a") },
    {
      "packages/a/src/A.ts": 'import { b } from "@ecommerce/b/B"',
      "packages/a/package.json": manifest("a", { devDependencies: { "@ecommerce/b": "0.1.0" } })
    },
    { "packages/a/test/a.test.ts": 'import { b } from "@ecommerce/b/B"', "packages/a/package.json": manifest("a") },
    { "packages/a/src/A.ts": 'import { Effect } from "effect"', "packages/a/package.json": manifest("a") }
  ],
  keeps: {
    "package.json": manifest("root", { devDependencies: { vitest: "1.0.0" } }),
    "packages/a/package.json": manifest("a", {
      dependencies: { effect: "4.1.0" },
      devDependencies: { "@ecommerce/b": "0.1.0" }
    }),
    "packages/a/src/A.ts": 'import { Effect } from "effect/http"\nimport { join } from "node:path"',
    "packages/a/test/a.test.ts": 'import { it } from "vitest"\nimport { b } from "@ecommerce/b/B"'
  }
}

export const importRules = [strangers, downwards, atHome, declared]
