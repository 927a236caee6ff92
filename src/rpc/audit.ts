import { Code } from "@connectrpc/connect";
import type { AuditLogger } from "../telemetry/logger.ts";
import { parseVin } from "../vehicle/vin.ts";

/** What is remembered of a call that removes or exports. */
export interface AuditEntry {
  /** Such as `Remove`. */
  readonly action: string;
  /** The token's name; without tokens the address. */
  readonly caller: string;
  /** As sent; it is logged only when it is well-formed. */
  readonly vin?: string | undefined;
  readonly requestId: string;
  /** How it ended; undefined when it succeeded. */
  readonly code: Code | undefined;
}

/** Leaves the line in the log by which it can be told later who has removed or exported what. */
export function writeAudit(logger: AuditLogger, { action, caller, vin, requestId, code }: AuditEntry): void {
  logger.audit("audit", {
    action,
    caller,
    ...(vin === undefined ? {} : { vin: wellFormed(vin) }),
    requestId,
    code: code === undefined ? "ok" : Code[code],
  });
}

function wellFormed(text: string): string {
  try {
    return parseVin(text);
  } catch {
    return "malformed";
  }
}
