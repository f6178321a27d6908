/**
 * `npm run reconcile`: compares payment's books with the processor's, prints every difference, and ends with 1 where
 * there is one. It changes nothing.
 */
import * as Database from "@ecommerce/chassis/Database"
import { Health } from "@ecommerce/chassis/Health"
import * as Program from "@ecommerce/chassis/Program"
import * as Settings from "@ecommerce/chassis/Settings"
import { StartupError } from "@ecommerce/chassis/StartupError"
import { payment } from "@ecommerce/contracts/Payment"
import { Console, Effect, Layer } from "effect"

import { nouns } from "./Http.ts"
import { lastId, Reconciliation } from "./Reconciliation.ts"

const reconcile = Effect.gen(function* () {
  const { compare } = yield* Reconciliation
  const { compared, differences } = yield* compare({ after: "", until: lastId })
  yield* Effect.forEach(differences, ({ authorizationId, says }) => Console.log(`${authorizationId}  ${says}`))
  yield* Console.log(
    differences.length === 0
      ? `The books agree about ${compared} payments.`
      : `The books do not agree about ${differences.length} of ${compared} payments.`
  )
  if (differences.length > 0) return yield* new Program.AlreadyTold()
}).pipe(
  Effect.catchTag(
    "SqlError",
    (error) => new StartupError({ message: `The books cannot be read: ${Database.describe(error)}` })
  ),
  Effect.catchTag("ProcessorUnavailable", ({ reason }) => new StartupError({ message: reason }))
)

Program.run(
  reconcile.pipe(
    Effect.provide(nouns.pipe(Layer.provide([Database.layer(payment.name), Health.layer]))),
    Effect.provide(Settings.layer)
  )
)
