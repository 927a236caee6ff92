import { Code } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { auditCall } from "../../src/rpc/audit.ts";
import { Call } from "../../src/rpc/call.ts";
import { createLogger } from "../../src/telemetry/logger.ts";
import { serveVehicles } from "../support/test-server.ts";

function aCall(name: string, requestId: string): Call {
  const method = serveVehicles({}).find(({ spec }) => spec.method.name === name);
  if (method === undefined) {
    throw new Error(`the service has no ${name}`);
  }
  const init = { method, protocol: "grpc", requestId, address: "::1", authorization: undefined } as const;
  const call = new Call({ ...init, timeoutMs: undefined });
  call.caller = { name: "billing", scopes: new Set(["remove"]) };
  return call;
}

test.each(["warn", "error", "silent"] as const)("a Remove is audited even at the log level %s", (level) => {
  const lines: unknown[] = [];
  const logger = createLogger(level, { write: (line) => lines.push(JSON.parse(line)) });
  const [removal, exported] = [aCall("Remove", "r1"), aCall("Export", "r2")];
  auditCall(removal, logger, "1XPWD40X1ED215307");
  auditCall(exported, logger);

  const before = lines.length;
  removal.end(undefined);
  exported.end(Code.PermissionDenied);

  expect(before).toBe(0);
  expect(lines).toMatchObject([
    { msg: "audit", action: "Remove", caller: "billing", vin: "1XPWD40X1ED215307", requestId: "r1", code: "ok" },
    { msg: "audit", action: "Export", caller: "billing", requestId: "r2", code: "PermissionDenied" },
  ]);
});
