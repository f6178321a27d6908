/**
 * DBOS Transact: a workflow of four steps, each recorded when it is done.
 *
 * Tuned: no tracing, no logs, 32 connections for its own tables instead of 10, workflows called directly rather than queued.
 */
import { DBOS } from "@dbos-inc/dbos-sdk"

import * as Work from "./Work.ts"

const task = Work.readTask()
const pool = Work.poolOf(task, 16)
await Work.prepare(pool)

const socket = encodeURIComponent(task.host)
DBOS.setConfig({
  name: "bench",
  systemDatabaseUrl: `postgresql://postgres:${encodeURIComponent(task.password)}@localhost:${task.port}/${task.database}?host=${socket}`,
  systemDatabasePool: Work.poolOf(task, 32),
  tracingEnabled: false,
  logLevel: "error"
})
const saga = DBOS.registerWorkflow(
  async (id: string) => {
    await DBOS.runStep(() => Work.create(pool, [id]).then(() => null), { name: "create" })
    await DBOS.runStep(() => Work.reserve(pool, [id]).then(() => null), { name: "reserve" })
    await DBOS.runStep(() => Work.capture(pool, [id]).then(() => null), { name: "capture" })
    await DBOS.runStep(() => Work.confirm(pool, [id]).then(() => null), { name: "confirm" })
  },
  { name: "saga" }
)
await DBOS.launch()
await Work.measure(task, pool, (orders) => Work.each(orders, task.inFlight, (id) => saga(id)))
process.exit(0)
