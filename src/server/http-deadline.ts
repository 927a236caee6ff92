import type { CallLimits } from "./call-limits.ts";

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

const unitMs: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 1e-3, n: 1e-6 };

function parseGrpcTimeout(value: string): number | undefined {
  const match = /^(?<amount>\d{1,8})(?<unit>[HMSmun])$/.exec(value);
  const unit = unitMs[match?.groups?.["unit"] ?? ""];
  return unit === undefined ? undefined : Number(match?.groups?.["amount"]) * unit;
}
