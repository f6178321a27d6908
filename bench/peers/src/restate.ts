/**
 * Restate: its server beside this process, which holds the journal, and a handler of four recorded steps.
 *
 * Tuned: no tracing, logs of errors alone; the handler is asked over one connection, as many orders in flight as everybody has.
 */
import { spawn } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout } from "node:timers/promises"
import { fileURLToPath } from "node:url"

import * as restate from "@restatedev/restate-sdk"

import * as Work from "./Work.ts"

const task = Work.readTask()
const pool = Work.poolOf(task, 32)
await Work.prepare(pool)

const directory = mkdtempSync(join(tmpdir(), "ecommerce-bench-restate-"))
const program = fileURLToPath(
  new URL("../node_modules/@restatedev/restate-server-linux-x64/bin/restate-server", import.meta.url)
)
const server = spawn(program, ["--base-dir", directory, "--log-filter", "error"], {
  stdio: ["ignore", "ignore", "inherit"],
  env: { PATH: "/usr/bin", DO_NOT_TRACK: "1", RESTATE_DISABLE_TELEMETRY: "true" }
})
process.on("exit", () => {
  server.kill("SIGKILL")
  rmSync(directory, { recursive: true, force: true })
})
server.on("exit", (code) => {
  console.error(`restate-server ended with ${code}`)
  process.exit(1)
})

const saga = restate.service({
  name: "Saga",
  handlers: {
    run: async (ctx: restate.Context, id: string) => {
      await ctx.run("create", () => Work.create(pool, [id]).then(() => null))
      await ctx.run("reserve", () => Work.reserve(pool, [id]).then(() => null))
      await ctx.run("capture", () => Work.capture(pool, [id]).then(() => null))
      await ctx.run("confirm", () => Work.confirm(pool, [id]).then(() => null))
    }
  }
})
await restate.serve({ services: [saga], port: 9080 })

const post = (url: string, body: unknown) =>
  fetch(url, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) })

const register = async (tries: number): Promise<void> => {
  const isDone = await post("http://127.0.0.1:9070/deployments", { uri: "http://127.0.0.1:9080" }).then(
    ({ ok }) => ok,
    () => false
  )
  if (isDone) return
  if (tries === 0) throw new Error("restate-server does not take the deployment")
  await setTimeout(200)
  return register(tries - 1)
}
await register(150)

await Work.measure(task, pool, (orders) =>
  Work.each(orders, task.inFlight, async (id) => {
    const answer = await post("http://127.0.0.1:8080/Saga/run", id)
    if (!answer.ok) throw new Error(await answer.text())
    await answer.arrayBuffer()
  })
)
process.exit(0)
