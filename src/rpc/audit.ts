import { Code } from "@connectrpc/connect";
import type { AuditLogger } from "../telemetry/logger.ts";
import { parseVin } from "../vehicle/vin.ts";
import type { Call } from "./call.ts";

/**
 * Logs an audit line at the end of a call: who removed or exported what.
 *
 * @param vin as sent; it is logged only when it is well-formed
 */
export function auditCall(call: Call, logger: AuditLogger, vin?: string): void {
  call.onEnd((code) =>
    logger.audit("audit", {
      action: call.method.spec.method.name,
      caller: call.caller?.name ?? call.address,
      ...(vin === undefined ? {} : { vin: wellFormed(vin) }),
      requestId: call.id,
      code: code === undefined ? "ok" : Code[code],
    }),
  );
}

function wellFormed(text: string): string {
  try {
    return parseVin(text);
  } catch {
    return "malformed";
  }
}
