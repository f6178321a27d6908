// `npm run env`: gives `docker compose` its secrets. Makes `.env` with a random value for each variable that
// docker-compose.yml cannot do without, or adds those that it lacks; what is in there stays as it is. An argument names
// another file.
//
// Whoever has Docker needs nothing installed for this, so it is plain JavaScript without dependencies.
import { randomBytes } from "node:crypto"
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { basename, dirname, join, resolve } from "node:path"
import { fileURLToPath } from "node:url"

const root = resolve(dirname(fileURLToPath(import.meta.url)), "..", "..")
const file = resolve(process.argv[2] ?? join(root, ".env"))

const required = new Set(
  Array.from(readFileSync(join(root, "docker-compose.yml"), "utf8").matchAll(/\$\{(\w+):\?/g), ([, name]) => name)
)
const before = existsSync(file) ? readFileSync(file, "utf8") : ""
const isGiven = (name) => new RegExp(`^[ \\t]*(?:export[ \\t]+)?${name}[ \\t]*=[ \\t]*\\S`, "m").test(before)
const missing = [...required].filter((name) => !isGiven(name))

if (missing.length === 0) {
  console.log(`${basename(file)} has every secret already; it stays as it is.`)
} else {
  // Letters, digits, - and _: they need no quotes, neither here nor in a URL.
  const lines = missing.map((name) => `${name}=${randomBytes(24).toString("base64url")}\n`).join("")
  const separator = before === "" || before.endsWith("\n") ? "" : "\n"
  writeFileSync(file, `${before}${separator}${lines}`, { mode: 0o600 })
  console.log(`${before === "" ? "Made" : "Added to"} ${basename(file)}: ${missing.join(", ")}.`)
}
