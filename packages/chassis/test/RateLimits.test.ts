import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"

import { makeBudgets } from "@ecommerce/chassis/RateLimits"
import { TestDatabase } from "@ecommerce/testing/TestDatabase"
import * as TestService from "@ecommerce/testing/TestService"
import { assert, describe, it, layer } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { HttpClient, HttpClientRequest } from "effect/http"
import * as fc from "fast-check"

import { definition } from "./fixtures/Turnstile.ts"

const minute = 60_000

/** A moment as the clock tells it: a number of that size has few digits left for shares of a millisecond. */
const today = 1_763_733_600_123

/** What is left by rounding of shares of a minute that are no binary fractions. */
const tolerance = 1e-3

const limits = fc.integer({ min: 1, max: 300 })
/** Moments at which one client asks: in bursts, and after pauses of up to two minutes. */
const moments = fc
  .array(fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 200 }), fc.integer({ min: 0, max: 2 * minute })), {
    minLength: 1,
    maxLength: 400
  })
  .map((pauses) => {
    let now = today
    return pauses.map((pause) => (now += pause))
  })

/** The moments at which the client was let in. */
const letIn = (limit: number, asked: ReadonlyArray<number>) => {
  const spend = makeBudgets(limit)
  return asked.filter((now) => !spend("anna", now).isExceeded)
}

/** How many are let in at this moment, of more than there can be. */
const burst = (spend: ReturnType<typeof makeBudgets>, limit: number, now: number, client = "anna") =>
  Array.from({ length: limit + 5 }, () => spend(client, now)).filter(({ isExceeded }) => !isExceeded).length

describe("a client's budget", () => {
  it("is the whole minute's at once, and not one request more", () => {
    fc.assert(
      fc.property(limits, (limit) => {
        const spend = makeBudgets(limit)
        const budgets = Array.from({ length: limit + 2 }, () => spend("anna", today))
        assert.deepStrictEqual(
          budgets.map(({ isExceeded }) => isExceeded),
          budgets.map((_, place) => place >= limit)
        )
        assert.deepStrictEqual(
          budgets.map(({ remaining }) => remaining),
          budgets.map((_, place) => Math.max(0, limit - 1 - place))
        )
      })
    )
  })

  it("never lets in more, from any request to any other, than one minute's and what has come back between the two", () => {
    fc.assert(
      fc.property(limits, moments, (limit, asked) => {
        const passed = letIn(limit, asked)
        for (const [first, from] of passed.entries()) {
          for (const [later, to] of passed.slice(first).entries()) {
            assert.isAtMost(later + 1, limit + ((to - from) * limit) / minute + tolerance)
          }
        }
      }),
      { numRuns: 50 }
    )
  })

  it("lets in whoever keeps to the limit, however long", () => {
    fc.assert(
      fc.property(limits, (limit) => {
        const even = Array.from({ length: 3 * limit }, (_, place) => today + Math.ceil((place * minute) / limit))
        assert.lengthOf(letIn(limit, even), even.length)
      })
    )
  })

  it("says how many more fit, when the next one does, and when all of them do", () => {
    fc.assert(
      fc.property(limits, moments, (limit, asked) => {
        const last = asked.at(-1) ?? 0
        const after = (wait: number) => {
          const spend = makeBudgets(limit)
          const said = asked.map((now) => spend("anna", now)).at(-1)
          return { said, fits: burst(spend, limit, last + wait) }
        }
        const { fits, said } = after(0)
        assert.strictEqual(said?.remaining, fits)
        assert.isAtLeast(said?.retryAfterSeconds ?? 0, 1)
        assert.strictEqual(after((said?.resetSeconds ?? 0) * 1000).fits, limit)
        if (said?.isExceeded !== true) return
        assert.strictEqual(fits, 0)
        assert.isAtLeast(after(said.retryAfterSeconds * 1000).fits, 1)
        const early = (said.retryAfterSeconds - 1) * 1000
        if (early > 0) assert.strictEqual(after(early).fits, 0)
      }),
      { numRuns: 50 }
    )
  })

  it("is no other client's, and does not change because others are forgotten", () => {
    fc.assert(
      fc.property(limits, moments, (limit, asked) => {
        const spend = makeBudgets(limit)
        const among = asked.map((now, place) => {
          burst(spend, limit, now, `other-${place}`)
          return spend("anna", now)
        })
        const alone = makeBudgets(limit)
        assert.deepStrictEqual(
          among,
          asked.map((now) => alone("anna", now))
        )
      }),
      { numRuns: 20 }
    )
  })

  it("is not forgotten as long as some of it is used", () => {
    for (const used of [1, 2, 9]) {
      const spend = makeBudgets(10)
      spend("somebody", today)
      for (let request = 0; request < used; request += 1) spend("anna", today + minute - 1)
      assert.strictEqual(burst(spend, 10, today + minute), 10 - used)
    }
  })

  it("takes no memory any more a minute after the client has had all of it back", () => {
    setFlagsFromString("--expose-gc")
    const collect: unknown = runInNewContext("gc")
    const heapMegabytes = () => {
      if (typeof collect === "function") collect()
      return process.memoryUsage().heapUsed / 1e6
    }
    const spend = makeBudgets(10)
    const before = heapMegabytes()
    for (let client = 0; client < 300_000; client += 1) spend(`a client that comes once, ${client}`, today)
    const full = heapMegabytes()
    assert.isAbove(full - before, 10)
    spend("anna", today + 2 * minute)
    assert.isBelow(heapMegabytes() - before, (full - before) / 4)
    assert.strictEqual(burst(spend, 10, today + 2 * minute), 9)
  })
})

