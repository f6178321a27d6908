/**
 * graphile-worker: a job a step, each of which adds the next one.
 *
 * Tuned: 24 jobs at a time, a local queue of 500 that fetches many at once, completions told in batches.
 */
import { randomUUID } from "node:crypto"

import { Logger, makeWorkerUtils, run } from "graphile-worker"

import * as Work from "./Work.ts"

const task = Work.readTask()
const pool = Work.poolOf(task, 40)
await Work.prepare(pool)

const taskList = Object.fromEntries(
  Work.names.map((name, place) => [
    name,
    async (payload: unknown, helpers: { addJob: (name: string, payload: object) => Promise<unknown> }) => {
      const id = typeof payload === "object" && payload !== null && "id" in payload ? String(payload.id) : ""
      await Work.steps[name](pool, [id])
      const next = Work.names[place + 1]
      if (next !== undefined) await helpers.addJob(next, { id })
    }
  ])
)
pool.on("error", (error) => console.error(error))
const logger = new Logger(() => () => {})
await run({
  pgPool: pool,
  taskList,
  logger,
  noHandleSignals: true,
  preset: {
    worker: {
      concurrentJobs: 24,
      pollInterval: 100,
      localQueue: { size: 500 },
      completeJobBatchDelay: 0,
      failJobBatchDelay: 0
    }
  }
})
const utils = await makeWorkerUtils({ pgPool: pool, logger })
await Work.measure(task, pool, (orders) =>
  utils.addJobs(Array.from({ length: orders }, () => ({ identifier: "create", payload: { id: randomUUID() } })))
)
process.exit(0)
