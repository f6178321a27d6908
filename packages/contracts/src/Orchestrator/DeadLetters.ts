/**
 * Events that a service could not use, as its operators see them.
 */
import { Letter } from "@ecommerce/outbox/FeedDesk"
import { ConsumerName } from "@ecommerce/outbox/FeedEndpoint"
import { Problem } from "@ecommerce/protocol/Problem"
import { ServiceToken } from "@ecommerce/protocol/ServiceToken"
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, HttpApiSchema, OpenApi } from "effect/http-api"

export const DeadLetter = Letter.annotate({ identifier: "DeadLetter" })

export class NoDeadLetters extends Problem<NoDeadLetters>()(
  "NoDeadLetters",
  { code: "no_dead_letters", status: 404, title: "This consumer has no dead letters." },
  { consumer: Schema.String }
) {}

export const deadLettersGroup = HttpApiGroup.make("deadLetters")
  .add(
    HttpApiEndpoint.get("list", "/dead-letters", {
      success: Schema.Struct({ deadLetters: Schema.Array(DeadLetter) }).annotate({ identifier: "DeadLetterList" })
    }),
    HttpApiEndpoint.post("redrive", "/dead-letters/:consumer/redrive", {
      params: { consumer: ConsumerName },
      success: Schema.Struct({ consumer: Schema.String, count: Schema.Int }).pipe(HttpApiSchema.status(202)),
      error: NoDeadLetters
    }).annotate(OpenApi.Description, "The consumer uses them again, in its next round.")
  )
  .middleware(ServiceToken)
  .annotate(OpenApi.Description, "Events that could not be used, for operators.")
