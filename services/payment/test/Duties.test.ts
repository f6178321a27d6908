import { OrderId } from "@ecommerce/contracts/Ids"
import { authorizePayment, cancelPayment, capturePayment } from "@ecommerce/contracts/Payment/Commands"
import { asked, send } from "@ecommerce/testing/Asking"
import { participantDuties } from "@ecommerce/testing/ParticipantDuties"
import { Effect, Redacted } from "effect"

import { definition } from "../src/Http.ts"

const held = (amountCents: number, token: string) =>
  asked(authorizePayment, (key) => ({
    orderId: OrderId.make(key),
    amountCents,
    currency: "USD",
    token: Redacted.make(token)
  }))
const authorized = held(4999, "tok_visa_success")
const captured = (amountCents: number) => asked(capturePayment, (key) => ({ orderId: OrderId.make(key), amountCents }))
const cancelled = asked(cancelPayment, (key) => ({ orderId: OrderId.make(key) }))

participantDuties(
  definition,
  Effect.void,
  [
    {
      does: authorized,
      otherwise: held(5999, "tok_visa_success"),
      undo: cancelled,
      refusal: { does: held(4999, "tok_decline_insufficient"), relieve: () => Effect.void }
    },
    {
      does: captured(4999),
      given: [authorized],
      otherwise: captured(1000),
      undo: cancelled,
      refusal: {
        does: captured(4999),
        relieve: (key) => send(authorized.name, [{ key, payload: authorized.payload(key, undefined) }])
      }
    },
    { does: cancelled, given: [authorized] },
    { does: cancelled, given: [authorized, captured(4999)] }
  ],
  // A slow machine is no processor that is away.
  { MOCK_LATENCY_MS: "0", MOCK_FAILURE_RATE: "0", PROCESSOR_TIMEOUT: "20 seconds", PROCESSOR_BREAKER_FAILURES: "1000" }
)
