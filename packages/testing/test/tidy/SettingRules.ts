/**
 * Rules about what the documents say of settings, held against where these are declared.
 */
import type { Rule } from "./Rule.ts"
import type * as Source from "./Source.ts"
import * as Tree from "./Tree.ts"

interface Setting {
  readonly key: string
  /** As it stands in the code; undefined where there is none, or where it is not a literal. */
  readonly fallback: string | undefined
}

/** `"LOG_LEVEL"`, `` `OTEL_${signal}_EXPORTER` ``, or `keyOf(place.name, "PORT")`: the ways to name a setting. */
const keyPattern = String.raw`(?:"[A-Z]+(?:_[A-Z0-9]+)+"|\x60[A-Z0-9_]+\$\{[^}]+\}[A-Z0-9_]*\x60|(?:Settings\.)?keyOf\([\w.]+, "[A-Z_]+"\))`
const literal = String.raw`("[^"]*"|[\d._]+)`
/** Declared as an object, or by a function whose first argument is the key and whose second may be the default. */
const declarations = [
  new RegExp(
    String.raw`\bkey: (${keyPattern}|"[A-Z]+"),(?:(?!\bconfig\b)[^])*?(?:\bfallback: ${literal}|\bconfig\b)`,
    "gu"
  ),
  new RegExp(String.raw`\w\(\s*(${keyPattern}),\s*(?:${literal},)?`, "gu"),
  new RegExp(String.raw`\b(?:count|duration|port|text)\(\s*("[A-Z]+"),\s*${literal},`, "gu"),
  new RegExp(String.raw`process\.env\[("[A-Z_]+")\]`, "gu")
]