const ask = (path: string, ...forwarded: ReadonlyArray<string>) => {
  const headers = forwarded.length === 0 ? {} : { "x-forwarded-for": forwarded.join(", ") }
  return HttpClient.execute(HttpClientRequest.get(path, { headers }))
}
const statusOf = (path: string, ...forwarded: ReadonlyArray<string>) =>
  Effect.map(ask(path, ...forwarded), ({ status }) => status)

/** However much came back meanwhile. */
const spendAll = Effect.repeat(statusOf("/one"), { until: (status) => status === 429 })

const service = (settings: Readonly<Record<string, string>>) =>
  TestService.layer(definition, { LOG_LEVEL: "None", ...settings }).pipe(Layer.provideMerge(TestDatabase.layer))

const realTime = { excludeTestServices: true }

layer(service({ RATE_LIMIT: "5" }), realTime)("a service that is asked too much", (it) => {
  it.effect("says with every answer how much is left, and then when to come again", () =>
    Effect.gen(function* () {
      const left = (answer: { readonly headers: Readonly<Record<string, string | undefined>> }) =>
        ["limit", "remaining"].map((name) => answer.headers[`ratelimit-${name}`])
      const first = yield* ask("/one")
      assert.deepStrictEqual([first.status, ...left(first)], [200, "5", "4"])
      assert.strictEqual(first.headers["ratelimit-reset"], "12")
      assert.isUndefined(first.headers["retry-after"])
      assert.deepStrictEqual(left(yield* ask("/two")), ["5", "3"])
      const wrong = yield* ask("/things/x")
      assert.deepStrictEqual([wrong.status, ...left(wrong)], [400, "5", "2"])
      yield* ask("/one")
      assert.deepStrictEqual(left(yield* ask("/one")), ["5", "0"])

      const refused = yield* ask("/one")
      assert.strictEqual(refused.status, 429)
      assert.strictEqual(refused.headers["content-type"], "application/problem+json")
      assert.deepStrictEqual(yield* refused.json, {
        type: "urn:problem:too_many_requests",
        title: "More requests came from you than one client may send.",
        status: 429,
        error: "too_many_requests",
        trace_id: refused.headers["trace-id"] ?? ""
      })
      assert.deepStrictEqual(left(refused), ["5", "0"])
      const seconds = Number(refused.headers["retry-after"])
      assert.isTrue(seconds >= 1 && seconds <= 12, `Retry-After: ${seconds}`)
      assert.isAtMost(Number(refused.headers["ratelimit-reset"]), 60)
      assert.isAtLeast(Number(refused.headers["ratelimit-reset"]), seconds)
    })
  )

  it.effect("refuses at all counted addresses, and at none of the others", () =>
    Effect.gen(function* () {
      yield* spendAll
      const statuses = yield* Effect.forEach(["/one", "/two", "/things/1", "/open", "/health/live"], (path) =>
        statusOf(path)
      )
      assert.deepStrictEqual(statuses, [429, 429, 429, 200, 200])
      assert.isUndefined((yield* ask("/open")).headers["ratelimit-limit"])
    })
  )

  it.effect("believes nobody who says that he asks for another one", () =>
    Effect.gen(function* () {
      yield* spendAll
      assert.strictEqual(yield* statusOf("/one", "198.51.100.7"), 429)
      assert.strictEqual(yield* statusOf("/one", "127.0.0.2"), 429)
    })
  )
})

