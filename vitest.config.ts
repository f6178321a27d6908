import { defineConfig } from "vitest/config"

export default defineConfig({
  test: {
    include: ["**/test/**/*.test.ts"],
    globalSetup: ["packages/testing/src/globalSetup.ts"],
    // Most tests wait for a process or a database, not for the processor.
    maxWorkers: 4,
    testTimeout: 300_000,
    hookTimeout: 300_000,
    coverage: { provider: "v8", include: ["packages/*/src/**", "services/*/src/**"], reporter: ["text", "html"] }
  }
})
