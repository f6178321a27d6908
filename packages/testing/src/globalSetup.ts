/**
 * Before the first test of a run: one PostgreSQL for all of them, with every service's tables in a template database
 * that each test file copies. Roles belong to the whole server, so they are made here, once.
 */
import { tmpdir } from "node:os"

import { auditor } from "@ecommerce/chassis/Names"
import * as Credentials from "@ecommerce/stack/Credentials"
import * as Databases from "@ecommerce/stack/Databases"
import { EmbeddedPostgres } from "@ecommerce/stack/EmbeddedPostgres"
import { NodeServices } from "@effect/platform-node"
import { Effect, Exit, FileSystem, Option, Path, Redacted, Result, Scope } from "effect"
import type { TestProject } from "vitest/node"

export interface SharedPostgres {
  readonly administratorUrl: string
  readonly passwords: Readonly<Record<string, string>>
  readonly serviceToken: string
}

declare module "vitest" {
  interface ProvidedContext {
    readonly postgres: SharedPostgres
  }
}

export const templateDatabase = "template_services"

const prefix = "ecommerce-tests-"

/** What test runs left that were killed: their folders carry the number of a process that is no more. */
const sweep = Effect.gen(function* () {
  const fileSystem = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const left = (yield* fileSystem.readDirectory(tmpdir())).filter((name) => name.startsWith(prefix))
  const dead = left.filter((name) => !isAlive(Number(name.slice(prefix.length).split("-")[0])))
  yield* Effect.forEach(dead, (name) => fileSystem.remove(path.join(tmpdir(), name), { recursive: true }))
}).pipe(Effect.ignore)

const isAlive = (pid: number) => Result.isSuccess(Result.try(() => process.kill(pid, 0)))

/** A PostgreSQL with the template in it, in a folder that goes with the scope unless one is given. */
export const startPostgres = Effect.fn("globalSetup.startPostgres")(function* (folder?: string) {
  const fileSystem = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  yield* sweep
  const directory = folder ?? (yield* fileSystem.makeTempDirectoryScoped({ prefix: `${prefix}${process.pid}-` }))
  const credentials = yield* Credentials.ephemeral
  const server = yield* EmbeddedPostgres.make({
    dataDirectory: path.join(directory, "postgres"),
    port: 0,
    password: credentials.superuserPassword,
    durable: false,
    settings: { max_connections: "300" }
  })
  yield* Databases.createDatabase(server.url("postgres"), templateDatabase)
  yield* Databases.prepare({
    url: server.url(templateDatabase),
    services: Databases.all,
    passwordOf: (service) => Option.some(credentials.passwordOf(service))
  })
  const passwords = [...Databases.all, auditor].map(
    (role) => [role, Redacted.value(credentials.passwordOf(role))] as const
  )
  const shared: SharedPostgres = {
    administratorUrl: Redacted.value(server.url("postgres")),
    passwords: Object.fromEntries(passwords),
    serviceToken: Redacted.value(credentials.serviceToken)
  }
  return { server, shared }
})

export default async function globalSetup(project: TestProject) {
  const scope = Scope.makeUnsafe()
  const { shared } = await Effect.runPromise(
    startPostgres().pipe(Effect.provideService(Scope.Scope, scope), Effect.provide(NodeServices.layer))
  )
  project.provide("postgres", shared)
  return () => Effect.runPromise(Scope.close(scope, Exit.void))
}
