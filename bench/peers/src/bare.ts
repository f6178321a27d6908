/**
 * No engine at all: four transactions an order, one after the other. Whoever dies in between forgets the rest.
 */
import * as Work from "./Work.ts"

const task = Work.readTask()
const pool = Work.poolOf(task, 32)
await Work.prepare(pool)
await Work.measure(task, pool, (orders) =>
  Work.each(orders, task.inFlight, async (id) => {
    await Work.create(pool, [id])
    await Work.reserve(pool, [id])
    await Work.capture(pool, [id])
    await Work.confirm(pool, [id])
  })
)
process.exit(0)
