/**
 * Whose word on behalf of others is believed: the proxies in front of the services.
 */
import { Config, Effect, Layer, Result, Schema } from "effect"
import { HttpMiddleware, HttpRouter } from "effect/http"
import { IpNetwork } from "effect/net"

import * as Settings from "./Settings.ts"

/** Which proxies may say on whose behalf they ask; from nobody else is `X-Forwarded-For` believed. */
export const trustedProxies = Settings.setting({
  key: "TRUSTED_PROXIES",
  about: "The networks of the proxies in front of the services, whose X-Forwarded-For is believed.",
  expected: 'networks separated by commas, such as "10.0.0.0/8,192.0.2.7", or "none"',
  fallback: "none",
  config: (key) =>
    Config.schema(Networks, key).pipe(Config.map((text) => Result.getOrThrow(Result.all(networksIn(text)))))
})

const networksIn = (text: string) =>
  text === "none" ? [] : text.split(",").map((network) => IpNetwork.fromString(withPrefix(network.trim())))
/** An address alone is a network of one. */
const withPrefix = (network: string) =>
  network.includes("/") ? network : `${network}/${network.includes(":") ? "128" : "32"}`
const Networks = Schema.String.check(Schema.makeFilter((text: string) => networksIn(text).every(Result.isSuccess)))

/** Whoever asks through a proxy that we trust is known by the address that it vouches for. */
export const layer = Layer.unwrap(
  Effect.map(trustedProxies.read, (networks) =>
    HttpRouter.use((router) =>
      router.addGlobalMiddleware(HttpMiddleware.xForwardedHeaders({ trustedProxies: networks }))
    )
  )
)
