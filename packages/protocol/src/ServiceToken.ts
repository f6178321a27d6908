/**
 * The mark for endpoints that only other services and operators may use: commands, feeds, money, other people's data.
 *
 * A group or an endpoint takes it with `.middleware(ServiceToken)`; the chassis holds the key to compare with.
 */
import { HttpApiMiddleware, HttpApiSecurity } from "effect/http-api"

import { Unauthorized } from "./GeneralProblems.ts"

export class ServiceToken extends HttpApiMiddleware.Service<ServiceToken>()("@ecommerce/protocol/ServiceToken", {
  error: Unauthorized,
  security: { bearer: HttpApiSecurity.bearer }
}) {}
