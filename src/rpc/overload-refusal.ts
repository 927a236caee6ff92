import { setTrailerStatus } from "@connectrpc/connect/protocol-grpc";
import { OverloadedError } from "../access/errors.ts";
import type { LoadShedder } from "../access/load-shedder.ts";
import type { Logger } from "../telemetry/logger.ts";
import { toConnectError } from "./error-table.ts";
import { OVERLOAD_RETRY_AFTER_MS } from "./load-interceptor.ts";

/** The headers of a gRPC answer that is nothing but a refusal, or undefined when the call may come in. */
export type EarlyRefusal = () => Readonly<Record<string, string>> | undefined;

/**
 * Refuses gRPC calls for overload before anything is known of them, by an answer that was encoded beforehand: a refusal
 * that cost as much as an answer would take from those that are let in.
 */
export function createOverloadRefusal(shedder: LoadShedder, logger: Logger): EarlyRefusal {
  const context = { requestId: "", procedure: "", logger };
  const told = toConnectError(new OverloadedError(OVERLOAD_RETRY_AFTER_MS), context);
  const headers = Object.fromEntries(setTrailerStatus(new Headers(told.metadata), told));
  return () => (shedder.refuses() ? headers : undefined);
}
