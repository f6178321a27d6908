import { readdirSync, readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"

import { auditor, roleOf } from "@ecommerce/chassis/Names"
import { keyOf } from "@ecommerce/chassis/Settings"
import { orchestrator } from "@ecommerce/contracts/Orchestrator"
import { topology } from "@ecommerce/stack/topology"
import { Effect, Schema } from "effect"
import { assert, describe, it } from "vitest"
import { parse } from "yaml"

import { lasting } from "../src/ComposeProject.ts"

const root = fileURLToPath(new URL("../../../", import.meta.url))
const read = (path: string) => readFileSync(`${root}${path}`, "utf8")

const Texts = Schema.Array(Schema.String).pipe(Schema.withDecodingDefaultKey(Effect.succeed([])))
const Flag = Schema.Boolean.pipe(Schema.withDecodingDefaultKey(Effect.succeed(false)))
const Service = Schema.Struct({
  image: Schema.optionalKey(Schema.String),
  build: Schema.optionalKey(
    Schema.Struct({
      context: Schema.String,
      target: Schema.optionalKey(Schema.String),
      args: Schema.optionalKey(Schema.Struct({ SERVICE: Schema.String }))
    })
  ),
  environment: Schema.Record(Schema.String, Schema.String).pipe(Schema.withDecodingDefaultKey(Effect.succeed({}))),
  ports: Texts,
  volumes: Texts,
  depends_on: Schema.Record(Schema.String, Schema.Struct({ condition: Schema.String })).pipe(
    Schema.withDecodingDefaultKey(Effect.succeed({}))
  ),
  healthcheck: Schema.optionalKey(Schema.Struct({ test: Schema.Array(Schema.String) })),
  profiles: Texts,
  init: Flag,
  read_only: Flag,
  cap_drop: Texts,
  security_opt: Texts,
  mem_limit: Schema.optionalKey(Schema.String),
  restart: Schema.optionalKey(Schema.String),
  stop_grace_period: Schema.optionalKey(Schema.String),
  container_name: Schema.optionalKey(Schema.String),
  pull_policy: Schema.optionalKey(Schema.String)
})

const text = read("docker-compose.yml")
const { services } = Schema.decodeUnknownSync(Schema.Struct({ services: Schema.Record(Schema.String, Service) }))(
  parse(text, { merge: true })
)
const all = Object.entries(services)
const serviceOf = (name: string) => services[name] ?? assert.fail(`docker-compose.yml has no service ${name}`)
const ours = all.filter(([, { build }]) => build !== undefined)
const names = topology.map(({ name }) => name)

const secret = (key: string) => `\${${key}:?run "npm run env" first}`
const urlOf = (name: string) =>
  `postgres://${roleOf(name)}:${secret(keyOf(name, "DATABASE_PASSWORD"))}@postgres:5432/ecommerce`

describe("docker-compose.yml", () => {
  it.each(topology)("runs $name, as its own role, and asks at its port whether it works", ({ name, port }) => {
    const { build, depends_on, environment, healthcheck } = serviceOf(name)
    assert.deepStrictEqual(build, { context: ".", args: { SERVICE: name } })
    assert.strictEqual(environment["DATABASE_URL"], urlOf(name))
    assert.deepStrictEqual(healthcheck?.test, ["CMD", "node", "/app/packages/chassis/probe.mjs", String(port)])
    assert.deepStrictEqual(depends_on["migrate"], { condition: "service_completed_successfully" })
  })

  it.each(topology)("tells everybody where $name is", ({ name, port }) => {
    for (const other of names) {
      assert.strictEqual(serviceOf(other).environment[keyOf(name, "URL")], `http://${name}:${port}`)
    }
  })

  it("publishes edge to the world, the orchestrator to nobody, and everything else to this machine", () => {
    const published = Object.fromEntries(
      all.filter(([, { ports }]) => ports.length > 0).map(([name, { ports }]) => [name, ports])
    )
    assert.deepStrictEqual(published, {
      "edge-api": ["${EDGE_API_PORT:-3000}:3000"],
      inventory: ["127.0.0.1:${INVENTORY_PORT:-3001}:3001"],
      payment: ["127.0.0.1:${PAYMENT_PORT:-3002}:3002"],
      orders: ["127.0.0.1:${ORDERS_PORT:-3003}:3003"],
      postgres: ["127.0.0.1:${POSTGRES_PORT:-5432}:5432"],
      observability: [
        "127.0.0.1:${GRAFANA_PORT:-3005}:3000",
        "127.0.0.1:${OTLP_GRPC_PORT:-4317}:4317",
        "127.0.0.1:${OTLP_HTTP_PORT:-4318}:4318"
      ]
    })
    assert.isUndefined(serviceOf(orchestrator.name).container_name)
  })

  it("gives every role its password when the tables are made, which begins when the database is there", () => {
    const { depends_on, environment } = serviceOf("migrate")
    for (const name of [...names, auditor]) {
      const key = keyOf(name, "DATABASE_PASSWORD")
      assert.strictEqual(environment[key], secret(key))
    }
    assert.deepStrictEqual(depends_on, { postgres: { condition: "service_healthy" } })
  })

  it("lets npm run feeds into the database of every service", () => {
    const { environment } = serviceOf("feeds")
    for (const name of names) assert.strictEqual(environment[keyOf(name, "DATABASE_URL")], urlOf(name))
  })

  it("has no secret in it, and says how to come by each that it lacks", () => {
    for (const [name, { environment }] of all) {
      for (const [key, value] of Object.entries(environment)) {
        if (!/PASSWORD|TOKEN|DATABASE_URL/u.test(key)) continue
        assert.match(value.replaceAll(/^postgres:\/\/\w+:|@postgres:5432\/ecommerce$/gu, ""), /^\$\{\w+:\?.+\}$/u, name)
      }
    }
    const lacking = Array.from(text.matchAll(/\$\{\w*(?:PASSWORD|TOKEN)\w*[^}]*\}/gu), ([variable]) => variable)
    assert.isNotEmpty(lacking)
    for (const variable of lacking) assert.match(variable, /:\?run "npm run env" first\}$/u)
    assert.include(read(".gitignore").split("\n"), ".env")
  })

  it("names no setting that nobody reads", () => {
    const literals = new Set(
      ["packages/chassis/src", "packages/stack/src", ...names.map((name) => `services/${name}/src`)].flatMap((folder) =>
        readdirSync(`${root}${folder}`, { recursive: true, encoding: "utf8" })
          .filter((file) => file.endsWith(".ts"))
          .flatMap((file) => Array.from(read(`${folder}/${file}`).matchAll(/"([A-Z][A-Z0-9_]+)"/gu), ([, key]) => key))
      )
    )
    const prefixes = [...names, auditor].map((name) => keyOf(name, ""))
    const isRead = (key: string) =>
      literals.has(key) || prefixes.some((prefix) => key.startsWith(prefix) && literals.has(key.slice(prefix.length)))
    const unread = ours.flatMap(([name, { environment }]) =>
      Object.keys(environment)
        .filter((key) => !isRead(key))
        .map((key) => `${name}: ${key}`)
    )
    assert.deepStrictEqual(unread, [])
  })

  it("is what the README says to wait for, and to run", () => {
    const readme = read("README.md")
    const awaited = /^docker compose up --build --detach --wait (.+)$/mu.exec(readme)?.[1] ?? ""
    assert.sameMembers(awaited.split(" "), [...lasting])
    const operators = ours.filter(([, { profiles }]) => profiles.includes("operations")).map(([name]) => name)
    const offered = /`docker compose run --rm (\w+)`((?:, `\w+`)+)/u.exec(readme) ?? []
    assert.sameMembers(
      Array.from(offered.slice(1).join(" ").matchAll(/\w+/gu), ([name]) => name),
      operators
    )
  })

  it.each(lasting)("watches over %s, and starts it again", (name) => {
    const { healthcheck, mem_limit, restart, security_opt } = serviceOf(name)
    assert.isNotEmpty(healthcheck?.test)
    assert.isDefined(mem_limit)
    assert.strictEqual(restart, "unless-stopped")
    assert.deepStrictEqual(security_opt, ["no-new-privileges:true"])
  })

  it.each(ours)("lets %s do nothing but its work, and end in its own time", (name, service) => {
    assert.isTrue(service.read_only && service.init)
    assert.deepStrictEqual([service.cap_drop, service.security_opt], [["ALL"], ["no-new-privileges:true"]])
    assert.isDefined(service.mem_limit)
    // SHUTDOWN_TIMEOUT is 8 seconds.
    if (names.includes(name)) assert.strictEqual(service.stop_grace_period, "15s")
    else assert.isTrue(name === "migrate" || service.profiles.includes("operations"))
  })

  it("keeps what PostgreSQL stores in a volume, and shows Grafana what is in observability/", () => {
    assert.deepStrictEqual(serviceOf("postgres").volumes, ["postgres:/var/lib/postgresql"])
    const provisioning = "/otel-lgtm/grafana/conf/provisioning"
    assert.includeMembers(
      [...serviceOf("observability").volumes],
      [
        "./observability/dashboards:/otel-lgtm/ecommerce-dashboards:ro",
        `./observability/grafana/dashboards.yaml:${provisioning}/dashboards/ecommerce.yaml:ro`,
        `./observability/grafana/alerts.yaml:${provisioning}/alerting/ecommerce.yaml:ro`
      ]
    )
    const provider = Schema.decodeUnknownSync(
      Schema.Struct({ providers: Schema.Array(Schema.Struct({ options: Schema.Struct({ path: Schema.String }) })) })
    )(parse(read("observability/grafana/dashboards.yaml")))
    assert.deepStrictEqual(
      provider.providers.map(({ options }) => options.path),
      ["/otel-lgtm/ecommerce-dashboards"]
    )
  })

  it("takes images by their tags, from wherever they are", () => {
    const images = all.flatMap(([, { image }]) => image ?? [])
    assert.sameMembers(images, ["postgres:18", "grafana/otel-lgtm:latest"])
    assert.isEmpty(all.filter(([, { pull_policy }]) => pull_policy !== undefined))
  })
})

describe("the Dockerfile", () => {
  const dockerfile = read("Dockerfile")
  const instructions = dockerfile.split("\n").filter((line) => /^[A-Z]+ /u.test(line))

  it("builds on the Node that is pinned, by its tag, and asks for no frontend", () => {
    const bases = instructions.flatMap((line) => /^FROM (\S+:\S+)/u.exec(line)?.[1] ?? [])
    const [major] = read(".node-version").split(".")
    assert.deepStrictEqual(new Set(bases), new Set([`node:${major}-bookworm-slim`]))
    assert.notMatch(dockerfile, /^#\s*syntax\s*=|@sha256:/mu)
  })

  it("runs as nobody special", () => {
    assert.deepStrictEqual(
      instructions.filter((line) => line.startsWith("USER")),
      ["USER node"]
    )
  })

  it("copies nothing that is not wanted: what is not named is left out", () => {
    const ignored = read(".dockerignore").split("\n")
    assert.strictEqual(
      ignored.find((line) => !line.startsWith("#")),
      "*"
    )
    assert.sameMembers(
      ignored.filter((line) => line.startsWith("!")),
      ["!package.json", "!package-lock.json", "!.npmrc", "!packages", "!services", "!migrations"]
    )
  })
})
