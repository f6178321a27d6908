/**
 * pg-boss: a queue a step. Batched: a worker takes up to 200 jobs, does their step with one statement, and inserts the next
 * queue's jobs with one more.
 *
 * Tuned: four workers a queue, which fetch again at once for as long as batches come full.
 */
import { randomUUID } from "node:crypto"

import { PgBoss } from "pg-boss"

import * as Work from "./Work.ts"

const task = Work.readTask()
const pool = Work.poolOf(task, 16)
await Work.prepare(pool)

const boss = new PgBoss({
  host: task.host,
  port: task.port,
  user: "postgres",
  password: task.password,
  database: task.database,
  max: 20,
  supervise: false,
  schedule: false
})
boss.on("error", (error) => console.error(error))
await boss.start()
const batchSize = 200

for (const name of Work.names) await boss.createQueue(name)
for (const [place, name] of Work.names.entries()) {
  const next = Work.names[place + 1]
  await boss.work<{ id: string }>(
    name,
    { batchSize, pollingIntervalSeconds: 0.5, localConcurrency: 4, burstWhenReadyExceeds: 1, burstWhenBatchFull: true },
    async (jobs) => {
      const ids = jobs.map(({ data }) => data.id)
      await Work.steps[name](pool, ids)
      if (next !== undefined)
        await boss.insert(
          next,
          ids.map((id) => ({ data: { id } }))
        )
    }
  )
}
await Work.measure(task, pool, (orders) =>
  boss.insert(
    "create",
    Array.from({ length: orders }, () => ({ data: { id: randomUUID() } }))
  )
)
process.exit(0)
