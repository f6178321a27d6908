import * as HttpProblems from "@ecommerce/chassis/HttpProblems"
import { auditor, roleOf, schemaOf } from "@ecommerce/chassis/Names"
import { rowsOf } from "@ecommerce/sets/Sets"
import * as Databases from "@ecommerce/stack/Databases"
import { topology } from "@ecommerce/stack/topology"
import * as ApiDocument from "@ecommerce/testing/ApiDocument"
import * as FuzzedRequests from "@ecommerce/testing/FuzzedRequests"
import * as RawHttp from "@ecommerce/testing/RawHttp"
import { TestDatabase } from "@ecommerce/testing/TestDatabase"
import { WholeStack } from "@ecommerce/testing/WholeStack"
import { NodeHttpClient } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Effect, Layer, References, Schema } from "effect"
import { HttpClient } from "effect/http"
import * as fc from "fast-check"

/** What anybody may ask. Whatever is not here asks for the service token; a new endpoint is one or the other. */
const open: ReadonlyArray<string> = [
  "edge-api GET /orders",
  "edge-api GET /orders/{id}",
  "edge-api GET /orders/{id}/events",
  "edge-api POST /orders",
  "edge-api POST /orders/{id}/cancel",
  "inventory GET /products",
  "inventory GET /products/{id}",
  "inventory GET /products/{id}/availability",
  "inventory PATCH /products/{id}",
  "inventory POST /products",
  "inventory POST /products/{id}/stock"
]
/** Of every service. */
const openEverywhere = new Set<string>(["/docs", "/health", "/health/live", "/health/ready", "/openapi.json"])

const stack = WholeStack.layer().pipe(
  Layer.provideMerge(TestDatabase.layer),
  Layer.provideMerge(NodeHttpClient.layerUndici),
  Layer.provideMerge(Layer.succeed(References.MinimumLogLevel, "None"))
)

/** Every operation of every service, with a request that is right except for the token. */
const operations = Effect.gen(function* () {
  const { urls } = yield* WholeStack
  return (yield* Effect.forEach(Object.entries(urls), ([service, url]) =>
    Effect.gen(function* () {
      const response = yield* HttpClient.get(`${url}/openapi.json`)
      const document = yield* Effect.flatMap(response.json, ApiDocument.decode)
      const own = HttpProblems.ownPaths.map((path) => ({
        name: `${service} GET ${path}`,
        isOpen: openEverywhere.has(path),
        request: { line: `GET ${path}` }
      }))
      const declared = ApiDocument.operationsOf(document).map((operation) => {
        const name = `${service} ${ApiDocument.nameOf(operation)}`
        const making = { schemas: document.components.schemas, hostility: 0, token: "" }
        const untold = FuzzedRequests.requestsOf({ ...operation, takesToken: false }, making)
        const [request = { line: "" }] = fc.sample(untold, { numRuns: 1, seed: 11 })
        return { name, isOpen: open.includes(name), request }
      })
      return [...own, ...declared].map((one) => ({ ...one, port: Number(new URL(url).port) }))
    })
  )).flat()
})

const wrongTokens = (right: string): ReadonlyArray<ReadonlyArray<string>> => [
  [],
  ["authorization: "],
  ["authorization: Bearer"],
  ["authorization: Bearer not-the-token-at-all"],
  [`authorization: Bearer ${right.slice(0, -1)}`],
  [`authorization: Bearer ${right}x`],
  [`authorization: Bearer ${right.toLowerCase()}`],
  [`authorization: Basic ${right}`],
  [`authorization: ${right}`],
  [`x-authorization: Bearer ${right}`],
  [`cookie: bearer=${right}`]
]

