import type { DescMethod } from "@bufbuild/protobuf";

/** What one call may cost. Both listeners keep to it. */
export interface CallLimits {
  /** The greatest request message in bytes, as sent and after decompression. Larger ones are RESOURCE_EXHAUSTED. */
  readonly maxRequestBytes: number;
  /** The greatest response message in bytes, before compression. Larger ones are RESOURCE_EXHAUSTED. */
  readonly maxResponseBytes: number;
  /** The deadline of a call whose client gives none, in ms from when it is begun. */
  readonly defaultTimeoutMs: number;
  /** The ceiling of deadlines, in ms from when the call is begun. Longer ones are cut, not refused. */
  readonly maxTimeoutMs: number;
  /** How long a response may wait for a client that does not read, in ms. Then the call is cut and its stream reset. */
  readonly stallTimeoutMs: number;
  /** Whether responses may be compressed. Turn it off for bytes that are compressed already. */
  readonly compressResponses: boolean;
}

/** Limits of all methods: those that deviate are listed by name, such as `vehicle.v1.VehicleService/BatchLookup`. */
export interface MethodLimits {
  readonly methods?: Readonly<Record<string, Partial<CallLimits>>>;
  readonly defaults?: Partial<CallLimits>;
}

const unlessConfigured: CallLimits = {
  maxRequestBytes: 4 * 1024,
  maxResponseBytes: 4 * 1024 * 1024,
  defaultTimeoutMs: 10_000,
  maxTimeoutMs: 30_000,
  stallTimeoutMs: 30_000,
  compressResponses: true,
};

/**
 * The limits of one method: its own, then the configured defaults, then 4 KiB requests, 4 MiB responses, 10 s unless
 * the client gives a deadline, 30 s at most, and 30 s for a client that does not read.
 */
export function limitsOf(method: DescMethod, limits: MethodLimits = {}): CallLimits {
  return { ...unlessConfigured, ...limits.defaults, ...limits.methods?.[methodName(method)] };
}

/** How long an answer may wait for a client that does not read, in ms, when it is none of a limited method. */
export function stallTimeoutOf(limits: MethodLimits = {}): number {
  return limits.defaults?.stallTimeoutMs ?? unlessConfigured.stallTimeoutMs;
}

/** A method's name as limits and logs give it, such as `vehicle.v1.VehicleService/Lookup`. */
export function methodName(method: DescMethod): string {
  return `${method.parent.typeName}/${method.name}`;
}

/** The longest request that any of the methods takes, in bytes. */
export function longestRequest(methods: readonly DescMethod[], limits?: MethodLimits): number {
  return Math.max(...methods.map((method) => limitsOf(method, limits).maxRequestBytes));
}
