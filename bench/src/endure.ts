/**
 * `npm run endure`: whether it stays as it is for long, and what it does with more than it can take. Ends with 1 where a rule is broken.
 */
import * as Program from "@ecommerce/chassis/Program"
import { StartupError } from "@ecommerce/chassis/StartupError"
import * as CommandLine from "@ecommerce/stack/CommandLine"
import { Logbook } from "@ecommerce/stack/Logbook"
import * as Repository from "@ecommerce/stack/Repository"
import * as StackSettings from "@ecommerce/stack/Settings"
import { NodeHttpClient } from "@effect/platform-node"
import { Console, Effect, Path } from "effect"
import { Command, Flag } from "effect/cli"

import * as Bench from "./Bench.ts"
import * as Endurance from "./Endurance.ts"
import * as Findings from "./Findings.ts"
import { judgedSeconds } from "./Rules.ts"
import { Server } from "./Server.ts"

const flags = {
  minutes: Flag.Int("minutes").pipe(
    Flag.withDescription(`How long the soak lasts. Trends are judged from ${judgedSeconds / 60} minutes on.`),
    Flag.withDefault(10)
  ),
  json: Flag.Boolean("json").pipe(Flag.withDescription("As JSON, for programs"), Flag.withDefault(false))
}

const endure = Effect.fn("endure")(function* (options: { readonly minutes: number; readonly json: boolean }) {
  if (options.minutes < 1) return yield* new StartupError({ message: "A soak lasts at least one minute." })
  const path = yield* Path.Path
  const logs = path.join(path.resolve(yield* Repository.root, yield* StackSettings.dataDirectory.read), "bench", "logs")
  // Whoever reads JSON reads standard output.
  const progress = Console.error
  const outcome = yield* Endurance.run({ minutes: options.minutes, progress }).pipe(
    Effect.provide(Bench.supervisorLayer),
    Effect.provide([Server.layer, NodeHttpClient.layerUndici]),
    Effect.provide(Logbook.layer(logs)),
    Effect.scoped,
    Effect.catchTag("Discarded", ({ reason }) => Effect.andThen(Console.error(reason), new Program.AlreadyTold()))
  )
  yield* Console.log(options.json ? Findings.encode(outcome) : Findings.render(outcome))
  if (Findings.broken(outcome).length > 0) return yield* new Program.AlreadyTold()
})

const command = Command.make("npm run endure --", flags, endure).pipe(
  Command.withDescription("A soak at 60 % of what the stack can do, and then three times as much as it can.")
)

CommandLine.run(command)
