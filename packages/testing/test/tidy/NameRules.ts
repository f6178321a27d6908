/**
 * Rules about names: of files, of what they export, and of places outside the repository.
 */
import type { Rule } from "./Rule.ts"
import * as Source from "./Source.ts"

/** The names by which a file knows what it imports. */
const importedNames = ({ code }: Source.Source) =>
  Array.from(code.matchAll(/\bimport\s+(?:type\s+)?([^"';]*?)\s+from\b/g)).flatMap(({ 1: clause = "" }) =>
    Array.from(clause.matchAll(/[\w$]+(?=\s*[,}]|\s*$)/g), ([name]) => name)
  )

const exportsOfImports = (source: Source.Source) => {
  const imported = new Set(importedNames(source))
  return Array.from(source.code.matchAll(/\bexport\s+(?:type\s+)?\{([^}]*)\}/g))
    .filter(({ 1: names = "" }) =>
      Array.from(names.matchAll(/(?:^|,)\s*(?:type\s+)?([\w$]+)/g)).some(({ 1: name = "" }) => imported.has(name))
    )
    .map(({ index }) => Source.at(source, index, "exports what it imports"))
}

const barrels: Rule = {
  title: "Everything is imported from where it is made: there are no barrels.",
  check: (tree) =>
    tree.flatMap((source) => [
      ...Source.complainOfEach(
        source,
        source.code,
        /\bexport\s*\*|\bexport\s+(?:type\s+)?\{[^}]*\}\s*from\b/g,
        "re-exports"
      ),
      ...exportsOfImports(source),
      ...(/(?:^|\/)index\.[cm]?[jt]sx?$/.test(source.path) ? [Source.at(source, 0, "is an index file")] : [])
    ]),
  breaks: [
    { "packages/a/src/A.ts": 'export * from "./B.ts"' },
    { "packages/a/src/A.ts": 'export * as B from "./B.ts"' },
    { "packages/a/src/A.ts": 'export { b } from "./B.ts"' },
    { "packages/a/src/A.ts": 'export type {\n  B\n} from "./B.ts"' },
    { "packages/a/src/A.ts": 'import { b, c } from "./B.ts"\nexport { c }' },
    { "packages/a/src/A.ts": 'import * as B from "./B.ts"\nexport { B as C }' },
    { "packages/a/src/index.ts": "export const a = 1" }
  ],
  keeps: {
    "packages/a/src/A.ts": 'import { b } from "./B.ts"\n// export * from "./B.ts"\nconst c = b\nexport { c, c as d }'
  }
}

const exportsLive =
  /\bexport\s+(?:declare\s+|abstract\s+|async\s+)*(?:const|let|class|function\s*\*?|type|interface)\s+\w*Live\b|\bexport\s*\{[^}]*\w*Live\s*[,}]|\bstatic\s+(?:readonly\s+)?\w*Live\b/g

const live: Rule = {
  title: "Layers are called layer, and nothing is called Live.",
  check: (tree) =>
    tree.flatMap((source) => [
      ...(/Live\.[cm]?[jt]sx?$/.test(source.path) ? [Source.at(source, 0, "is called Live")] : []),
      ...Source.complainOfEach(source, source.code, exportsLive, "exports something called Live")
    ]),
  breaks: [
    { "packages/a/src/OrdersLive.ts": "export const layer = 1" },
    { "packages/a/src/Orders.ts": "export const OrdersLive = 1" },
    { "packages/a/src/Orders.ts": "export class OrdersLive {}" },
    { "packages/a/src/Orders.ts": "const OrdersLive = 1\nexport { OrdersLive }" },
    { "packages/a/src/Orders.ts": "export class Orders {\n  static readonly layerLive = 1\n}" }
  ],
  keeps: { "packages/a/src/Liveness.ts": "export const Lively = 1\nconst isLive = true" }
}

const vague = /^(?:utils?|utilities|commons?|helpers?|misc|shared|libs?)$/i

const vagueNames: Rule = {
  title: "Files and folders are called after what is in them.",
  check: (tree) =>
    tree
      .filter(({ path }) => path.split("/").some((segment) => vague.test(segment.replace(/(?<=.)\..*$/, ""))))
      .map((source) => Source.at(source, 0, "has a name that says nothing")),
  breaks: [
    { "packages/a/src/utils.ts": "" },
    { "packages/a/test/helpers.test.ts": "" },
    { "packages/common/src/A.ts": "" },
    { "services/a/src/Lib/A.ts": "" },
    { "docs/Misc.md": "" }
  ],
  keeps: { "packages/a/src/Library.ts": "", "packages/a/src/SharedPostgres.ts": "", ".ci/run": "" }
}

/** Where machines keep homes, checkouts and temporary folders. A slash behind a word belongs to an address, not to a disk. */
const machinePath = /(?<![\w.$}-])\/(?:(?:home|root|Users|work)\/|tmp\/tmp)/g

const machinePaths: Rule = {
  title: "No file knows a path of somebody's machine.",
  check: (tree) =>
    tree
      .filter(({ path }) => /\.(?:md|[cm]?[jt]s|json)$/.test(path))
      .flatMap((source) => Source.complainOfEach(source, source.text, machinePath, "names a path of one machine")),
  // Put together here, so that this file keeps its own rule.
  breaks: [
    { "README.md": ["See ", "home", "me", "notes.md"].join("/") },
    { "packages/a/src/A.ts": `const a = "${["", "Users", "me"].join("/")}/a"` },
    { "packages/a/test/a.test.ts": `const a = "${["", "root", ""].join("/")}"` },
    { "packages/a/package.json": `{ "a": "${["", "tmp", "tmp.x1"].join("/")}" }` }
  ],
  keeps: { "README.md": "https://example.org/home/page, ./home/page, /tmp" }
}

export const nameRules = [barrels, live, vagueNames, machinePaths]
