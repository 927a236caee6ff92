import { defineConfig } from "vitest/config";

const attacks = "test/torture/**/*.test.ts";

export default defineConfig({
  test: {
    // Real servers, databases and a browser share two cores.
    testTimeout: 30_000,
    hookTimeout: 120_000,
    projects: [
      {
        extends: true,
        test: {
          name: "tests",
          include: ["test/**/*.test.ts"],
          exclude: [attacks],
          // Most tests wait for something more than they compute.
          maxWorkers: 2,
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: {
          name: "attacks",
          include: [attacks],
          // What others feel of an attack is measured: nothing else may run meanwhile.
          maxWorkers: 1,
          fileParallelism: false,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
