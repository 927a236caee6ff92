import { expect, test } from "vitest";

import { nodeFault } from "../src/node-version.ts";

test.each(["24.14.1", "24.14.2", "24.21.0", "25.8.2", "25.9.0", "26.0.0", process.versions.node])(
  "the service runs on Node %s",
  (version) => {
    expect(nodeFault(version)).toBeUndefined();
  },
);

test.each(["24.14.0", "24.9.9", "22.30.1", "25.0.0", "25.8.1"])("the service does not run on Node %s", (version) => {
  expect(nodeFault(version)).toBe(
    `Node ${version} has known holes, which a service on a network must not have: 24.14.1 or 25.8.2 or later is needed`,
  );
});
