import type { Config } from "./config.ts";
import { openSnapshot } from "./snapshot/snapshot-source.ts";
import type { SnapshotSource, SnapshotStatus } from "./snapshot/snapshot-source.ts";
import type { Logger } from "./telemetry/logger.ts";
import type { VpicReading } from "./telemetry/metrics.ts";
import { SourceUnavailableError } from "./vehicle/errors.ts";
import type { Fleet } from "./vehicle/fleet.ts";
import { withLikelyVin } from "./vehicle/likely-vin.ts";
import type { VehicleSource } from "./vehicle/vehicle.ts";
import { VERSION } from "./version.ts";
import type { VpicAttempt } from "./vpic/policies.ts";
import { createVpicSource } from "./vpic/vpic-source.ts";

/** The sources in the configured order, with their state for metrics, page and log. */
export interface Sources extends AsyncDisposable {
  readonly inOrder: readonly VehicleSource[];
  /** The state of the vPIC source, for metrics; undefined when it is not configured. */
  vpicState(): VpicReading | undefined;
  /** The date of the snapshot's data; undefined when the snapshot is not ready. */
  snapshotDataDate(): string | undefined;
  /** Whether the snapshot can answer, for the page; undefined when it is not configured. */
  snapshotStatus(): SnapshotStatus | undefined;
  /** Logs why a source did not answer: at `debug` when it was unavailable, as an error otherwise. */
  logFault(source: VehicleSource, error: unknown): void;
}

/**
 * Opens the configured sources. If the snapshot is one of them, decodes include our own guess at the VIN that was
 * meant.
 *
 * @param processes the number of processes that serve. If there are several, the primary unpacks the snapshot. Default:
 *   1.
 */
export function openSources(
  config: Config,
  logger: Logger,
  onVpicAttempt: (attempt: VpicAttempt) => void,
  now: () => number,
  fleet: Fleet,
  processes = 1,
): Sources {
  const stack = new AsyncDisposableStack();
  const snapshot = config.sources.includes("snapshot")
    ? stack.use(openSnapshot({ ...config, isUnpackedElsewhere: processes > 1, logger, now }))
    : undefined;
  const vpic = config.sources.includes("vpic")
    ? stack.use(
        createVpicSource({
          baseUrl: config.vpic.url,
          requestsPerSecond: config.vpic.requestsPerSecond,
          userAgent: `VehicleService/${VERSION}`,
          onAttempt: onVpicAttempt,
          fleet,
          logger,
          now,
        }),
      )
    : undefined;
  const sources = config.sources.flatMap((name) => (name === "vpic" ? vpic : snapshot) ?? []);
  return {
    inOrder:
      snapshot === undefined ? sources : sources.map((source) => withLikelyVin(source, withoutWaiting(snapshot))),
    vpicState: () => vpic?.state(),
    snapshotDataDate: () => snapshot?.dataDate,
    snapshotStatus: () => snapshot?.status(),
    logFault: ({ name }, err) => {
      if (err instanceof SourceUnavailableError) {
        logger.debug("a source cannot answer", { source: name, reason: err.message });
      } else {
        logger.error("a source failed", { source: name, err });
      }
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

/** Decodes only when the snapshot is ready: a guess is not worth waiting for it to be unpacked. */
function withoutWaiting(snapshot: SnapshotSource): VehicleSource {
  return {
    name: snapshot.name,
    decode: (query, signal) =>
      snapshot.status().state === "ready"
        ? snapshot.decode(query, signal)
        : Promise.reject(new SourceUnavailableError("the snapshot is not ready")),
  };
}
