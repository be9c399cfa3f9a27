import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["tests/**/*.test.ts", "src/**/*.test.ts"],
    globalSetup: ["tests/temporary-folder.ts"],
    setupFiles: ["tests/properties.ts"],
    // Files share a worker's modules: loading the library and its dependencies anew for each of them takes longer than the tests.
    pool: "threads",
    isolate: false,
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
