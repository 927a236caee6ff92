import { expect, test } from "vitest";

import { nodeFault } from "../src/node-version.js";

test.each(["24.14.1", "24.14.2", "24.21.0", "25.8.2", "25.9.0", "26.0.0", process.versions.node])(
  "the service runs on Node %s",
  (version) => {
    expect(nodeFault(version)).toBeUndefined();
  },
);

test.each([
  ["24.14.0", "Node 24.14.0 has known vulnerabilities; use Node 24.14.1 or later"],
  ["24.9.9", "Node 24.9.9 has known vulnerabilities; use Node 24.14.1 or later"],
  ["25.8.1", "Node 25.8.1 has known vulnerabilities; use Node 25.8.2 or later"],
  ["23.11.1", "Node 23.11.1 is too old for the service; use Node 24.14.1 or later"],
  ["22.30.1", "Node 22.30.1 is too old for the service; use Node 24.14.1 or later"],
])("the service does not run on Node %s", (version, fault) => {
  expect(nodeFault(version)).toBe(fault);
});
