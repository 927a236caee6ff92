import { defineConfig } from "vitest/config";

/** What takes minutes or a Debian package. */
const slow = "test/**/*.ci.test.ts";

export default defineConfig({
  test: {
    globalSetup: "test/support/shared-servers.ts",
    // A hang ends here, on a busy machine too. Nothing is expected to take long.
    testTimeout: 300_000,
    hookTimeout: 300_000,
    expect: { poll: { timeout: 250_000, interval: 20 } },
    // Most tests wait for something more than they compute.
    maxWorkers: 2,
    // Loading the packages anew for each file would cost more than most files take. Tests keep no state in modules.
    isolate: false,
    projects: [
      { extends: true, test: { name: "tests", include: ["test/**/*.test.ts"], exclude: [slow] } },
      // Only .ci/run runs it.
      { extends: true, test: { name: "ci", include: [slow] } },
    ],
  },
});
