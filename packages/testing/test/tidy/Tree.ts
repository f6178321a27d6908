/**
 * The files that the rules look at: those of this checkout, or made-up ones that break a rule.
 */
import { execFileSync, type ExecFileSyncOptionsWithStringEncoding } from "node:child_process"
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

import { Effect, Schema } from "effect"

import * as Source from "./Source.ts"

export type Tree = ReadonlyArray<Source.Source>

export const of = (files: Readonly<Record<string, string>>): Tree =>
  Object.entries(files).map(([path, text]) => Source.make(path, text))

export const fileAt = (tree: Tree, path: string) => tree.find((source) => source.path === path)

const root = fileURLToPath(new URL("../../../..", import.meta.url))

/** Every text file that is or would be part of a commit. */
export const ofCheckout = (): Tree =>
  listFiles()
    .filter((path) => existsSync(join(root, path)) && statSync(join(root, path)).isFile())
    .map((path) => Source.make(path, readFileSync(join(root, path), "utf8")))
    .filter(({ text }) => !text.includes("\u0000"))

/** Asks git; in a tarball or an image, where there is none, looks for itself. */
const listFiles = (): ReadonlyArray<string> => {
  if (!existsSync(join(root, ".git"))) return walk("")
  try {
    const options: ExecFileSyncOptionsWithStringEncoding = { cwd: root, encoding: "utf8", stdio: "pipe" }
    return execFileSync("git", ["ls-files", "-coz", "--exclude-standard"], options).split("\0").filter(Boolean)
  } catch {
    return walk("")
  }
}

const passedOver = new Set(["node_modules", ".git", ".data", "coverage"])

export const walk = (directory: string): ReadonlyArray<string> =>
  readdirSync(join(root, directory), { withFileTypes: true }).flatMap((entry) => {
    if (passedOver.has(entry.name)) return []
    const path = directory === "" ? entry.name : `${directory}/${entry.name}`
    return entry.isDirectory() ? walk(path) : [path]
  })

const Texts = Schema.Record(Schema.String, Schema.String).pipe(Schema.withDecodingDefaultKey(Effect.succeed({})))

const Manifest = Schema.Struct({
  name: Schema.String,
  scripts: Texts,
  dependencies: Texts,
  devDependencies: Texts,
  optionalDependencies: Texts,
  peerDependencies: Texts
})
export type Manifest = typeof Manifest.Type

export const readManifest = Schema.decodeUnknownSync(Schema.fromJsonString(Manifest))

export interface Workspace {
  /** `packages/saga`, `services/orders`. */
  readonly directory: string
  readonly isService: boolean
  readonly manifest: Manifest | undefined
}

/** The folder that a file's package lives in; undefined for what belongs to no package, as the bench's guests do not. */
export const workspaceOf = (path: string) =>
  /^(?:(?:packages|services)\/[^/]+|bench(?!\/peers\/))(?=\/)/.exec(path)?.[0]

export const workspaces = (tree: Tree): ReadonlyArray<Workspace> => {
  const directories = new Set(tree.flatMap(({ path }) => workspaceOf(path) ?? []))
  return Array.from(directories, (directory) => {
    const manifest = fileAt(tree, `${directory}/package.json`)
    return {
      directory,
      isService: directory.startsWith("services/"),
      manifest: manifest === undefined ? undefined : readManifest(manifest.text)
    }
  })
}
