/**
 * Rules about what belongs to every package and every service.
 */
import { posix } from "node:path"

import { topology } from "@ecommerce/stack/topology"

import type { Rule } from "./Rule.ts"
import * as Source from "./Source.ts"
import * as Tree from "./Tree.ts"

const placed = new Set(topology.map(({ name }) => name))

const readmes: Rule = {
  title: "Every package and every service has a README.",
  check: (tree) =>
    Tree.workspaces(tree)
      .filter(({ directory }) => Tree.fileAt(tree, `${directory}/README.md`) === undefined)
      .map(({ directory }) => `${directory} has no README.md`),
  breaks: [
    { "packages/a/src/A.ts": "" },
    { "services/a/src/main.ts": "", "packages/a/README.md": "", "README.md": "" }
  ],
  keeps: { "packages/a/README.md": "", "services/a/README.md": "" }
}

const mostLinesOfMain = 30

const services: Rule = {
  title: `Every service has its tables, its line in the topology, and a main.ts of at most ${mostLinesOfMain} lines.`,
  check: (tree) =>
    Tree.workspaces(tree)
      .filter(({ isService }) => isService)
      .flatMap(({ directory }) => {
        const name = posix.basename(directory)
        const main = Tree.fileAt(tree, `${directory}/src/main.ts`)
        const hasTables = tree.some(({ path }) => path.startsWith(`migrations/${name}/`))
        return [
          ...(main === undefined ? [`${directory} has no src/main.ts`] : []),
          ...(main !== undefined && Source.countLines(main) > mostLinesOfMain
            ? [Source.at(main, 0, `has ${Source.countLines(main)} lines, more than ${mostLinesOfMain}`)]
            : []),
          ...(hasTables ? [] : [`${directory} has no tables in migrations/${name}/`]),
          ...(placed.has(name) ? [] : [`${directory} is missing in packages/stack/src/topology.ts`])
        ]
      }),
  breaks: [
    { "services/inventory/src/Http.ts": "", "migrations/inventory/0001_a.sql": "" },
    { "services/inventory/src/main.ts": "a()\n".repeat(31), "migrations/inventory/0001_a.sql": "" },
    { "services/inventory/src/main.ts": "" },
    { "services/nowhere/src/main.ts": "", "migrations/nowhere/0001_a.sql": "" }
  ],
  keeps: { "services/inventory/src/main.ts": "a()\n".repeat(30), "migrations/inventory/0001_a.sql": "" }
}

const scriptNames = ["test", "test:watch", "test:coverage"]

const scripts: Rule = {
  title: "Every workspace can run its own tests by itself: once, watching, and with coverage.",
  check: (tree) =>
    Tree.workspaces(tree).flatMap(({ directory, manifest }) =>
      scriptNames
        // With the slash behind it, for vitest takes the start of a path: services/order would run services/orders too.
        .filter((name) => manifest?.scripts[name]?.includes(` ${directory}/`) !== true)
        .map((name) => `${directory}/package.json has no script "${name}" that runs the tests of ${directory}/`)
    ),
  breaks: [
    { "packages/a/src/A.ts": "" },
    { "packages/a/package.json": '{ "name": "a" }' },
    {
      "packages/a/package.json":
        '{ "name": "a", "scripts": { "test": "t packages/a/", "test:watch": "t packages/a/" } }'
    },
    {
      "packages/a/package.json":
        '{ "name": "a", "scripts": { "test": "t packages/b/", "test:watch": "t packages/b/", "test:coverage": "t packages/b/" } }'
    }
  ],
  keeps: {
    "packages/a/package.json":
      '{ "name": "a", "scripts": { "test": "t packages/a/", "test:watch": "t packages/a/", "test:coverage": "t packages/a/ -c" } }'
  }
}

const startable: Rule = {
  title: "Every service can be started alone with npm run dev:<service>.",
  check: (tree) => {
    const root = Tree.fileAt(tree, "package.json")
    const known = root === undefined ? {} : Tree.readManifest(root.text).scripts
    return Tree.workspaces(tree)
      .filter(({ isService }) => isService)
      .map(({ directory }) => posix.basename(directory))
      .filter((name) => known[`dev:${name}`]?.includes(` ${name}`) !== true)
      .map((name) => `package.json has no script "dev:${name}"`)
  },
  breaks: [
    { "package.json": '{ "name": "root" }', "services/a/src/main.ts": "" },
    { "package.json": '{ "name": "root", "scripts": { "dev:a": "start --only b" } }', "services/a/src/main.ts": "" }
  ],
  keeps: {
    "package.json": '{ "name": "root", "scripts": { "dev:a": "start --only a" } }',
    "services/a/src/main.ts": ""
  }
}

const exact = /^(?:npm:.+@)?\d+\.\d+\.\d+(?:-[\w.-]+)?$/

const pinned: Rule = {
  title: "Every version is pinned exactly.",
  check: (tree) =>
    tree
      .filter(({ path }) => posix.basename(path) === "package.json")
      .flatMap(({ path, text }) => {
        const { dependencies, devDependencies, optionalDependencies, peerDependencies } = Tree.readManifest(text)
        return [dependencies, devDependencies, optionalDependencies, peerDependencies]
          .flatMap((group) => Object.entries(group))
          .filter(([, version]) => !exact.test(version))
          .map(([name, version]) => `${path} asks for ${name} ${version}, which is not one exact version`)
      }),
  breaks: ["^1.2.3", "~1.2.3", "*", "1.x", ">=1.2.3", "1.2", "latest", "1.2.3 || 2.0.0"].map((version) => ({
    "packages/a/package.json": JSON.stringify({ name: "a", devDependencies: { b: version } })
  })),
  keeps: {
    "package.json": JSON.stringify({ name: "a", dependencies: { b: "1.2.3" }, engines: { node: ">=20" } }),
    "services/a/package.json": JSON.stringify({ name: "a", optionalDependencies: { b: "18.4.0-beta.17" } })
  }
}

const migrations: Rule = {
  title: "Migrations are numbered and named like 0001_products.sql, and no number is given twice.",
  check: (tree) => {
    const paths = tree.map(({ path }) => path).filter((path) => path.startsWith("migrations/"))
    const numberOf = (path: string) => path.replace(/(?<=\/\d{4})_.*$/, "")
    return [
      ...paths
        .filter((path) => !/^migrations\/[^/]+\/\d{4}_[a-z0-9]+(?:_[a-z0-9]+)*\.sql$/.test(path))
        .map((path) => `${path} is not called NNNN_snake_case.sql`),
      ...paths
        .filter((path, index) => paths.findIndex((other) => numberOf(other) === numberOf(path)) !== index)
        .map((path) => `${path} has a number that another one has`)
    ]
  },
  breaks: [
    { "migrations/a/1_products.sql": "" },
    { "migrations/a/0001-products.sql": "" },
    { "migrations/a/0001_Products.sql": "" },
    { "migrations/a/0001_products.ts": "" },
    { "migrations/0001_products.sql": "" },
    { "migrations/a/0001_products.sql": "", "migrations/a/0001_stock.sql": "" }
  ],
  keeps: {
    "migrations/a/0001_products.sql": "",
    "migrations/a/0002_stock_of_2026.sql": "",
    "migrations/b/0001_products.sql": ""
  }
}

export const workspaceRules = [readmes, services, scripts, startable, pinned, migrations]
