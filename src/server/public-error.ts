import type { DescMethod } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";

import type { Logger } from "../telemetry/logger.ts";
import { methodName } from "./call-limits.ts";

/**
 * What the caller is told of an error. ConnectErrors are made for callers; anything else is logged, and nothing but a
 * neutral sentence leaves the process.
 */
export function toPublicError(error: unknown, method: DescMethod, logger: Logger): ConnectError {
  if (error instanceof ConnectError) {
    return error;
  }
  logger.error("a call failed unexpectedly", { method: methodName(method), err: error });
  return new ConnectError("internal error", Code.Internal);
}
