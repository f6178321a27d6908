/**
 * The mark for endpoints that anybody may ask, and nobody too often.
 *
 * A group or an endpoint takes it with `.middleware(RateLimit)`; the chassis counts.
 */
import { HttpApiMiddleware } from "effect/http-api"

import { Problem } from "./Problem.ts"

export class TooManyRequests extends Problem<TooManyRequests>()(
  "TooManyRequests",
  { code: "too_many_requests", status: 429, title: "More requests came from you than one client may send." },
  {}
) {}

export class RateLimit extends HttpApiMiddleware.Service<RateLimit>()("@ecommerce/protocol/RateLimit", {
  error: TooManyRequests
}) {}
