import { Code } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { observeCalls } from "../../src/rpc/observe-calls.ts";
import { createLogger } from "../../src/telemetry/logger.ts";
import { clientOf } from "../support/clients.ts";
import { errorOf } from "../support/error-of.ts";
import { startGuardedStub } from "../support/guarded-stub.ts";
import { bearer } from "../support/some-tokens.ts";

const hostile = [
  "/../../etc/passwd",
  "1XPWD40X1ED21530/",
  "1XPWD40X1ED21530?",
  "1XPWD40X1ED21530#",
  "1XPWD40X1ED21530%",
  "%2e%2e%2f%2e%2e%2f",
  "1XPWD40X1ED2153\r\n",
  '1XPWD4\r\n{"forged":1}',
  "1XPWD40X1ED21530\n7",
  "1XPWD40X1ED21530\u0000",
  "1XPWD40X1ED21530\u2028",
  "1XPWD40X1ED21530\u001B[2J",
  "' OR '1'='1' -- a",
  "'; DROP TABLE x;--",
  "1XPWD40X1ED21530\u017F",
  "1XPWD40X1ED21530\uFF17",
  "\u0410XPWD40X1ED215307",
  "1XPWD40X1ED21530\uD83D\uDE97",
];

test.each(hostile)("the hostile VIN %j is refused, and logged on lines that do not have it", async (vin) => {
  const written: string[] = [];
  const logger = createLogger("debug", { write: (line) => written.push(line) });
  const metrics = { callStarted: () => {}, callEnded: () => {} };
  await using stub = await startGuardedStub({ logger, ...observeCalls(metrics, logger) });

  const error = await errorOf(clientOf(stub).remove({ vin }, { headers: bearer("all") }));

  expect(error.code).toBe(Code.InvalidArgument);
  expect(written.map((line) => JSON.parse(line))).toMatchObject([
    { msg: "audit", action: "Remove", caller: "all", vin: "malformed" },
    { msg: "call ended", code: "InvalidArgument" },
  ]);
  expect(written.every((line) => /^[ -~]+\n$/.test(line))).toBe(true);
  expect(written.join("")).not.toContain(JSON.stringify(vin).slice(1, -1));
});
