import { join } from "node:path";
import { expect, test } from "vitest";
import { filesIn } from "../export/open-files.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { startTestApp } from "../support/test-app.ts";
import { FilledCache } from "./filled-cache.ts";
import { askAndNeverRead } from "./unread-export.ts";

/** Long enough to ask for all 20 exports meanwhile, on a busy machine too. */
const STALL_MS = 30_000;
const HANG_MS = 240_000;

test(
  "row 5: exports beyond the limits are refused, and those that nobody reads are ended and leave no files",
  { timeout: HANG_MS },
  async () => {
    await using directory = await temporaryDirectory();
    await using app = await startTestApp({ env: { DATA_DIR: directory.path }, stallTimeoutMs: STALL_MS });
    using _cache = new FilledCache(join(directory.path, "vehicles.db"), 15_000);

    const { refused, tooMany, ended } = await askAndNeverRead(app, HANG_MS / 2);

    expect(refused).toBe(tooMany);
    expect([...ended.keys()]).toEqual(["gRPC", "gRPC-Web", "Connect", "GET"]);
    expect([...ended.values()].every(Number.isFinite)).toBe(true);
    await expect.poll(() => filesIn(join(directory.path, "exports")), { timeout: HANG_MS / 2 }).toEqual([]);
  },
);
