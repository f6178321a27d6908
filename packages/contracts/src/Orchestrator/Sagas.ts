/**
 * Sagas as operators see them: where each stands, its journal, and what there is to do with one that does not get on.
 */
import { cursorOf, Limit } from "@ecommerce/protocol/Page"
import { ServiceToken } from "@ecommerce/protocol/ServiceToken"
import { Text } from "@ecommerce/protocol/Validation"
import * as SagaDesk from "@ecommerce/saga/SagaDesk"
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, HttpApiSchema, OpenApi } from "effect/http-api"

import { OrderId } from "../Ids.ts"

const times = {
  createdAt: Schema.DateTimeUtc,
  updatedAt: Schema.DateTimeUtc,
  dueAt: Schema.NullOr(Schema.DateTimeUtc),
  endedAt: Schema.NullOr(Schema.DateTimeUtc)
}

export const SagaSummary = Schema.Struct({ ...SagaDesk.Summary.fields, ...times }).annotate({
  identifier: "SagaSummary"
})
export type SagaSummary = typeof SagaSummary.Type

/** One line of a saga's journal: what came of an attempt of a step, or of its undo. */
export const JournalLine = Schema.Struct({ ...SagaDesk.Line.fields, at: Schema.DateTimeUtc }).annotate({
  identifier: "JournalLine"
})

export const WholeSaga = Schema.Struct({
  ...SagaSummary.fields,
  undos: Schema.Array(Schema.String),
  deadlineAt: Schema.DateTimeUtc,
  traceparent: Schema.NullOr(Schema.String),
  journal: Schema.Array(JournalLine)
}).annotate({ identifier: "WholeSaga" })
export type WholeSaga = typeof WholeSaga.Type

const SagaCursor = cursorOf(Schema.String.check(Schema.isUUID()))

export const SagaPage = Schema.Struct({
  sagas: Schema.Array(SagaSummary),
  nextCursor: Schema.NullOr(SagaCursor)
}).annotate({ identifier: "SagaPage" })

const Asked = Schema.Struct({ id: Schema.String, asked: Schema.Literals(["retry", "cancel", "resolve"]) })
const asked = Asked.pipe(HttpApiSchema.status(202))

export const Resolution = Schema.Struct({
  by: Text.check(Schema.isBetweenCodePoints(1, 100)).annotate({ description: "Who says so." }),
  note: Text.check(Schema.isBetweenCodePoints(1, 1000)).annotate({
    description: "What was done by hand, kept in the journal."
  }),
  result: Schema.optionalKey(
    Schema.Unknown.annotate({ description: "What the step would have answered; nothing for an undo." })
  )
}).annotate({ identifier: "Resolution" })

const params = { id: Schema.String.check(Schema.isUUID()) }

export const Diagram = Schema.Struct({ definition: Schema.String, version: Schema.Int, mermaid: Schema.String })

export const sagasGroup = HttpApiGroup.make("sagas")
  .add(
    HttpApiEndpoint.get("list", "/sagas", {
      query: {
        state: Schema.optionalKey(SagaDesk.Filter),
        limit: Schema.optionalKey(Limit),
        cursor: Schema.optionalKey(SagaCursor)
      },
      success: SagaPage
    }).annotate(OpenApi.Description, "Sagas of a state, the newest first; those that are open unless told otherwise."),
    HttpApiEndpoint.get("ofOrder", "/orders/:orderId/sagas", {
      params: { orderId: OrderId },
      success: Schema.Struct({ sagas: Schema.Array(SagaSummary) }).annotate({ identifier: "SagasOfOrder" })
    }).annotate(OpenApi.Description, "An order's sagas, in the order in which they began."),
    HttpApiEndpoint.get("get", "/sagas/:id", { params, success: WholeSaga, error: SagaDesk.SagaUnknown }).annotate(
      OpenApi.Description,
      "One saga with its whole journal."
    ),
    HttpApiEndpoint.post("retry", "/sagas/:id/retry", {
      params,
      success: asked,
      error: [SagaDesk.SagaUnknown, SagaDesk.SagaBusy, SagaDesk.SagaEnded]
    }).annotate(OpenApi.Description, "Its step is sent now, and not only when it is due."),
    HttpApiEndpoint.post("cancel", "/sagas/:id/cancel", {
      params,
      success: asked,
      error: [SagaDesk.SagaUnknown, SagaDesk.SagaEnded]
    }).annotate(
      OpenApi.Description,
      "It turns back before its next send; one that is completed is taken back by another saga."
    ),
    HttpApiEndpoint.post("resolve", "/sagas/:id/resolve", {
      params,
      payload: Resolution,
      success: asked,
      error: [SagaDesk.SagaUnknown, SagaDesk.SagaBusy, SagaDesk.SagaEnded, SagaDesk.ResultNeeded]
    }).annotate(OpenApi.Description, "The step that it is at was done by hand: it goes on behind it."),
    HttpApiEndpoint.get("diagrams", "/diagrams", { success: Schema.Array(Diagram) }).annotate(
      OpenApi.Description,
      "The steps and ways back of every definition, for Mermaid."
    )
  )
  .middleware(ServiceToken)
  .annotate(OpenApi.Description, "Sagas, for operators.")
