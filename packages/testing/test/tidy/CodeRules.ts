/**
 * Rules about what may stand in a file of code.
 */
import type { Rule } from "./Rule.ts"
import * as Source from "./Source.ts"

const isModule = ({ path }: Source.Source) => /\/src\/.*\.ts$/.test(path)

const settings = "packages/chassis/src/Settings.ts"
/** It runs before anything is installed, Settings.ts included. */
const runner = "packages/stack/run.mjs"

const readsEnvironment = /\bprocess\s*(?:\?\.|\.)\s*env\b|\bprocess\s*\[|\}\s*=\s*process\b|\bimport\.meta\.env\b/g

const environment: Rule = {
  title: "The environment is read in one file, by tests too.",
  check: (tree) =>
    tree
      .filter(({ path }) => path !== settings && path !== runner)
      .flatMap((source) => [
        ...Source.complainOfEach(source, source.code, readsEnvironment, `reads the environment outside ${settings}`),
        ...source.imports
          .filter(({ specifier }) => /^(?:node:)?process$/.test(specifier))
          .map(({ index }) => Source.at(source, index, "imports process, which hides where the environment is read"))
      ]),
  breaks: [
    { "services/a/src/main.ts": "const port = process.env.PORT" },
    { "services/a/test/a.test.ts": 'const port = process.env["PORT"]' },
    { "services/a/src/main.ts": "const port = `${process.env.HOST}:80`" },
    { "services/a/src/main.ts": 'const port = process["env"].PORT' },
    { "services/a/src/main.ts": "const { env } = process" },
    { "services/a/src/main.ts": 'import { env } from "node:process"' }
  ],
  keeps: {
    [settings]: "export const layer = layerFrom(process.env)",
    [runner]: "const path = process.env.PATH",
    "services/a/src/main.ts": '// Never process.env.\nconst text = "process.env" + `process.env`\nprocess.exit(0)'
  }
}

const isAny = /(?:[:<,|&=]|\b(?:as|extends|is|keyof))\s*\bany\b(?!\s*[(.:])|\bas\s+never\b|\bas\s+unknown\s+as\b/g

const anyType: Rule = {
  title: "Nothing is any, and nothing becomes another type by way of unknown or never.",
  check: (tree) =>
    tree.flatMap((source) => [
      ...Source.complainOfEach(source, source.code, isAny, "switches the type checker off"),
      ...Source.complainOfEach(source, source.comments, /@ts-(?:ignore|expect-error|nocheck)\b/g, "silences tsc")
    ]),
  breaks: [
    { "packages/a/src/A.ts": "const a = b as any" },
    { "packages/a/src/A.ts": "const a = b as unknown as string" },
    { "packages/a/src/A.ts": "const a = b as never" },
    { "packages/a/src/A.ts": "const a: any = b" },
    { "packages/a/src/A.ts": "const a = (b: Array<any>) => b" },
    { "packages/a/src/A.ts": "const a: Effect<void, any> = b" },
    { "packages/a/src/A.ts": "const a = `${b as any}`" },
    { "packages/a/test/a.test.ts": "// @ts-expect-error: it works\nconst a: string = 1" }
  ],
  keeps: {
    "packages/a/src/A.ts": [
      "/** As any number of callers as never before: any. */",
      'const a = "b as any" as const',
      "const c = `SELECT any AS any ${Effect.any(d)}: any`",
      "const e = /: any/",
      "const f: unknown = { any: 1 } satisfies G"
    ].join("\n")
  }
}

/** `import * as X`, `import { a as b }`, `export { a as b }` and a mapped type's `[K in T as U]` name; they do not cast. */
const namesAs =
  /\b(?:import|export)\s+(?:type\s+)?(?:[\w$]+\s*,\s*)?(?:\{[^}]*\}|\*\s*as\s+[\w$]+)|\[\s*\w+\s+in\b[^\]]*?\bas\s/g
const casts = /(?<=[\w$)\]}>"'`!]\s*)\bas\s+(?!const\b)(?=[\w$({["'`])/g

