const MINUTE_MS = 60_000;

/** Where a method of ours deviates from the limits of the listeners. */
export const METHOD_LIMITS = {
  "vehicle.v1.VehicleService/BatchLookup": {
    maxRequestBytes: 256 * 1024,
    defaultTimeoutMs: 5 * MINUTE_MS,
    maxTimeoutMs: 5 * MINUTE_MS,
  },
  // Parquet is compressed already.
  "vehicle.v1.VehicleService/Export": {
    defaultTimeoutMs: 10 * MINUTE_MS,
    maxTimeoutMs: 10 * MINUTE_MS,
    compressResponses: false,
  },
} as const;
