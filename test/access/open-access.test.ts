import { expect, test } from "vitest";
import { openAccess } from "../../src/access/open-access.ts";
import { MemoryLogger } from "../support/memory-logger.ts";

async function logOfOpening(host: string): Promise<MemoryLogger> {
  const logger = new MemoryLogger();
  using _ = await openAccess({
    host,
    tokensFile: undefined,
    allowAnonymous: true,
    hasTls: false,
    requestsPerSecond: 1,
    burst: 1,
    logger,
    now: Date.now,
  });
  return logger;
}

test("logs at start that anyone may do everything, if that is the case", async () => {
  const { lines } = await logOfOpening("0.0.0.0");

  expect(lines).toEqual([
    {
      level: "audit",
      message: "no tokens configured: anyone who can reach the service can read, remove and export",
      fields: { host: "0.0.0.0" },
    },
  ]);
});

test("logs no such warning on loopback, whatever is allowed", async () => {
  const { lines } = await logOfOpening("127.0.0.1");

  expect(lines).toEqual([]);
});
