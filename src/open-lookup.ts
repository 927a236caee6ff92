import { DatabaseFleet } from "./cache/fleet.ts";
import type { OpenVehicleStore } from "./cache/open-vehicle-store.ts";
import { openVehicleStore } from "./cache/open-vehicle-store.ts";
import type { Config } from "./config.ts";
import type { Sources } from "./sources.ts";
import { openSources } from "./sources.ts";
import type { Logger } from "./telemetry/logger.ts";
import { VehicleLookup } from "./vehicle/vehicle-lookup.ts";
import type { VpicAttempt } from "./vpic/policies.ts";

/** Cache, sources, and the lookup through both. The service and the command line share it. */
export interface OpenLookup extends AsyncDisposable {
  readonly store: OpenVehicleStore;
  readonly sources: Sources;
  readonly lookup: VehicleLookup;
}

export interface OpenLookupOptions {
  readonly logger: Logger;
  /** Default: nothing. */
  readonly onVpicAttempt?: (attempt: VpicAttempt) => void;
  /** Wall clock, ms since the epoch. Default: `Date.now`. */
  readonly now?: () => number;
  /** See {@link openSources}. */
  readonly processes?: number;
  /** How long a Lookup waits for the database, in ms. Default: see {@link openVehicleStore}. */
  readonly databaseTimeoutMs?: number | undefined;
}

/** Opens the configured cache and sources. */
export async function openLookup(config: Config, options: OpenLookupOptions): Promise<OpenLookup> {
  const { logger, onVpicAttempt = () => {}, now = Date.now, processes, databaseTimeoutMs: readTimeoutMs } = options;
  await using opening = new AsyncDisposableStack();
  const store = opening.use(await openVehicleStore({ ...config, logger, now, readTimeoutMs }));
  const fleet = opening.use(new DatabaseFleet(store));
  const sources = opening.use(openSources(config, logger, onVpicAttempt, now, fleet, processes));
  const lookup = new VehicleLookup({
    store,
    sources: sources.inOrder,
    fleet,
    freshness: config.freshness,
    patienceMs: config.vpic.patienceMs,
    onSourceFault: (source, error) => sources.logFault(source, error),
    now,
  });
  const open = opening.move();
  return { store, sources, lookup, [Symbol.asyncDispose]: () => open.disposeAsync() };
}
