import type { CallLimits } from "../limits/call-limits.ts";
import { parseGrpcTimeout } from "../limits/grpc-timeout.ts";

/**
 * Gives a request the deadline it is to have, by way of the header that Connect reads: the client's own cut to the
 * ceiling, or the default. A value that is no deadline is left for Connect to refuse.
 *
 * @returns the time that the call has, in ms
 */
export function applyDeadline(header: Headers, limits: CallLimits): number {
  // Connect takes content types in any case.
  const isGrpc = header.get("content-type")?.toLowerCase().startsWith("application/grpc") === true;
  const name = isGrpc ? "grpc-timeout" : "connect-timeout-ms";
  const given = header.get(name);
  const askedMs = given === null ? limits.defaultTimeoutMs : isGrpc ? parseGrpcTimeout(given) : parseTimeoutMs(given);
  if (askedMs === undefined) {
    return limits.maxTimeoutMs;
  }
  const timeoutMs = Math.min(askedMs, limits.maxTimeoutMs);
  header.set(name, isGrpc ? `${Math.ceil(timeoutMs)}m` : String(timeoutMs));
  return timeoutMs;
}

function parseTimeoutMs(value: string): number | undefined {
  return /^\d{1,10}$/.test(value) ? Number(value) : undefined;
}
