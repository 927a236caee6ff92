import { join } from "node:path";

import { expect, test } from "vitest";

import { filesIn } from "../export/open-files.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { startTestApp } from "../support/test-app.ts";
import { FilledCache } from "./filled-cache.ts";
import { askAndNeverRead } from "./rows-of-exports.ts";

/** Long enough to ask for all 20 meanwhile, on a busy machine too. */
const STALL_MS = 5000;

test("exports beyond the limits are refused, and those that nobody reads are ended and leave no files", async () => {
  await using directory = await temporaryDirectory();
  await using app = await startTestApp({ env: { DATA_DIR: directory.path }, stallTimeoutMs: STALL_MS });
  using _cache = new FilledCache(join(directory.path, "vehicles.db"), 15_000);

  const { refused, tooMany, ended } = await askAndNeverRead(app, STALL_MS);

  expect(refused).toBe(tooMany);
  expect(Array.from(ended.keys())).toEqual(["gRPC", "gRPC-Web", "Connect", "GET"]);
  expect(Array.from(ended.values()).filter((ms) => ms < 0.8 * STALL_MS || ms > 1.4 * STALL_MS)).toEqual([]);
  await expect.poll(() => filesIn(join(directory.path, "exports"))).toEqual([]);
});
