import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    // Most tests wait for something more than they compute.
    maxWorkers: 2,
    // Real servers, databases and a browser share two cores.
    testTimeout: 30_000,
    hookTimeout: 120_000,
  },
});