layer(stack, { excludeTestServices: true })("who may ask what", (it) => {
  it.effect("is told for everything that there is: what is open stands in a list, and all of it is there", () =>
    Effect.gen(function* () {
      const there = yield* operations
      assert.includeMembers(
        there.map(({ name }) => name),
        [...open]
      )
      assert.sameMembers(
        HttpProblems.ownPaths.filter((path) => !openEverywhere.has(path)),
        ["/metrics"]
      )
    })
  )

  it.effect("is refused without the service token and with a wrong one, wherever it is not open", () =>
    Effect.gen(function* () {
      const { serviceToken } = yield* TestDatabase
      const guarded = (yield* operations).filter(({ isOpen }) => !isOpen)
      assert.isAtLeast(guarded.length, topology.length * 2)
      for (const { name, port, request } of guarded) {
        for (const shown of wrongTokens(serviceToken)) {
          const headers = "headers" in request ? request.headers : []
          const answer = yield* RawHttp.sendTo(port, { ...request, headers: [...(headers ?? []), ...shown] })
          assert.strictEqual(answer.status, 401, `${name} ${shown.join()} ${answer.body}`)
          assert.strictEqual(answer.headers["www-authenticate"], "Bearer", name)
          assert.notInclude(answer.body, serviceToken, name)
        }
      }
    })
  )

  it.effect("is asked without any token, where it is open", () =>
    Effect.gen(function* () {
      for (const { name, port, request } of (yield* operations).filter(({ isOpen }) => isOpen)) {
        assert.notStrictEqual((yield* RawHttp.sendTo(port, request)).status, 401, name)
      }
    })
  )

  it.effect("in the database is its own for every service, and to be read by the auditor alone", () =>
    Effect.gen(function* () {
      const { administrator } = yield* TestDatabase
      const roles = [...Databases.all, auditor].map(roleOf)
      const found = yield* rights(administrator`
        SELECT rolname AS role, nspname AS schema, has_schema_privilege(rolname, nspname, 'CREATE') AS may_create
        FROM pg_roles CROSS JOIN pg_namespace
        WHERE ${administrator.in("rolname", roles)} AND nspname NOT LIKE 'pg\\_%' AND nspname <> 'information_schema'
          AND nspname <> 'public' AND has_schema_privilege(rolname, nspname, 'USAGE')
        ORDER BY 1, 2`)
      const own = (role: string) => Databases.all.map((service) => ({ role, schema: schemaOf(service) }))
      assert.sameDeepMembers(
        found.map(({ role, schema }) => ({ role, schema })),
        [
          ...Databases.all.map((service) => ({ role: roleOf(service), schema: schemaOf(service) })),
          ...own(roleOf(auditor))
        ]
      )
      assert.isFalse(found.some(({ mayCreate }) => mayCreate))
    })
  )

  it.effect("in the database stops at the tables of others, and the auditor's at reading", () =>
    Effect.gen(function* () {
      const { administrator } = yield* TestDatabase
      const roles = [...Databases.all, auditor].map(roleOf)
      const found = yield* privileges(administrator`
        SELECT rolname AS role, nspname AS schema, array_agg(DISTINCT privilege ORDER BY privilege) AS privileges
        FROM pg_roles CROSS JOIN pg_namespace AS place JOIN pg_class AS entry ON relnamespace = place.oid
          CROSS JOIN unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']) AS privilege
        WHERE ${administrator.in("rolname", roles)} AND relkind IN ('r', 'p', 'v', 'm')
          AND nspname NOT LIKE 'pg\\_%' AND nspname <> 'information_schema'
          AND (has_table_privilege(rolname, entry.oid, privilege)
            OR privilege IN ('SELECT', 'INSERT', 'UPDATE', 'REFERENCES')
              AND has_any_column_privilege(rolname, entry.oid, privilege))
        GROUP BY 1, 2`)
      const beyond = found.filter(
        ({ role, schema }) => !Databases.all.some((name) => roleOf(name) === role && schemaOf(name) === schema)
      )
      assert.sameDeepMembers(
        beyond,
        Databases.all.map((service) => ({ role: roleOf(auditor), schema: schemaOf(service), privileges: ["SELECT"] }))
      )
      const mayMake = yield* administrator`
        SELECT rolname FROM pg_roles
        WHERE ${administrator.in("rolname", roles)} AND (has_schema_privilege(rolname, 'public', 'CREATE')
          OR has_database_privilege(rolname, current_database(), 'CREATE'))`
      assert.deepStrictEqual(mayMake, [])
    })
  )

  it.effect("in the database is nothing that belongs to administrators, for any role of ours", () =>
    Effect.gen(function* () {
      const { administrator } = yield* TestDatabase
      const roles = [...Databases.all, auditor].map(roleOf)
      const mighty = yield* administrator`
        SELECT rolname FROM pg_roles
        WHERE ${administrator.in("rolname", roles)}
          AND (rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls)`
      assert.deepStrictEqual(mighty, [])
      const members = yield* administrator`
        SELECT roleid::regrole::text FROM pg_auth_members WHERE member::regrole::text LIKE 'ecommerce%'`
      assert.deepStrictEqual(members, [])
    })
  )
})

const rights = rowsOf(Schema.Struct({ role: Schema.String, schema: Schema.String, mayCreate: Schema.Boolean }))

const privileges = rowsOf(
  Schema.Struct({ role: Schema.String, schema: Schema.String, privileges: Schema.Array(Schema.String) })
)