const cast: Rule = {
  title: "Modules decode, and never cast.",
  check: (tree) =>
    tree
      .filter(isModule)
      .flatMap((source) =>
        Source.complainOfEach(source, source.code.replaceAll(namesAs, Source.blank), casts, "casts: decode instead")
      ),
  breaks: [
    { "packages/a/src/A.ts": "const id = row.id as OrderId" },
    { "packages/a/src/A.ts": "const id = rows[0] as { id: string }" },
    { "packages/a/src/A.ts": 'const id = read("x")\n  as OrderId' }
  ],
  keeps: {
    "packages/a/src/A.ts": [
      'import * as B from "./B.ts"',
      'import { c as d, e as f } from "./C.ts"',
      "export { d as g }",
      "const kinds = [1, 2] as const",
      "const sql = `SELECT a AS b, c as d`",
      "type H = { [K in keyof I as Lower<K>]: string }",
      "const j = Effect.as(k, 1)"
    ].join("\n"),
    "packages/a/test/a.test.ts": "const id = row.id as OrderId"
  }
}

const lintReasons: Rule = {
  title: "Whoever switches a lint rule off says why on the same line.",
  check: (tree) =>
    tree.flatMap((source) =>
      Source.complainOfEach(
        source,
        source.comments,
        /(?:eslint|oxlint)-disable(?!.*\s--\s+(?!\*\/)\S)/g,
        "gives no reason (`-- reason`)"
      )
    ),
  breaks: [
    { "packages/a/src/A.ts": "// oxlint-disable-next-line no-console\nconsole.log(1)" },
    { "packages/a/test/a.test.ts": "/* eslint-disable no-console -- */" }
  ],
  keeps: { "packages/a/src/A.ts": "// oxlint-disable-next-line no-console -- the terminal is its output" }
}

const promises: Rule = {
  title: "Code is finished: what is left to do stands elsewhere.",
  check: (tree) =>
    tree.flatMap((source) =>
      Source.complainOfEach(
        source,
        `${source.code}\n${source.comments}`,
        /\b(?:TODO|FIXME|XXX|HACK)\b/g,
        "puts work off"
      )
    ),
  breaks: [
    { "packages/a/src/A.ts": "const a = 1 // TODO: two" },
    { "packages/a/test/a.test.ts": "/* FIXME */" },
    { "packages/a/run.mjs": "// HACK" },
    { "packages/a/src/A.ts": "const XXX = 1" }
  ],
  keeps: { "packages/a/src/A.ts": 'const title = "TODO lists"' }
}

const runningTests: Rule = {
  title: "Every test runs.",
  // The linter sees it.only, but not it.effect.only. What depends on the machine has skipIf and runIf.
  check: (tree) =>
    tree.flatMap((source) =>
      Source.complainOfEach(
        source,
        source.code,
        /\b(?:it|test|describe|layer)(?:\.\w+)*\.(?:only|skip|todo|fails)\b/g,
        "keeps tests from running"
      )
    ),
  breaks: [
    { "packages/a/test/a.test.ts": 'it.only("a", f)' },
    { "packages/a/test/a.test.ts": 'it.effect.only("a", f)' },
    { "packages/a/test/a.test.ts": 'it.live.skip("a", f)' },
    { "packages/a/test/a.test.ts": 'describe.skip("a", f)' }
  ],
  keeps: { "packages/a/test/a.test.ts": 'it.effect.skipIf(a)("b", f)\nStream.skip(1)\noptions.only' }
}

const mostLines = 300

const length: Rule = {
  title: `No file of code has more than ${mostLines} lines.`,
  check: (tree) =>
    tree
      .filter((source) => source.code !== "" && Source.countLines(source) > mostLines)
      .map((source) => Source.at(source, 0, `has ${Source.countLines(source)} lines, more than ${mostLines}`)),
  breaks: [{ "packages/a/src/A.ts": "a()\n".repeat(301) }, { "packages/a/test/a.test.ts": "a()\n".repeat(301) }],
  keeps: { "packages/a/src/A.ts": "a()\n".repeat(300), "packages/a/README.md": "a\n".repeat(301) }
}

const opening: Rule = {
  title: "Every module opens with a comment that says what it is for.",
  check: (tree) =>
    tree
      .filter(isModule)
      .filter(({ comments }) => !/^\/\*\*[\s*]*[^\s*/]/.test(comments))
      .map((source) => Source.at(source, 0, "does not open with a /** comment */")),
  breaks: [
    { "packages/a/src/A.ts": "export const a = 1" },
    { "packages/a/src/A.ts": "// What it is for.\nexport const a = 1" },
    { "packages/a/src/A.ts": 'import "./B.ts"\n/** What it is for. */' },
    { "packages/a/src/A.ts": "/** */\nexport const a = 1" }
  ],
  keeps: {
    "packages/a/src/A.ts": "/**\n * What it is for.\n */\nexport const a = 1",
    "packages/a/test/a.test.ts": "a()"
  }
}

export const codeRules = [environment, anyType, cast, lintReasons, promises, runningTests, length, opening]
