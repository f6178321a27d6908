/**
 * What goes wrong, and in which order: drawn from a seed, before anything runs.
 *
 * There are two tracks at the same time, one for processes and the database, one for the network. Each is dealt like cards:
 * a shuffled deck with everything in it once, then the next deck. So the first deck alone has every kind of trouble.
 */
import { Effect, Random } from "effect"

/** Those that can be killed, by the service that they are replicas of. */
export interface Cast {
  readonly edges: ReadonlyArray<string>
  readonly orchestrators: ReadonlyArray<string>
  /** Of which there is one each. */
  readonly others: ReadonlyArray<string>
  /** Who asks whom. */
  readonly links: ReadonlyArray<string>
}

export type Fault =
  | { readonly _tag: "Kill"; readonly names: ReadonlyArray<string> }
  /** Longer than its leases, so that it comes back as a zombie. */
  | { readonly _tag: "Pause"; readonly name: string }
  /** Told to stop as for a new release: it finishes what it has begun, and comes back. */
  | { readonly _tag: "Stop"; readonly name: string }
  | { readonly _tag: "RestartDatabase"; readonly mode: "fast" | "immediate" }
  /** The postmaster itself: its backends go on until they notice. */
  | { readonly _tag: "KillDatabase" }
  | { readonly _tag: "TerminateBackends" }
  | { readonly _tag: "Cut"; readonly links: ReadonlyArray<string> }
  | { readonly _tag: "Delay"; readonly link: string; readonly byMillis: number; readonly forMillis: number }
  | { readonly _tag: "LoseReplies"; readonly link: string; readonly forMillis: number }
  /** Runs of this command are held back until their sagas have turned back, and then let go. */
  | { readonly _tag: "HoldRuns"; readonly command: HeldCommand }
  /** For a while PostgreSQL refuses to store some of the orders that the orchestrator hears of. */
  | { readonly _tag: "Poison" }

export const heldCommands = ["create-order", "reserve-stock", "capture-payment"] as const
export type HeldCommand = (typeof heldCommands)[number]

export interface Turn {
  /** After the turn before. */
  readonly pauseMillis: number
  readonly fault: Fault
}

export interface Track {
  /** So many of the turns are the first deck: a run is not over before them. */
  readonly leastTurns: number
  readonly turns: ReadonlyArray<Turn>
}

export interface Plan {
  readonly processes: Track
  readonly network: Track
}

/** In words, as it is told while it happens. */
export const describe = (fault: Fault): string => {
  switch (fault._tag) {
    case "Kill":
      return `kill -9 ${fault.names.join(" and ")}`
    case "Pause":
      return `pause ${fault.name}`
    case "Stop":
      return `SIGTERM ${fault.name}`
    case "RestartDatabase":
      return `restart PostgreSQL, ${fault.mode}`
    case "KillDatabase":
      return "kill -9 PostgreSQL"
    case "TerminateBackends":
      return "terminate all backends"
    case "Cut":
      return `cut ${fault.links.length > 2 ? `all ${fault.links.length} links` : fault.links.join(", ")}`
    case "Delay":
      return `delay ${fault.link} by ${fault.byMillis} ms`
    case "LoseReplies":
      return `lose replies ${fault.link}`
    case "HoldRuns":
      return `hold back ${fault.command}`
    case "Poison":
      return "poison orders"
  }
}

/** What a table counts as one. */
export const kindOf = (fault: Fault): string => {
  switch (fault._tag) {
    case "Kill":
      return fault.names.length > 1 ? "kill -9, two at once" : "kill -9"
    case "Pause":
      return "SIGSTOP beyond a lease, SIGCONT"
    case "Stop":
      return "SIGTERM"
    case "RestartDatabase":
      return `PostgreSQL restarted, ${fault.mode}`
    case "KillDatabase":
      return "kill -9 of PostgreSQL"
    case "TerminateBackends":
      return "backends terminated"
    case "Cut":
      return "connections cut"
    case "Delay":
      return "delays"
    case "LoseReplies":
      return "replies lost"
    case "HoldRuns":
      return "runs held back"
    case "Poison":
      return "events poisoned"
  }
}

/** The shortest and the longest time between two troubles of one track. */
const pauses = { shortest: 300, longest: 1800 }

/** From a generator for each track, so that a plan with more decks begins with the one that has fewer. */
export const draw = (seed: number, cast: Cast, decks: number): Effect.Effect<Plan> =>
  Effect.all({
    processes: Random.withSeed(deal(processDeck(cast), decks), `${seed} processes`),
    network: Random.withSeed(deal(networkDeck(cast), decks), `${seed} network`)
  })

const deal = Effect.fnUntraced(function* (deck: Effect.Effect<ReadonlyArray<Fault>>, decks: number) {
  const turns: Array<Turn> = []
  let leastTurns = 0
  for (let number = 0; number < decks; number++) {
    for (const fault of yield* Effect.flatMap(deck, Random.shuffle)) {
      turns.push({ pauseMillis: yield* Random.nextIntBetween(pauses.shortest, pauses.longest), fault })
    }
    if (number === 0) leastTurns = turns.length
  }
  return { leastTurns, turns }
})

const processDeck = ({ edges, orchestrators, others }: Cast) =>
  Effect.gen(function* () {
    const all = [...edges, ...orchestrators, ...others]
    const deck: ReadonlyArray<Fault> = [
      ...all.map((name): Fault => ({ _tag: "Kill", names: [name] })),
      { _tag: "Kill", names: yield* pair(all) },
      { _tag: "Kill", names: yield* pair(all) },
      { _tag: "Pause", name: yield* one(orchestrators) },
      { _tag: "Pause", name: yield* one([...edges, ...others]) },
      { _tag: "Stop", name: yield* one(orchestrators) },
      { _tag: "Stop", name: yield* one([...edges, ...others]) },
      { _tag: "RestartDatabase", mode: "fast" },
      { _tag: "RestartDatabase", mode: "immediate" },
      { _tag: "KillDatabase" },
      { _tag: "TerminateBackends" }
    ]
    return deck
  })

const networkDeck = ({ links }: Cast) =>
  Effect.gen(function* () {
    const delay = Effect.gen(function* () {
      const fault: Fault = {
        _tag: "Delay",
        link: yield* one(links),
        byMillis: yield* Random.nextIntBetween(20, 600),
        forMillis: yield* Random.nextIntBetween(1000, 4000)
      }
      return fault
    })
    const loss = (among: ReadonlyArray<string>) =>
      Effect.gen(function* () {
        const fault: Fault = {
          _tag: "LoseReplies",
          link: yield* one(among),
          forMillis: yield* Random.nextIntBetween(200, 2500)
        }
        return fault
      })
    const deck: ReadonlyArray<Fault> = [
      { _tag: "Cut", links: yield* pair(links) },
      { _tag: "Cut", links: yield* pair(links) },
      { _tag: "Cut", links },
      yield* delay,
      yield* delay,
      // Where money moves, where customers wait, where things are stored; and anywhere.
      yield* loss(links.filter((link) => link.endsWith("→ payment"))),
      yield* loss(links.filter((link) => link.startsWith("customers"))),
      yield* loss(links.filter((link) => link.endsWith("→ database"))),
      yield* loss(links),
      { _tag: "HoldRuns", command: yield* one(heldCommands) },
      { _tag: "Poison" }
    ]
    return deck
  })

const one = <A>(among: ReadonlyArray<A>) => Effect.orDie(Random.choice(among))

const pair = <A>(among: ReadonlyArray<A>) => Effect.map(Random.shuffle(among), (all) => all.slice(0, 2))
