import { expect, test } from "vitest";

import { nodeFault } from "../src/node-version.ts";

test.each(["24.14.1", "24.14.2", "24.21.0", "25.0.0", "25.1.0-nightly20251101", process.versions.node])(
  "the service runs on Node %s",
  (version) => {
    expect(nodeFault(version)).toBeUndefined();
  },
);

test.each(["24.14.0", "24.9.9", "22.30.1", "24.14.0-rc.1"])("the service does not run on Node %s", (version) => {
  expect(nodeFault(version)).toBe(`Node ${version} is too old for a service on a network: 24.14.1 or later is needed`);
});
