/**
 * Rules about what documents point at: places in documents, files, and commands. It has to be there.
 */
import { posix } from "node:path"

import type { Rule } from "./Rule.ts"
import * as Source from "./Source.ts"
import * as Tree from "./Tree.ts"

const isDocument = ({ path }: Source.Source) => path.endsWith(".md")

/** Code between fences has neither links nor headings in it. */
const proseOf = (text: string) => text.replaceAll(/^ *```[^]*?^ *```$/gmu, Source.blank)

/** As GitHub makes them: small letters, no punctuation, a hyphen for each blank. */
const anchorsOf = (text: string) =>
  new Set(
    Array.from(proseOf(text).matchAll(/^#{1,6} +(.+)$/gmu), ([, heading = ""]) =>
      heading
        .trim()
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N} _-]/gu, "")
        .replaceAll(" ", "-")
    )
  )

const isThere = (tree: Tree.Tree, path: string) =>
  path === "." || tree.some((file) => file.path === path || file.path.startsWith(`${path.replace(/\/$/u, "")}/`))

const links: Rule = {
  title: "Every link in a document leads to a file and, where it names one, to a heading.",
  check: (tree) =>
    tree.filter(isDocument).flatMap((source) =>
      Array.from(proseOf(source.text).matchAll(/\]\(([^()\s]+)\)/gu), ({ 1: target = "", index }) => {
        if (/^https?:/u.test(target)) return []
        const [file = "", anchor] = target.split("#")
        const path = file === "" ? source.path : posix.join(posix.dirname(source.path), file)
        if (!isThere(tree, path)) return [Source.at(source, index, `links to ${target}, which is not there`)]
        const anchors = anchorsOf(Tree.fileAt(tree, path)?.text ?? "")
        if (anchor === undefined || anchors.has(anchor)) return []
        return [Source.at(source, index, `links to ${target}, and there is no such heading`)]
      }).flat()
    ),
  breaks: [
    { "README.md": "[a](docs/a.md)" },
    { "docs/b.md": "[a](docs/a.md)", "docs/a.md": "" },
    { "README.md": "[a](a.md#what-it-is)", "a.md": "# What it was" },
    { "README.md": "[a](#here)\n```\n# Here\n```" }
  ],
  keeps: {
    "README.md": "# Here, and `there`\n[a](docs/a.md#a-b) [b](#here-and-there) [c](docs) [d](https://effect.website)",
    "docs/a.md": "## A B\n[up](../README.md)\n```ts\nconst a = [0](a)\n```"
  }
}

/** What programs make, and what they are given by whoever runs them. */
const madeLater =
  /^(?:\.data|\.env$|\.git\/|node_modules\/|profiles$|coverage|ecommerce\.config\.json$|credentials\.json$)|\.log$/u

const names = /(?<!\bsave this as\s)`((?:[\w.@-]+\/)*[\w.-]+\.(?:ts|mjs|sql|md|json|ya?ml)|(?:[\w.-]+\/)+)`/giu

const bases = ["", "src/", "test/"]

const files: Rule = {
  title: "Every file and folder of this repository that a document names is there.",
  check: (tree) => {
    const tops = new Set(tree.map(({ path }) => path.split("/")[0]))
    return tree
      .filter((source) => isDocument(source) && source.path !== "CHANGELOG.md")
      .flatMap((source) =>
        Array.from(proseOf(source.text).matchAll(names), ({ 1: name = "", index }) => {
          const isElsewhere = madeLater.test(name) || (name.endsWith("/") && !tops.has(name.split("/")[0]))
          if (isElsewhere) return []
          const here = posix.dirname(source.path)
          const isNear = [...bases.map((base) => `${here}/${base}`), ...bases].some((base) =>
            isThere(tree, posix.normalize(base + name))
          )
          // A part of a path will do, but for a workspace's own sources in its own document.
          const isFar = !name.startsWith("src/") && tree.some(({ path }) => path.endsWith(`/${name}`))
          return isNear || isFar ? [] : [Source.at(source, index, `names ${name}, which is not there`)]
        }).flat()
      )
  },
  breaks: [
    { "README.md": "`packages/a/src/B.ts`", "packages/a/src/A.ts": "" },
    { "README.md": "`B.ts`", "packages/a/src/A.ts": "" },
    { "packages/a/README.md": "`src/B.ts`", "packages/b/src/B.ts": "" },
    { "README.md": "`packages/b/`", "packages/a/src/A.ts": "" }
  ],
  keeps: {
    "README.md":
      "`a/src/A.ts`, `A.ts`, `packages/a/`, `domain/`, Save this as `b.ts`, `.data/credentials.json`, `a.b()`, `npm start`",
    "packages/a/README.md": "`src/A.ts`, `A.ts`, `../a/src/A.ts`, `test/A.test.ts`\n```\n`src/B.ts`\n```",
    "packages/a/src/A.ts": "",
    "packages/a/test/A.test.ts": ""
  }
}

const commands: Rule = {
  title: "Every command of npm in a document is a script of the root.",
  check: (tree) => {
    const root = Tree.fileAt(tree, "package.json")
    const scripts = new Set(root === undefined ? [] : Object.keys(Tree.readManifest(root.text).scripts))
    return tree
      .filter(isDocument)
      .flatMap((source) =>
        Array.from(
          source.text.matchAll(/\bnpm run (?:--silent )?([a-z]\w*(?:[:-]\w+)*)(?![\w-]|:…)/gu),
          ({ 1: name = "", index }) =>
            scripts.has(name) ? [] : [Source.at(source, index, `says npm run ${name}, and there is no such script`)]
        ).flat()
      )
  },
  breaks: [
    { "package.json": '{ "name": "a", "scripts": { "audit": "a" } }', "docs/a.md": "`npm run audits`" },
    { "docs/a.md": "```bash\nnpm run audit\n```" }
  ],
  keeps: {
    "package.json": '{ "name": "a", "scripts": { "audit": "a", "dev:a": "b" } }',
    "docs/a.md": "`npm run audit -- --wait 60`, `npm run dev:a`, `npm run` alone, `npm run dev:…`"
  }
}

export const documentRules = [links, files, commands]
