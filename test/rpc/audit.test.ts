import { Code } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { writeAudit } from "../../src/rpc/audit.ts";
import { createLogger } from "../../src/telemetry/logger.ts";

test.each(["warn", "error", "silent"] as const)("who has removed what is written at the level %s", (level) => {
  const lines: unknown[] = [];
  const logger = createLogger(level, { write: (line) => lines.push(JSON.parse(line)) });

  writeAudit(logger, {
    action: "Remove",
    caller: "billing",
    vin: "1XPWD40X1ED215307",
    requestId: "r1",
    code: undefined,
  });
  writeAudit(logger, { action: "Export", caller: "billing", requestId: "r2", code: Code.PermissionDenied });

  expect(lines).toMatchObject([
    { msg: "audit", action: "Remove", caller: "billing", vin: "1XPWD40X1ED215307", requestId: "r1", code: "ok" },
    { msg: "audit", action: "Export", caller: "billing", requestId: "r2", code: "PermissionDenied" },
  ]);
});