const nameOf = (expression: string) =>
  expression
    .replace(/^(?:Settings\.)?keyOf\([\w.]+, "(\w+)"\)$/u, "<SERVICE>_$1")
    .replace(/\$\{[^}]+\}/u, "<SIGNAL>")
    .replaceAll(/["`]/gu, "")

/** A sentence in the place of a default is what the setting is about. */
const fallbackOf = (written: string | undefined) => {
  if (written === undefined || written.endsWith('."')) return undefined
  return written.startsWith('"') ? written.slice(1, -1) : written.replaceAll("_", "")
}

const settingsOf = ({ text }: Source.Source): ReadonlyArray<Setting> =>
  declarations.flatMap((declaration) =>
    Array.from(text.matchAll(declaration), ([, key = "", fallback]) => ({
      key: nameOf(key),
      fallback: fallbackOf(fallback)
    }))
  )

const declaredIn = (tree: Tree.Tree): ReadonlyArray<Setting> =>
  tree
    .filter(({ imports, path }) => path.includes("/src/") && (isSettings(path) || imports.some(isOfSettings)))
    .flatMap(settingsOf)

const isSettings = (path: string) => path.endsWith("/Settings.ts")
const isOfSettings = ({ specifier }: Source.Import) => /\/Settings(?:\.ts)?$/u.test(specifier)

interface Row extends Setting {
  readonly place: string
}

const anySetting = /^\| +`([A-Z<][A-Z0-9_<>]+)` +\| +(.*?) +\|/u

/** The rows of every table of settings: a key in capitals, and its default as code where there is one. */
const rowsOf = (source: Source.Source): ReadonlyArray<Row> =>
  source.text.split("\n").flatMap((line, index) => {
    const [, key, shown = ""] = anySetting.exec(line) ?? []
    if (key === undefined) return []
    return [{ key, fallback: /^`(.*)`$/u.exec(shown)?.[1], place: `${source.path}:${index + 1}` }]
  })

const isDocument = ({ path }: Source.Source) => path.endsWith(".md") && path !== "CHANGELOG.md"

const made = `
  export const a = setting({ key: "LOG_FORMAT", about: "A.", fallback: "auto", config: (key) => key })
  export const b = Settings.count("AT_ONCE", 1_000, "How many.")
  export const c = port(keyOf(place.name, "PORT"), place.port, "A port.")
  export const d = optional("OTEL_NAME", "A name.", "text")
  export const e = setting({ key: \`OTEL_\${signal}_EXPORTER\`, fallback: "otlp", config: (key) => key })`
const table = (...rows: ReadonlyArray<string>) => ["| key | default | meaning |", "| - | - | - |", ...rows].join("\n")
const whole = [
  "| `LOG_FORMAT` | `auto` | a |",
  "| `AT_ONCE` | `1000` | b |",
  "| `<SERVICE>_PORT` | by its contract | c |",
  "| `OTEL_NAME` | none | d |",
  "| `OTEL_<SIGNAL>_EXPORTER` | `otlp` | e |"
]
const code = { "packages/a/src/Settings.ts": made }

const complete: Rule = {
  title: "The README's table has every setting, and no other.",
  check: (tree) => {
    const readme = Tree.fileAt(tree, "README.md")
    const shown = new Set(readme === undefined ? [] : rowsOf(readme).map(({ key }) => key))
    const declared = new Set(declaredIn(tree).map(({ key }) => key))
    return [
      ...[...declared].filter((key) => !shown.has(key)).map((key) => `README.md does not name the setting ${key}`),
      ...[...shown].filter((key) => !declared.has(key)).map((key) => `README.md names ${key}, which nobody reads`)
    ]
  },
  breaks: [
    { ...code, "README.md": table(...whole.slice(1)) },
    { ...code, "README.md": table(...whole.slice(0, -1)) },
    { ...code, "README.md": table(...whole, "| `AT_TWICE` | `2` | f |") }
  ],
  keeps: { ...code, "README.md": table(...whole) }
}

const right: Rule = {
  title: "What documents say of a setting's default is its default.",
  check: (tree) => {
    const declared = new Map(declaredIn(tree).map(({ fallback, key }) => [key, fallback]))
    return (
      tree
        .filter(isDocument)
        .flatMap(rowsOf)
        .filter(({ fallback, key }) => declared.has(key) && declared.get(key) !== fallback)
        // Another setting may stand in for one that is not set.
        .filter(({ fallback = "" }) => !declared.has(fallback))
        .map(({ fallback, key, place }) => `${place} says ${fallback} of ${key}, and the code ${declared.get(key)}`)
    )
  },
  breaks: [
    { ...code, "docs/a.md": "| `LOG_FORMAT` | `json` | a |" },
    { ...code, "README.md": "| `AT_ONCE` | none | a |" },
    { ...code, "README.md": "| `OTEL_NAME` | `A name.` | a |" }
  ],
  keeps: {
    ...code,
    "README.md": table(...whole),
    "docs/a.md": "| `AWAY` | `1` | another |\n| `OTEL_NAME` | `AT_ONCE` | a |"
  }
}

const secrets = /TOKEN|PASSWORD|SECRET|DATABASE_URL/u

/** What everybody can read in the code protects nobody: the local stack makes its own secrets, and others are asked for theirs. */
const secret: Rule = {
  title: "No secret has a default.",
  check: (tree) =>
    declaredIn(tree)
      .filter(({ fallback, key }) => secrets.test(key) && fallback !== undefined)
      .map(({ key }) => `${key} has a default`),
  breaks: [
    {
      "packages/a/src/Settings.ts": `export const a = setting({ key: "SERVICE_TOKEN", about: "A.", fallback: "changeme", config: (key) => key })`
    },
    {
      "packages/a/src/Settings.ts": `export const a = setting({ key: keyOf(name, "DATABASE_PASSWORD"), about: "A.", fallback: "postgres", config: (key) => key })`
    }
  ],
  keeps: {
    "packages/a/src/Settings.ts": `
      export const a = setting({ key: "SERVICE_TOKEN", about: "A.", config: (key) => key })
      export const b = setting({ key: "LOG_FORMAT", about: "B.", fallback: "auto", config: (key) => key })`
  }
}

export const settingRules = [complete, right, secret]
