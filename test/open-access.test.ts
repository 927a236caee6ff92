import { expect, test } from "vitest";

import { loadConfig } from "../src/config.ts";
import { openAccess } from "../src/open-access.ts";
import { MemoryLogger } from "./support/memory-logger.ts";

test("says at start that everyone may do everything, where that is so", async () => {
  const logger = new MemoryLogger();
  const config = loadConfig({ HOST: "0.0.0.0", ALLOW_ANONYMOUS: "true" });

  await using _ = await openAccess(config, logger, Date.now);

  expect(logger.lines).toEqual([
    {
      level: "audit",
      message: "no tokens configured: anyone who can reach the service can read, remove and export",
      fields: { host: "0.0.0.0" },
    },
  ]);
});

test("says nothing of the kind on loopback, whatever is allowed", async () => {
  const logger = new MemoryLogger();
  const config = loadConfig({ HOST: "127.0.0.1", ALLOW_ANONYMOUS: "true" });

  await using _ = await openAccess(config, logger, Date.now);

  expect(logger.lines).toEqual([]);
});