layer(service({ RATE_LIMIT: "2", TRUSTED_PROXIES: "10.0.0.0/8, ::1/128" }), realTime)("behind other proxies", (it) => {
  it.effect("believes none of those that it does not trust", () =>
    Effect.gen(function* () {
      const statuses = yield* Effect.forEach(["198.51.100.1", "198.51.100.2", "10.0.0.1"], (client) =>
        statusOf("/one", client)
      )
      assert.deepStrictEqual(statuses, [200, 200, 429])
    })
  )
})

layer(service({ RATE_LIMIT: "2", TRUSTED_PROXIES: "127.0.0.0/8,::1/128" }), realTime)(
  "behind a trusted proxy",
  (it) => {
    const twice = (...forwarded: ReadonlyArray<string>) =>
      Effect.all([statusOf("/one", ...forwarded), statusOf("/one", ...forwarded)])

    it.effect("gives each client a budget of its own", () =>
      Effect.gen(function* () {
        for (const client of ["198.51.100.1", "198.51.100.2", "2001:db8::1", "2001:db8:0:1::1"]) {
          assert.deepStrictEqual(yield* twice(client), [200, 200])
          assert.strictEqual(yield* statusOf("/one", client), 429)
        }
      })
    )

    it.effect("counts the client that the proxy saw, whatever that one says of others", () =>
      Effect.gen(function* () {
        assert.deepStrictEqual(yield* twice("6.6.6.6", "198.51.100.3"), [200, 200])
        assert.strictEqual(yield* statusOf("/one", "7.7.7.7", "198.51.100.3"), 429)
        assert.strictEqual(yield* statusOf("/one", "198.51.100.3", "127.0.0.9", "::1"), 429)
        assert.deepStrictEqual(yield* twice("6.6.6.6"), [200, 200])
      })
    )

    it.effect("knows a client in whatever spelling of its address", () =>
      Effect.gen(function* () {
        assert.deepStrictEqual(yield* twice("2001:db8:0:2:0:0:0:a"), [200, 200])
        assert.strictEqual(yield* statusOf("/one", "2001:DB8:0:2::A"), 429)
        assert.deepStrictEqual(yield* twice("198.51.100.4"), [200, 200])
        assert.strictEqual(yield* statusOf("/one", "::ffff:198.51.100.4"), 429)
      })
    )

    it.effect("takes all IPv6 addresses of one network for one client", () =>
      Effect.gen(function* () {
        assert.deepStrictEqual(yield* twice("2001:db8:0:3::1"), [200, 200])
        assert.strictEqual(yield* statusOf("/one", "2001:db8:0:3:ffff::2"), 429)
      })
    )

    it.effect("counts the proxy itself where it vouches for nobody", () =>
      Effect.gen(function* () {
        assert.deepStrictEqual([yield* statusOf("/one"), yield* statusOf("/one", "unknown")], [200, 200])
        assert.strictEqual(yield* statusOf("/one", "<script>"), 429)
        assert.strictEqual(yield* statusOf("/one", "198.51.100.5"), 200)
      })
    )
  }
)
