import type { Logger } from "../telemetry/logger.ts";
import type { VehicleStore } from "../vehicle/vehicle.ts";
import { isPostgresLost, isSqliteLost } from "./database-faults.ts";
import { parseDatabaseUrl } from "./database-url.ts";
import { ForgivingStore, type StoreFaults } from "./forgiving-store.ts";
import { openPostgresDatabase } from "./postgres-database.ts";
import { ReopeningStore } from "./reopening-store.ts";
import { openSqliteStore } from "./sqlite-store.ts";
import { VehicleRepository } from "./vehicle-repository.ts";

export interface VehicleStoreOptions {
  /** See `parseDatabaseUrl`. */
  readonly databaseUrl: string;
  readonly logger: Logger;
  /** The time in ms since the epoch. Default: the system's. */
  readonly now?: (() => number) | undefined;
  /** A clock that only goes forward, in ms, for pauses after faults. Default: the process's. */
  readonly elapsedMs?: (() => number) | undefined;
}

/** The cache: its reads and writes never fail a Lookup, only `remove` throws StoreUnavailableError. */
export interface OpenVehicleStore extends VehicleStore, AsyncDisposable {
  /** @throws StoreUnavailableError when the database does not answer. */
  ping(): Promise<void>;
  /** For metrics. */
  faults(): StoreFaults;
}

const SQLITE_LIMITS = {
  reopenAfterMs: 10_000,
  retryReadsAfterMs: 1_000,
  retryWritesAfterMs: 10_000,
  maxConcurrentReads: Number.POSITIVE_INFINITY,
  maxConcurrentWrites: Number.POSITIVE_INFINITY,
};
// A server that was away comes back at once, and is not harmed by being asked. Reads and writes share its ten connections.
const POSTGRES_LIMITS = {
  reopenAfterMs: 1_000,
  retryReadsAfterMs: 1_000,
  retryWritesAfterMs: 1_000,
  maxConcurrentReads: 5,
  maxConcurrentWrites: 5,
};

/**
 * Opens the cache. Does not fail when its database cannot be opened: the store is then empty, and tried again while it
 * is used.
 *
 * @throws RangeError when the URL is none that a database can be opened by.
 */
export async function openVehicleStore(options: VehicleStoreOptions): Promise<OpenVehicleStore> {
  const { databaseUrl, logger, now = Date.now, elapsedMs = () => performance.now() } = options;
  const location = parseDatabaseUrl(databaseUrl);
  const isSqlite = location.kind === "sqlite";
  const limits = isSqlite ? SQLITE_LIMITS : POSTGRES_LIMITS;
  const store = new ReopeningStore({
    open: async () =>
      location.kind === "sqlite"
        ? openSqliteStore({ path: location.path, logger, now, elapsedMs })
        : new VehicleRepository(await openPostgresDatabase(location.url, logger), now),
    isLost: isSqlite ? isSqliteLost : isPostgresLost,
    retryAfterMs: limits.reopenAfterMs,
    logger,
    elapsedMs,
  });
  await store.open();
  const forgiving = new ForgivingStore(store, { ...limits, logger, elapsedMs });
  return Object.assign(forgiving, {
    ping: () => store.ping(),
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  });
}
