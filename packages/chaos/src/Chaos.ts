/**
 * The story of a run: customers come, trouble comes, trouble goes, and then somebody looks whether everything was kept.
 */
import * as Books from "@ecommerce/audit/Books"
import { auditor } from "@ecommerce/chassis/Names"
import * as ChassisSettings from "@ecommerce/chassis/Settings"
import { payment } from "@ecommerce/contracts/Payment"
import * as Databases from "@ecommerce/stack/Databases"
import * as Repository from "@ecommerce/stack/Repository"
import { Clock, Effect, Fiber, Path, Redacted, Ref, Stream } from "effect"
import { ChildProcess } from "effect/process"

import { Customers } from "./Customers.ts"
import { Deployment } from "./Deployment.ts"
import * as Evidence from "./Evidence.ts"
import * as Faults from "./Faults.ts"
import * as Plan from "./Plan.ts"
import type { Outcome } from "./Report.ts"
import * as Verdict from "./Verdict.ts"

export interface Options {
  readonly seed: number
  readonly seconds: number
  /** Told of what is done, as it is done. */
  readonly tell: (line: string) => Effect.Effect<void>
}

/** How long it may take until nothing is on its way any more. On a machine that does nothing else it is a tenth of that. */
const secondsAllowed = 100

/** A deck of the slower track takes longer than this, so that there are decks enough. */
const shortestDeckSeconds = 15

/** What makes a thing be seen; alone, should it not have been seen by chance. */
const encoreFor = (sight: Exclude<Evidence.Sight, "refunds">, [orchestrator = ""]: Plan.Cast["orchestrators"]) => {
  const faults: Readonly<Record<typeof sight, Plan.Fault>> = {
    takeovers: { _tag: "Kill", names: [orchestrator] },
    unknowns: { _tag: "Kill", names: [orchestrator] },
    fencedWrites: { _tag: "Pause", name: orchestrator },
    lateRuns: { _tag: "HoldRuns", command: "reserve-stock" },
    deadLetters: { _tag: "Poison" }
  }
  return faults[sight]
}

const mostEncores = 6

/** What was begun shows when leases have run out, and somebody has taken over. */
const untilSeen = "5 seconds"

export const run = Effect.fn("Chaos.run")(function* ({ seconds, seed, tell }: Options) {
  const { cast, deaths, edgeUrls } = yield* Deployment
  const customers = yield* Customers
  const faults = yield* Ref.make<Readonly<Record<string, number>>>({})
  const began = yield* Clock.currentTimeMillis
  const elapsed = Effect.map(Clock.currentTimeMillis, (now) => (now - began) / 1000)

  const perform = Effect.fnUntraced(function* (fault: Plan.Fault) {
    yield* tell(`+${(yield* elapsed).toFixed(1)} s  ${Plan.describe(fault)}`)
    yield* Ref.update(faults, (all) => ({ ...all, [Plan.kindOf(fault)]: (all[Plan.kindOf(fault)] ?? 0) + 1 }))
    yield* Faults.perform(fault)
  })

  const play = Effect.fnUntraced(function* ({ leastTurns, turns }: Plan.Track) {
    for (const [number, { fault, pauseMillis }] of turns.entries()) {
      if (number >= leastTurns && (yield* elapsed) >= seconds) return
      yield* Effect.sleep(pauseMillis)
      yield* perform(fault)
    }
  })

  const plan = yield* Plan.draw(seed, cast, Math.ceil(seconds / shortestDeckSeconds) + 1)
  const arriving = yield* Effect.forkScoped(customers.arrive)
  yield* Effect.all([play(plan.processes), play(plan.network)], { concurrency: 2 })
  for (let encores = 0; encores < mostEncores; encores++) {
    const [sight] = Evidence.missingIn(yield* Evidence.gather)
    if (sight === undefined) break
    // Whoever cancels what is completed has the money back.
    yield* sight === "refunds" ? customers.send("cancelled late", 5) : perform(encoreFor(sight, cast.orchestrators))
    yield* Effect.sleep(untilSeen)
  }
  yield* Fiber.interrupt(arriving)

  const secondsOfTrouble = yield* elapsed
  yield* tell(`+${secondsOfTrouble.toFixed(1)} s  the trouble is over`)
  const books = yield* openBooks
  const secondsToQuiet = yield* Verdict.settle(books, secondsAllowed)
  const verdict = yield* Verdict.reach(books, reconcile)
  const { errors, secrecy } = yield* Evidence.Evidence
  const outcome: Outcome = {
    seed,
    secondsAsked: seconds,
    secondsOfTrouble,
    edges: edgeUrls.length,
    orchestrators: cast.orchestrators.length,
    faults: yield* Ref.get(faults),
    verdict: { ...verdict, findings: [...verdict.findings, yield* secrecy, yield* deaths] },
    seen: yield* Evidence.gather,
    secondsToQuiet,
    secondsAllowed,
    errorsLogged: yield* errors
  }
  return outcome
})

const openBooks = Effect.flatMap(Deployment, ({ administratorUrl, credentials }) =>
  Books.open(() => Databases.urlOf(administratorUrl, auditor, credentials.passwordOf(auditor)))
)

/** `npm run reconcile`, on this stack. */
const reconcile = Effect.gen(function* () {
  const path = yield* Path.Path
  const { administratorUrl, credentials } = yield* Deployment
  const child = yield* ChildProcess.make(
    process.execPath,
    [path.join(yield* Repository.root, "services", payment.name, "src", "reconcile.ts")],
    {
      env: {
        DATABASE_URL: Redacted.value(
          Databases.urlOf(administratorUrl, payment.name, credentials.passwordOf(payment.name))
        ),
        [ChassisSettings.keyOf(payment.name, "DATABASE_URL")]: "",
        SERVICE_TOKEN: Redacted.value(credentials.serviceToken)
      },
      extendEnv: true
    }
  )
  const [printed, code] = yield* Effect.all([Stream.mkString(Stream.decodeText(child.all)), child.exitCode], {
    concurrency: 2
  })
  return Number(code) === 0 ? [] : printed.trim().split("\n")
}).pipe(Effect.scoped, Effect.orDie)
