/**
 * `npm run e2e:compose`: docker-compose.yml for real, tried from outside. Ends with 0 where all is as it should be, with 1 where
 * something is not, and with 2 where there is no Docker engine to try it with.
 */
import * as Program from "@ecommerce/chassis/Program"
import * as CommandLine from "@ecommerce/stack/CommandLine"
import { NodeHttpClient } from "@effect/platform-node"
import { Cause, Console, Effect } from "effect"
import { Command } from "effect/cli"

import * as ComposeProject from "./ComposeProject.ts"
import * as Docker from "./Docker.ts"
import { Findings } from "./Findings.ts"
import * as Story from "./Story.ts"

const noEngine = 2

const run = Effect.fn("e2e")(
  function* () {
    const absence = yield* Docker.absence
    if (absence !== undefined) {
      yield* Console.error(`docker-compose.yml cannot be tried here: ${absence}`)
      return yield* new Program.AlreadyTold({ exitCode: noEngine })
    }
    const { failures, table } = yield* Findings
    yield* Console.log("")
    const told = yield* Effect.exit(Effect.scoped(Effect.flatMap(ComposeProject.open, Story.tell)))
    yield* Console.log(`\n${yield* table}\n`)
    if (told._tag === "Failure") {
      if (!Cause.hasInterruptsOnly(told.cause)) yield* Console.error(`The story breaks off: ${describe(told.cause)}`)
      return yield* new Program.AlreadyTold()
    }
    if ((yield* failures) > 0) return yield* new Program.AlreadyTold()
  },
  Effect.provide([Findings.layer, NodeHttpClient.layerUndici])
)

const describe = (cause: Cause.Cause<unknown>) => {
  const error = Cause.squash(cause)
  return error instanceof Docker.DockerFailed ? error.sentence : Cause.pretty(cause)
}

const command = Command.make("npm run e2e:compose --", {}, run).pipe(
  Command.withDescription("Tries docker-compose.yml for real, from outside, and prints figures.")
)

CommandLine.run(command)
